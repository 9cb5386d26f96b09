"""Alpaca in the sandbox refuses what the real one refuses."""

from __future__ import annotations

import pytest

from tests.sandbox.client import alpaca, alpaca_account, call, keys

ACCOUNT = "/alpaca/paper/v2/account"
MISSING = {"message": "unauthorized."}
UNKNOWN = {"code": 40110000, "message": "request is not authorized"}
KEY, SECRET = "APCA-API-KEY-ID", "APCA-API-SECRET-KEY"


@pytest.mark.parametrize("left_out", [KEY, SECRET])
def test_both_headers_are_wanted(shared, left_out):
    headers = {name: value for name, value in keys(shared).items() if name != left_out}
    reply = call(shared, ACCOUNT, headers=headers)
    assert (reply.status, reply.json()) == (401, MISSING)


@pytest.mark.parametrize("wrong", [{KEY: "PKWRONG"}, {SECRET: "wrong"}])
def test_a_wrong_key_or_secret_is_refused(shared, wrong):
    reply = call(shared, ACCOUNT, headers=keys(shared) | wrong)
    assert (reply.status, reply.json()) == (401, UNKNOWN)


@pytest.mark.parametrize(("mine", "asked"), [("paper", "live"), ("live", "paper")])
def test_keys_of_the_other_environment_are_forbidden(shared, mine, asked):
    reply = call(shared, f"/alpaca/{asked}/v2/account", headers=keys(shared, environment=mine))
    assert (reply.status, reply.json()) == (403, {"message": "forbidden."})


def test_keys_begin_like_their_environment(shared):
    assert alpaca_account(shared).key_id.startswith("PK")
    assert alpaca_account(shared, environment="live").key_id.startswith("AK")


BAD_LISTINGS = [
    {"page_size": "101"},
    {"page_size": "0"},
    {"page_size": "-1"},
    {"page_size": "ten"},
    {"category": "trade_activity", "activity_types": "FILL"},
    {"category": "trades"},
    {"activity_types": "FILL,NOPE"},
    {"direction": "down"},
    {"page_token": "20220101000000000::nobody"},
    {"after": "2026-1-1"},
    {"after": "2026-02-30"},
    {"until": "2026-01-01T00:00:00"},
    {"date": "yesterday"},
    {"date": "9999-12-31"},
    {"after": "0001-01-01T00:00:00+14:00"},
    {"date": "2026-01-01", "until": "2026-01-02"},
    {"date": "2026-01-01", "after": "2025-12-31"},
    {"limit": "10"},
]


@pytest.mark.parametrize("params", BAD_LISTINGS, ids=str)
def test_a_bad_parameter_is_unprocessable(shared, params):
    reply = alpaca(shared, "account/activities", params)
    assert reply.status == 422
    assert reply.json()["code"] == 42210000


@pytest.mark.parametrize("path", ["account", "positions"])
def test_unknown_parameters_are_refused_everywhere(shared, path):
    assert alpaca(shared, path, {"page_size": "10"}).status == 422


def test_a_parameter_given_twice_is_refused(shared):
    assert alpaca(shared, "account/activities", [("date", "2026-01-01")] * 2).status == 422


def test_one_type_in_the_path_leaves_no_room_for_a_category(shared):
    assert alpaca(shared, "account/activities/DIV", {"category": "trade_activity"}).status == 422


BAD_HISTORIES = [
    {"period": "1Y"},
    {"timeframe": "2H"},
    {"period": "1M", "start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"},
    {"start": "2026-01-01"},
    {"start": "soon"},
    {"start": "0001-01-01T00:00:00Z"},
    {"end": "9999-12-31T23:59:59Z"},
    {"start": "2026-02-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
    {"timeframe": "1H", "period": "3M"},
    {"pnl_reset": "never"},
    {"intraday_reporting": "nights"},
    {"unknown": "1"},
]


@pytest.mark.parametrize("params", BAD_HISTORIES, ids=str)
def test_a_bad_history_is_unprocessable(shared, params):
    assert alpaca(shared, "account/portfolio/history", params).status == 422


def test_an_unknown_endpoint_is_not_found(shared):
    assert alpaca(shared, "orders").status == 404


def test_data_is_only_read(shared):
    assert call(shared, ACCOUNT, method="DELETE", headers=keys(shared)).status == 405


def test_refused_keys_are_good_again_when_the_bank_says_so(bank):
    bank.refuse_credentials()
    assert alpaca(bank, "account").json() == UNKNOWN
    bank.accept_credentials()
    assert alpaca(bank, "account").status == 200


def test_the_rate_headers_count_down(bank):
    first, second = alpaca(bank, "account").headers, alpaca(bank, "account").headers
    assert first["X-Ratelimit-Limit"] == "200"
    assert (first["X-Ratelimit-Remaining"], second["X-Ratelimit-Remaining"]) == ("199", "198")
    assert first["X-Request-ID"] != second["X-Request-ID"]


def test_beyond_the_limit_it_says_so_until_the_minute_is_over(bank):
    bank.alpaca.requests_per_minute = 2
    statuses = [alpaca(bank, "account").status for _call in range(3)]
    assert statuses == [200, 200, 429]
    reset = int(alpaca(bank, "account").headers["X-Ratelimit-Reset"])
    assert 0 < reset - bank.clock.now().timestamp() <= 60
    bank.clock.advance(minutes=1)
    assert alpaca(bank, "account").status == 200


def test_the_limit_is_per_account(bank):
    bank.alpaca.requests_per_minute = 1
    assert alpaca(bank, "account").status == 200
    assert alpaca(bank, "account", person="sam").status == 200
