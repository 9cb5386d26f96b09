"""Schwab's data in the sandbox: the wire format, and figures that agree with each other."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from connections.sandbox.bank import Bank
from tests.sandbox.client import (
    NOW,
    TRADER,
    alpaca_account,
    bearer,
    call,
    history,
    log_in,
    schwab_account,
    somebody,
    transactions_path,
    window,
)


@pytest.fixture(scope="session")
def rows(shared, tokens):
    return history(shared, tokens)


@pytest.fixture(scope="session")
def nora(shared, tokens):
    return call(
        shared, f"{TRADER}/accounts", {"fields": "positions"}, headers=bearer(tokens)
    ).json()


def exact(value) -> Decimal:
    return Decimal(str(value))


def of_kind(rows, kind):
    return [row for row in rows if row["type"] == kind]


def test_the_hash_joins_on_the_number(shared, tokens, nora):
    numbers = call(shared, f"{TRADER}/accounts/accountNumbers", headers=bearer(tokens)).json()
    assert [row["accountNumber"] for row in numbers] == [
        account["securitiesAccount"]["accountNumber"] for account in nora
    ]
    assert all(re.fullmatch("[0-9A-F]{64}", row["hashValue"]) for row in numbers)


def test_accounts_tell_neither_hash_nor_nickname(nora):
    assert "hash" not in str(nora).lower()
    assert "Individual" not in str(nora)


def test_preferences_tell_the_nicknames(shared, tokens):
    reply = call(shared, f"{TRADER}/userPreference", headers=bearer(tokens)).json()
    assert [row["nickName"] for row in reply["accounts"]] == [
        "Individual",
        "Rollover IRA",
        "Brand new",
    ]
    assert [row["primaryAccount"] for row in reply["accounts"]] == [True, False, False]


def test_positions_come_only_when_asked_for(shared, tokens):
    plain = call(shared, f"{TRADER}/accounts", headers=bearer(tokens)).json()
    assert all("positions" not in account["securitiesAccount"] for account in plain)


def test_one_account_is_told_like_all(shared, tokens, nora):
    path = f"{TRADER}/accounts/{schwab_account(shared).hash_value}"
    assert call(shared, path, {"fields": "positions"}, headers=bearer(tokens)).json() == nora[0]


def test_one_transaction_is_told_like_all(shared, tokens, rows):
    path = f"{transactions_path(shared)}/{rows[0]['activityId']}"
    assert call(shared, path, headers=bearer(tokens)).json() == rows[0]


def test_margin_and_cash_accounts_tell_different_balances(nora):
    margin, cash = (account["securitiesAccount"]["currentBalances"] for account in nora[:2])
    assert "buyingPower" in margin
    assert "totalCash" not in margin
    assert "totalCash" in cash
    assert "buyingPower" not in cash


@pytest.mark.parametrize("number", [0, 1, 2])
def test_cash_is_the_sum_of_the_valid_rows(shared, tokens, nora, number):
    valid = [row for row in history(shared, tokens, number=number) if row["status"] == "VALID"]
    balances = nora[number]["securitiesAccount"]["currentBalances"]
    assert exact(balances["cashBalance"]) == sum(exact(row["netAmount"]) for row in valid)


def test_the_value_is_cash_and_positions(nora):
    account = nora[0]["securitiesAccount"]
    values = sum(exact(row["marketValue"]) for row in account["positions"])
    balances = account["currentBalances"]
    assert exact(balances["liquidationValue"]) == exact(balances["cashBalance"]) + values


def test_positions_are_the_sum_of_the_trades(rows, nora):
    moved: dict[str, Decimal] = {}
    for leg in [row["transferItems"][-1] for row in rows]:
        symbol = leg["instrument"]["symbol"]
        moved[symbol] = moved.get(symbol, Decimal(0)) + exact(leg["amount"])
    for row in nora[0]["securitiesAccount"]["positions"]:
        held = exact(row["longQuantity"]) - exact(row["shortQuantity"])
        assert moved[row["instrument"]["symbol"]] == held


def test_trade_legs_add_up_to_the_net_amount(rows):
    for row in of_kind(rows, "TRADE"):
        assert sum(exact(leg["cost"]) for leg in row["transferItems"]) == exact(row["netAmount"])
        assert [leg["feeType"] for leg in row["transferItems"][:-1]] == [
            "COMMISSION", "SEC_FEE", "OPT_REG_FEE", "TAF_FEE",
        ]  # fmt: skip


def test_dividends_have_one_leg_and_no_ticker(rows):
    dividends = of_kind(rows, "DIVIDEND_OR_INTEREST")
    legs = [row["transferItems"] for row in dividends]
    assert {leg["instrument"]["symbol"] for [leg] in legs} == {"CURRENCY_USD"}
    assert any(row["description"].startswith("BANK INT ") for row in dividends)
    assert any(row["description"] == "NIKE INC CLASS CLASS B" for row in dividends)


def test_dates_have_an_offset_without_a_colon_and_days_are_midnight_in_new_york(rows):
    moments = {row["time"] for row in rows}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", moment) for moment in moments)
    days = {row["tradeDate"][10:] for row in rows if row["type"] != "TRADE"}
    assert days == {"T04:00:00+0000", "T05:00:00+0000"}


def test_an_evening_row_is_the_next_day_in_utc(rows):
    payroll = next(row for row in rows if row.get("description") == "ACME CORP PAYROLL")
    assert payroll["time"][:10] > payroll["tradeDate"][:10]


def test_rows_come_newest_first(shared, tokens):
    page = call(shared, transactions_path(shared), window(), headers=bearer(tokens)).json()
    assert [row["time"] for row in page] == sorted((row["time"] for row in page), reverse=True)


def test_there_is_a_pending_row_and_one_that_failed(rows):
    assert {row["status"] for row in rows} == {"VALID", "PENDING", "INVALID"}


@pytest.mark.parametrize(
    "kind",
    ["OPTION", "FIXED_INCOME", "MUTUAL_FUND", "CASH_EQUIVALENT", "EQUITY", "COLLECTIVE_INVESTMENT"],
)
def test_every_kind_of_security_was_traded(rows, kind):
    kinds = {row["transferItems"][-1]["instrument"]["assetType"] for row in rows}
    assert kind in kinds


def test_an_option_costs_a_hundred_times_its_price(rows):
    legs = [row["transferItems"][-1] for row in of_kind(rows, "TRADE")]
    options = [leg for leg in legs if leg["instrument"]["assetType"] == "OPTION"]
    assert options
    for leg in options:
        assert exact(leg["cost"]) == -exact(leg["amount"]) * exact(leg["price"]) * 100
        assert len(leg["instrument"]["symbol"]) == 21


def test_a_split_brings_shares_and_costs_nothing(rows):
    split = next(row for row in rows if row.get("description") == "STOCK SPLIT")
    leg = split["transferItems"][-1]
    assert (leg["amount"], leg["cost"], split["netAmount"]) == (36, 0, 0)


def test_a_short_position_counts_against_the_account(nora):
    short = next(row for row in nora[0]["securitiesAccount"]["positions"] if row["shortQuantity"])
    assert (short["shortQuantity"], short["longQuantity"]) == (6, 0)
    assert short["marketValue"] < 0
    assert short["averagePrice"] > 0


def test_journals_come_in_pairs(rows):
    pairs = [row for row in of_kind(rows, "JOURNAL") if row["description"].startswith("TRF FUNDS")]
    assert len(pairs) > 50
    assert sum(exact(row["netAmount"]) for row in pairs) == 0


def test_types_and_symbol_narrow_the_answer(shared, tokens):
    params = window("2025-03-01", "2025-06-30", types="TRADE", symbol="TSLA")
    page = call(shared, transactions_path(shared), params, headers=bearer(tokens)).json()
    assert {row["type"] for row in page} == {"TRADE"}
    assert {row["transferItems"][-1]["instrument"]["symbol"] for row in page} == {"TSLA"}


def test_the_window_is_exact_at_both_ends(shared, tokens, rows):
    row = next(row for row in rows if row["description"] == "CORNER COFFEE")
    moment = row["time"].replace("+0000", ".000Z")
    params = window(startDate=moment, endDate=moment)
    page = call(shared, transactions_path(shared), params, headers=bearer(tokens)).json()
    assert row in page


def test_more_than_three_thousand_rows_are_cut_without_a_word():
    with Bank(now=NOW, size=14_000) as bank:
        headers, path = bearer(log_in(bank, "lee")), transactions_path(bank, "lee")
        year = call(bank, path, window("2025-01-01", "2025-12-31"), headers=headers).json()
        half = call(bank, path, window("2025-01-01", "2025-06-30"), headers=headers).json()
    assert len(year) == 3000
    assert half[-1]["activityId"] not in {row["activityId"] for row in year}


def test_the_large_person_has_as_many_rows_as_asked_for():
    with Bank(now=NOW, size=20_000, accounts=12) as bank:
        assert len(schwab_account(bank, "lee").book.visible(NOW)) >= 20_000
        assert len(alpaca_account(bank, "lee").book.visible(NOW)) >= 20_000
        assert len(somebody(bank.people, "lee").schwab) == 12
