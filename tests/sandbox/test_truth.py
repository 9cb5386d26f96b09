"""Ground truth is what was told: no more, no less, in the newest version."""

from __future__ import annotations

from decimal import Decimal

import pytest

from connections.sandbox.faults import Fault
from tests.sandbox.client import (
    NOW,
    TRADER,
    activities,
    alpaca,
    alpaca_account,
    bearer,
    call,
    history,
    log_in,
    schwab_account,
    transactions_path,
    window,
)


def told_by_schwab(bank, number=0):
    return bank.truth()["schwab"][schwab_account(bank, number=number).hash_value]


def test_before_anybody_asks_nothing_was_told(bank):
    log_in(bank)
    assert bank.truth() == {}


def test_the_truth_is_exactly_the_rows_that_were_served(bank):
    rows = history(bank, log_in(bank))
    told = told_by_schwab(bank)["transactions"]
    assert {int(key): told[key]["amount"] for key in told} == {
        row["activityId"]: told[str(row["activityId"])]["amount"] for row in rows
    }
    for row in rows:
        assert Decimal(told[str(row["activityId"])]["amount"]) == Decimal(str(row["netAmount"]))


def test_alpacas_truth_is_exactly_what_was_served(bank):
    rows = activities(bank)
    told = bank.truth()["alpaca"][alpaca_account(bank).account_id]["transactions"]
    assert set(told) == {row["id"] for row in rows}


def test_accounts_and_positions_are_told(bank):
    tokens = log_in(bank)
    call(bank, f"{TRADER}/accounts", {"fields": "positions"}, headers=bearer(tokens))
    told = told_by_schwab(bank)
    assert set(told["account"]) == {"balance", "cash", "currency"}
    assert told["positions"]["TSLA"]["quantity"] == "-6"


def test_alpacas_positions_are_told_by_the_symbol_that_was_served(bank):
    rows = alpaca(bank, "positions").json()
    told = bank.truth()["alpaca"][alpaca_account(bank).account_id]["positions"]
    assert set(told) == {row["symbol"] for row in rows}


def test_a_position_that_is_gone_is_gone_from_the_truth(bank):
    bank.clock.set(NOW.replace(month=9, day=10))
    early = {row["symbol"] for row in alpaca(bank, "positions").json()}
    bank.clock.set(NOW)
    late = {row["symbol"] for row in alpaca(bank, "positions").json()}
    told = bank.truth()["alpaca"][alpaca_account(bank).account_id]["positions"]
    assert early - late
    assert set(told) == late


def test_what_was_not_asked_for_was_not_told(bank):
    tokens = log_in(bank)
    call(bank, f"{TRADER}/accounts", headers=bearer(tokens))
    assert told_by_schwab(bank)["positions"] == {}
    assert told_by_schwab(bank)["transactions"] == {}


def test_the_complete_truth_is_what_a_thorough_reader_was_told(bank):
    tokens = log_in(bank)
    call(bank, f"{TRADER}/accounts", {"fields": "positions"}, headers=bearer(tokens))
    history(bank, tokens)
    account = schwab_account(bank).hash_value
    assert bank.truth(complete=True)["schwab"][account] == told_by_schwab(bank)


def test_a_pending_row_is_told_again_when_it_settles(bank):
    tokens = log_in(bank, "nora")
    history(bank, tokens)
    before = told_by_schwab(bank)["transactions"]
    [pending] = [key for key, told in before.items() if told["status"] == "pending"]
    bank.clock.advance(days=3)
    history(bank, log_in(bank))
    assert told_by_schwab(bank)["transactions"][pending]["status"] == "settled"


def test_both_halves_of_a_cancellation_are_void(bank):
    void = {row["id"] for row in activities(bank) if row.get("status") == "canceled"}
    told = bank.truth()["alpaca"][alpaca_account(bank).account_id]["transactions"]
    cancelled = {key for key in told if told[key]["status"] == "cancelled"}
    assert void < cancelled
    assert len(cancelled) == 2 * len(void)


@pytest.mark.parametrize(
    "fault", [Fault.MALFORMED, Fault.UNAVAILABLE, Fault.NAN, Fault.EMPTY_LIST, Fault.ENDLESS_NUMBER]
)
def test_what_nobody_could_read_was_not_told(bank, fault):
    tokens = log_in(bank)
    bank.faults.add("*/transactions", fault)
    call(bank, transactions_path(bank), window(), headers=bearer(tokens))
    assert bank.truth() == {}


def test_a_missing_account_was_not_told(bank):
    tokens = log_in(bank)
    bank.faults.add(f"{TRADER}/accounts", Fault.MISSING_ACCOUNT)
    call(bank, f"{TRADER}/accounts", {"fields": "positions"}, headers=bearer(tokens))
    hashes = [schwab_account(bank, number=number).hash_value for number in (1, 2)]
    assert list(bank.truth()["schwab"]) == hashes


def test_a_lie_leaves_the_truth_alone(bank):
    tokens = log_in(bank)
    bank.faults.add("*/transactions", Fault.HUGE_NUMBER)
    row = call(bank, transactions_path(bank), window(), headers=bearer(tokens)).json()[0]
    told = told_by_schwab(bank)["transactions"][str(row["activityId"])]
    assert row["netAmount"] == 10**30
    assert Decimal(told["amount"]) < 10_000
