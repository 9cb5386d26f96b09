"""Alpaca's data in the sandbox: the wire format, paging, and figures that agree."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

import pytest

from tests.sandbox.client import activities, alpaca

STALE_KEYS = {"pattern_day_trader", "daytrade_count", "daytrading_buying_power", "dtbp_check"}
MONEY = ("cash", "equity", "last_equity", "long_market_value", "short_market_value", "buying_power")


@pytest.fixture(scope="session", params=["paper", "live"])
def environment(request):
    return request.param


@pytest.fixture(scope="session")
def rows(shared, environment):
    return activities(shared, environment=environment)


def fills(rows):
    return [row for row in rows if row["activity_type"] == "FILL"]


def units(symbol) -> int:
    return 100 if len(symbol) > 10 else 1


def cash_of(row) -> Decimal:
    if row["activity_type"] != "FILL":
        return Decimal(row["net_amount"])
    value = Decimal(row["qty"]) * Decimal(row["price"]) * units(row["symbol"])
    return -value if row["side"] == "buy" else value


def test_money_is_text(shared, environment):
    account = alpaca(shared, "account", environment=environment).json()
    assert {type(account[name]) for name in MONEY} == {str}
    assert not STALE_KEYS & set(account)


def test_cash_is_the_sum_of_what_was_not_cancelled(shared, environment, rows):
    void = {row["group_id"] for row in rows if row.get("status") == "canceled"}
    counted = sum(cash_of(row) for row in rows if row.get("group_id") not in void)
    account = alpaca(shared, "account", environment=environment).json()
    assert Decimal(account["cash"]) == counted


def test_equity_is_cash_and_positions(shared, environment):
    account = alpaca(shared, "account", environment=environment).json()
    positions = alpaca(shared, "positions", environment=environment).json()
    values = sum(Decimal(row["market_value"]) for row in positions)
    assert Decimal(account["equity"]) == Decimal(account["cash"]) + values


def test_positions_are_the_sum_of_the_fills(shared, environment, rows):
    moved: dict[str, Decimal] = {}
    for row in rows:
        if row["activity_type"] in {"FILL", "OPEXP"}:
            sign = -1 if row.get("side", "").startswith("sell") else 1
            symbol = row["symbol"].replace("/", "")
            moved[symbol] = moved.get(symbol, Decimal(0)) + sign * Decimal(row["qty"])
    positions = alpaca(shared, "positions", environment=environment).json()
    assert {row["symbol"]: Decimal(row["qty"]) for row in positions} == {
        k: v for k, v in moved.items() if v
    }


def test_one_borrows_and_is_short(shared):
    account = alpaca(shared, "account", environment="live").json()
    short = [
        row
        for row in alpaca(shared, "positions", environment="live").json()
        if row["side"] == "short"
    ]
    assert Decimal(account["cash"]) < 0
    assert Decimal(account["short_market_value"]) < 0
    assert [row["qty"] for row in short] == ["-5"]


def test_fills_have_neither_amount_nor_date_nor_currency(rows):
    told = set().union(*fills(rows))
    assert not told & {"net_amount", "date", "currency", "status", "created_at"}


def test_a_partial_fill_is_a_row_of_its_own(shared):
    by_order = groupby(
        fills(activities(shared, environment="live")), key=lambda row: row["order_id"]
    )
    pairs = [list(parts) for _order, parts in by_order]
    split = [parts for parts in pairs if len(parts) > 1]
    assert split
    for last, first in split:
        assert (first["type"], last["type"]) == ("partial_fill", "fill")
        assert Decimal(last["cum_qty"]) == Decimal(first["qty"]) + Decimal(last["qty"])


def test_a_fee_comes_the_next_day_under_the_date_of_the_sale(rows):
    fee = next(row for row in rows if row["activity_type"] == "FEE")
    assert fee["created_at"][:10] > fee["date"]
    assert Decimal(fee["net_amount"]) < 0


def test_a_cancelled_dividend_names_the_group_of_the_one_it_voids(rows):
    for row in rows:
        if row.get("status") == "canceled":
            group = [other for other in rows if other.get("group_id") == row["group_id"]]
            assert [other["status"] for other in group] == ["canceled", "executed"]


def test_there_is_a_cancellation_and_a_correction(shared):
    statuses = {row.get("status") for row in activities(shared)}
    assert {"executed", "canceled", "correct"} <= statuses


def test_there_is_crypto_and_its_fee(shared, rows):
    assert "BTC/USD" in {row["symbol"] for row in fills(rows)}
    assert "CFEE" in {row["activity_type"] for row in rows}


@pytest.mark.parametrize("size", [1, 7, 99, 100])
def test_pages_hold_every_row_once(shared, size):
    whole = activities(shared, person="sam")
    assert len({row["id"] for row in whole}) == len(whole) > 100
    assert activities(shared, person="sam", size=size) == whole


def test_pages_of_exactly_all_rows_are_followed_by_an_empty_one(shared):
    deposits = alpaca(shared, "account/activities/CSD").json()
    params = {"page_size": len(deposits)}
    assert alpaca(shared, "account/activities/CSD", params).json() == deposits
    params["page_token"] = deposits[-1]["id"]
    assert alpaca(shared, "account/activities/CSD", params).json() == []


def test_ascending_is_the_other_way_round(shared):
    newest = alpaca(shared, "account/activities", {"page_size": 100}).json()
    oldest = alpaca(shared, "account/activities", {"direction": "asc", "page_size": 100}).json()
    assert newest[0]["id"] > newest[-1]["id"] > oldest[-1]["id"] > oldest[0]["id"]


def test_ids_sort_by_time(rows):
    ids = [row["id"].split("::")[0] for row in rows]
    assert ids == sorted(ids, reverse=True)


def test_categories_split_the_rows(shared):
    trades = alpaca(shared, "account/activities", {"category": "trade_activity"}).json()
    others = alpaca(shared, "account/activities", {"category": "non_trade_activity"}).json()
    assert {row["activity_type"] for row in trades} == {"FILL"}
    assert "FILL" not in {row["activity_type"] for row in others}


def test_types_narrow_the_rows_in_query_and_path_alike(shared):
    by_query = alpaca(shared, "account/activities", {"activity_types": "DIV"}).json()
    assert by_query == alpaca(shared, "account/activities/DIV").json()
    assert {row["activity_type"] for row in by_query} == {"DIV"}


def test_dates_filter_on_when_a_row_was_made(shared, rows):
    fee = next(row for row in rows if row["activity_type"] == "FEE")
    made = activities_on(shared, fee["created_at"][:10]) + activities_on(
        shared, fee["created_at"][:10], "live"
    )
    meant = activities_on(shared, fee["date"]) + activities_on(shared, fee["date"], "live")
    assert fee["id"] in {row["id"] for row in made}
    assert fee["id"] not in {row["id"] for row in meant}


def activities_on(bank, day, environment="paper"):
    return alpaca(bank, "account/activities", {"date": day}, environment=environment).json()


def test_after_and_until_are_exclusive(shared):
    first, second, third = alpaca(shared, "account/activities/CSD", {"page_size": 3}).json()
    params = {"after": third["created_at"], "until": first["created_at"]}
    assert alpaca(shared, "account/activities/CSD", params).json() == [second]


def test_daily_points_are_a_day_late_in_utc(shared):
    history = alpaca(shared, "account/portfolio/history", {"period": "1W"}).json()
    moments = [datetime.fromtimestamp(stamp, UTC) for stamp in history["timestamp"]]
    local = [moment.astimezone(ZoneInfo("America/New_York")) for moment in moments]
    assert {moment.hour for moment in moments} == {0}
    assert all(moment.weekday() < 5 for moment in local)
    assert any(moment.weekday() == 5 for moment in moments)


def test_the_last_point_is_todays_equity_as_a_number(shared):
    history = alpaca(shared, "account/portfolio/history").json()
    equity = Decimal(alpaca(shared, "account").json()["equity"])
    columns = ("timestamp", "equity", "profit_loss", "profit_loss_pct")
    assert abs(Decimal(str(history["equity"][-1])) - equity) < Decimal("0.01")
    assert len({len(history[name]) for name in columns}) == 1


def test_without_a_base_there_is_no_percentage(shared):
    params = {"start": "2021-12-01T00:00:00Z", "end": "2022-01-20T00:00:00Z"}
    history = alpaca(shared, "account/portfolio/history", params).json()
    assert set(history["profit_loss_pct"]) == {None}


def test_a_start_and_a_period_make_a_span(shared):
    params = {"start": "2026-01-05T12:00:00Z", "period": "1W"}
    assert len(alpaca(shared, "account/portfolio/history", params).json()["equity"]) == 6


def test_intraday_points_stand_in_the_session(shared):
    params = {"period": "2D", "timeframe": "1H"}
    stamps = alpaca(shared, "account/portfolio/history", params).json()["timestamp"]
    local = [datetime.fromtimestamp(stamp, ZoneInfo("America/New_York")) for stamp in stamps]
    assert {(moment.hour, moment.minute) for moment in local} == {
        (hour, 30) for hour in range(9, 16)
    }


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [("CSD,DIV", {"CSD", "DIV"}), ("ALL", {"CSD", "CSW", "DIV", "FEE", "CFEE", "INT"})],
)
def test_cash_flows_stand_beside_the_points(shared, wanted, kinds):
    params = {"period": "3M", "cashflow_types": wanted}
    history = alpaca(shared, "account/portfolio/history", params).json()
    assert set(history["cashflow"]) == kinds
    assert len(history["cashflow"]["CSD"]) == len(history["equity"])
    assert 1500 in history["cashflow"]["CSD"]
