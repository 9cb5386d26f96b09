"""The fault dial: what goes wrong, where, how often."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from http.client import IncompleteRead, RemoteDisconnected

import pytest

from connections.sandbox.bank import Bank
from connections.sandbox.faults import Fault, http_date
from tests.sandbox.client import (
    NOW,
    TRADER,
    activities,
    alpaca,
    bearer,
    call,
    connect,
    log_in,
    refresh,
    transactions_path,
    window,
)

ACTIVITIES = "/alpaca/paper/v2/account/activities"


def page(bank, **params):
    return alpaca(bank, "account/activities", {"page_size": 5, **params})


def accounts(bank, tokens):
    return call(bank, f"{TRADER}/accounts", {"fields": "positions"}, headers=bearer(tokens))


def spoiled_page(bank, fault, **how):
    bank.faults.add(ACTIVITIES, fault, **how)
    return page(bank)


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (Fault.UNAUTHORIZED, 401, '"message":"unauthorized."'),
        (Fault.UNAUTHORIZED_LIST, 401, '"detail":"Client not authorized"'),
        (Fault.FORBIDDEN, 403, '"forbidden."'),
        (Fault.FORBIDDEN_HTML, 403, "<H1>Access Denied</H1>"),
        (Fault.RATE_LIMITED, 429, "rate limit exceeded"),
        (Fault.SERVER_ERROR, 500, "Whitelabel Error Page"),
        (Fault.BAD_GATEWAY, 502, "<h1>502"),
        (Fault.UNAVAILABLE, 503, "service unavailable"),
        (Fault.GATEWAY_TIMEOUT, 504, "request timed out"),
        (Fault.LOGIN_PAGE, 200, "Please log in"),
    ],
)
def test_an_error_stands_in_for_the_answer(bank, fault, status, words):
    reply = spoiled_page(bank, fault)
    assert reply.status == status
    assert words in reply.text


@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED, Fault.FORBIDDEN, Fault.RATE_LIMITED])
def test_an_error_of_schwab_has_the_documented_shape(bank, fault):
    bank.faults.add("/schwab/*", fault)
    content = call(bank, f"{TRADER}/accounts").json()
    assert content == {"message": content["message"], "errors": [content["message"]]}


@pytest.mark.parametrize("value", ["30", http_date(NOW), "0", "-5", "soon", "1000000000", None])
def test_retry_after_is_sent_as_it_stands(bank, value):
    assert spoiled_page(bank, Fault.RATE_LIMITED, retry_after=value).headers["Retry-After"] == value


def test_an_http_date_is_in_gmt():
    assert http_date(NOW) == "Fri, 20 Nov 2026 17:00:00 GMT"


def test_a_fault_strikes_once_and_at_the_call_it_is_set_for(bank):
    bank.faults.add(ACTIVITIES, Fault.UNAVAILABLE, at=3)
    assert [page(bank).status for _call in range(4)] == [200, 200, 503, 200]


def test_a_fault_strikes_as_often_as_it_is_told(bank):
    bank.faults.add(ACTIVITIES, Fault.UNAVAILABLE, times=2)
    assert [page(bank).status for _call in range(3)] == [503, 503, 200]


def test_a_fault_without_an_end_strikes_until_it_is_cleared(bank):
    bank.faults.add("/alpaca/*", Fault.UNAVAILABLE, times=None)
    assert {page(bank).status for _call in range(5)} == {503}
    bank.faults.clear()
    assert page(bank).status == 200


def test_a_fault_leaves_other_paths_alone(bank):
    bank.faults.add("/alpaca/live/*", Fault.UNAVAILABLE, times=None)
    assert page(bank).status == 200


def test_a_slow_answer_comes_late(bank):
    begun = time.monotonic()
    assert spoiled_page(bank, Fault.SLOW, seconds=0.3).status == 200
    assert time.monotonic() - begun >= 0.3


def test_a_drip_is_whole_in_the_end(bank):
    whole = page(bank).text
    assert spoiled_page(bank, Fault.DRIP, seconds=0.00001).text == whole


def test_a_closing_bank_lets_go_of_whoever_waits():
    begun = time.monotonic()
    with Bank(now=NOW, size=0) as bank:
        bank.faults.add("/", Fault.SLOW, seconds=60)
        with pytest.raises(TimeoutError):
            call(bank, "/", timeout=0.1)
    assert time.monotonic() - begun < 10


def test_a_closing_bank_ends_a_drip():
    with Bank(now=NOW, size=0) as bank:
        bank.faults.add("/", Fault.DRIP, seconds=60)
        connection = connect(bank)
        connection.request("GET", "/")
        answer = connection.getresponse()
    with pytest.raises(IncompleteRead):
        answer.read()
    connection.close()


def test_a_truncated_answer_promises_more_than_it_sends(bank):
    with pytest.raises(IncompleteRead):
        spoiled_page(bank, Fault.TRUNCATED)


def test_a_dropped_answer_never_comes(bank):
    with pytest.raises(RemoteDisconnected):
        spoiled_page(bank, Fault.DROPPED)


def test_malformed_json_does_not_parse(bank):
    with pytest.raises(json.JSONDecodeError):
        spoiled_page(bank, Fault.MALFORMED).json()


def test_an_endless_number_is_no_number(bank):
    with pytest.raises(ValueError, match="digits"):
        spoiled_page(bank, Fault.ENDLESS_NUMBER).json()


def test_a_deep_answer_goes_deeper_than_parsers_go(bank):
    with pytest.raises(RecursionError):
        spoiled_page(bank, Fault.TOO_DEEP).json()


def test_nan_is_a_bare_word_in_json(bank):
    tokens = log_in(bank)
    bank.faults.add(f"{TRADER}/accounts", Fault.NAN)
    assert '"cashBalance":NaN' in accounts(bank, tokens).text


def test_nan_is_a_text_where_figures_are_texts(bank):
    bank.faults.add("/alpaca/paper/v2/account", Fault.NAN)
    assert alpaca(bank, "account").json()["cash"] == "NaN"


def test_a_huge_number_has_thirty_zeros(bank):
    bank.faults.add("/alpaca/paper/v2/account", Fault.HUGE_NUMBER)
    assert float(alpaca(bank, "account").json()["equity"]) == 1e30


def test_an_empty_list_looks_like_success(bank):
    reply = spoiled_page(bank, Fault.EMPTY_LIST)
    assert (reply.status, reply.json()) == (200, [])


def test_one_account_can_be_missing(bank):
    tokens = log_in(bank)
    before = accounts(bank, tokens).json()
    bank.faults.add(f"{TRADER}/accounts", Fault.MISSING_ACCOUNT)
    assert accounts(bank, tokens).json() == before[1:]


def test_a_field_can_be_missing_at_any_depth(bank):
    tokens = log_in(bank)
    bank.faults.add("*/transactions", Fault.MISSING_FIELD, field="symbol")
    reply = call(bank, transactions_path(bank), window(), headers=bearer(tokens))
    assert len(reply.json()) > 100
    assert '"symbol"' not in reply.text


def test_rows_can_come_twice(bank):
    rows = page(bank).json()
    assert spoiled_page(bank, Fault.DUPLICATE_ROWS).json() == [
        row for row in rows for _time in "ab"
    ]


def test_rows_can_come_in_another_order(bank):
    rows = page(bank).json()
    assert spoiled_page(bank, Fault.SHUFFLED).json() == rows[::-1]


def test_a_page_can_come_again_for_ever(bank):
    first = page(bank).json()
    bank.faults.add(ACTIVITIES, Fault.REPEATED_PAGE, times=None)
    again = [page(bank, page_token=first[-1]["id"]).json() for _call in range(3)]
    assert again == [first, first, first]


def test_a_page_that_changes_behind_the_reader_gains_a_row_and_another_wording(bank):
    tokens = log_in(bank)
    bank.faults.add("*/transactions", Fault.MUTATED_PAGE)
    before, after = (
        call(bank, transactions_path(bank), window(), headers=bearer(tokens)).json()
        for _call in range(2)
    )
    assert after[0]["description"] == "LATE CREDIT"
    assert after[1]["description"] == f"{before[0].get('description', '')} (changed)".strip()
    assert after[2:] == before[1:]


def test_alpacas_pages_stay_whole_when_they_change_behind_the_reader(bank):
    before = activities(bank, size=50)
    bank.faults.add(ACTIVITIES, Fault.MUTATED_PAGE, times=3)
    during, after = activities(bank, size=50), activities(bank, size=50)
    assert {row["id"] for row in during} == {row["id"] for row in before}
    assert [row["activity_type"] for row in after[:3]] == ["MISC"] * 3


def test_a_mutation_of_no_list_changes_nothing(bank):
    before = alpaca(bank, "account").json()
    bank.faults.add("/alpaca/paper/v2/account", Fault.MUTATED_PAGE)
    assert alpaca(bank, "account").json() == before == alpaca(bank, "account").json()


@pytest.mark.parametrize(
    ("fault", "field", "lie"),
    [
        (Fault.LIE_CURRENCY, "currency", "<script>alert(1)</script>"),
        (Fault.LIE_YEAR, "tradeDate", "9999-"),
        (Fault.LIE_ACCOUNT, "accountNumber", "99999999"),
    ],
)
def test_a_row_can_lie(bank, fault, field, lie):
    tokens = log_in(bank)
    bank.faults.add("*/transactions", fault)
    rows = call(bank, transactions_path(bank), window(), headers=bearer(tokens)).json()
    assert rows[0][field].startswith(lie)
    assert not rows[1].get(field, "").startswith(lie)


def test_a_lie_about_an_empty_list_is_an_empty_list(bank):
    tokens = log_in(bank)
    bank.faults.add("*/transactions", Fault.LIE_YEAR)
    params = window("2027-01-01", "2027-02-01")
    assert call(bank, transactions_path(bank), params, headers=bearer(tokens)).json() == []


def test_consent_can_be_revoked_in_the_middle(bank):
    tokens = log_in(bank)
    bank.faults.add("*/transactions", Fault.REVOKED_CONSENT)
    assert accounts(bank, tokens).status == 200
    assert call(bank, transactions_path(bank), window(), headers=bearer(tokens)).status == 401
    assert refresh(bank, tokens["refresh_token"]).status == 400
    assert accounts(bank, log_in(bank)).status == 200


def test_keys_can_be_refused_in_the_middle(bank):
    bank.faults.add(ACTIVITIES, Fault.KEYS_REFUSED)
    assert alpaca(bank, "account").status == 200
    assert page(bank).status == 401
    assert alpaca(bank, "account").status == 401


def test_every_request_is_recorded_without_secrets(bank):
    tokens = log_in(bank)
    bank.faults.add("*/transactions", Fault.UNAVAILABLE)
    call(bank, transactions_path(bank), window(), headers=bearer(tokens))
    last = bank.requests[-1]
    assert (last.method, last.status, last.fault) == ("GET", 503, "unavailable")
    assert dict(last.query)["startDate"] == "2026-01-01T00:00:00.000Z"
    assert "authorization" in last.headers
    assert bank.clock.now() - last.at < timedelta(minutes=1)
    assert tokens["access_token"] not in repr(bank.requests)


def test_a_forms_names_are_recorded_and_its_values_not(bank):
    refresh(bank, log_in(bank)["refresh_token"])
    assert bank.requests[-1].form == ("grant_type", "refresh_token")


def test_a_secret_in_a_query_is_not_kept(bank):
    call(bank, "/schwab/v1/oauth/authorize", {"code": "geheim", "client_id": "x"})
    assert bank.requests[-1].query == (("code", "…"), ("client_id", "x"))
