"""Schwab in the sandbox refuses what the real one refuses."""

from __future__ import annotations

import pytest

from tests.sandbox.client import (
    TRADER,
    bearer,
    call,
    log_in,
    schwab_account,
    transactions_path,
    window,
)

BAD_WINDOWS = {
    "no start": (window(startDate=None), "'startDate' is not present"),
    "no end": (window(endDate=None), "'endDate' is not present"),
    "no types": (window(types=None), "'types' is not present"),
    "date only": (window(startDate="2026-01-01"), "is not a valid value for startDate"),
    "microseconds": (
        window(endDate="2026-01-01T00:00:00.000000Z"),
        "not a valid value for endDate",
    ),
    "offset": (window(endDate="2026-01-01T00:00:00.000+0000"), "not a valid value for endDate"),
    "no such day": (
        window(startDate="2026-02-30T00:00:00.000Z"),
        "not a valid value for startDate",
    ),
    "unknown type": (window(types="TRADE,TRANSFER"), "'TRANSFER' is not a valid value for types"),
    "empty type": (window(types=""), "is not a valid value for types"),
    "over a year": (window("2025-01-01", "2026-06-01"), "within one year"),
    "backwards": (window("2026-06-01", "2026-05-01"), "before endDate"),
    "unknown": (window(pageSize="10"), "Unknown parameter: pageSize"),
}


@pytest.mark.parametrize("name", BAD_WINDOWS)
def test_a_bad_window_is_refused(shared, tokens, name):
    params, sentence = BAD_WINDOWS[name]
    reply = call(shared, transactions_path(shared), params, headers=bearer(tokens))
    assert reply.status == 400
    assert sentence in reply.text


def test_a_parameter_given_twice_is_refused(shared, tokens):
    params = [*window().items(), ("types", "TRADE")]
    reply = call(shared, transactions_path(shared), params, headers=bearer(tokens))
    assert reply.json()["errors"] == ["A parameter is given twice"]


@pytest.mark.parametrize("rest", ["", "/transactions"])
def test_a_plain_number_in_a_path_is_refused(shared, tokens, rest):
    path = f"{TRADER}/accounts/{schwab_account(shared).number}{rest}"
    reply = call(shared, path, window() if rest else None, headers=bearer(tokens))
    assert (reply.status, reply.json()) == (400, {"message": "Invalid account number"})


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        (f"{TRADER}/accounts", {"fields": "balances"}, 400),
        (f"{TRADER}/accounts", {"positions": "true"}, 400),
        (f"{TRADER}/accounts/accountNumbers", {"page": "1"}, 400),
        (f"{TRADER}/userPreference", {"page": "1"}, 400),
        (f"{TRADER}/accounts/{'0' * 64}", None, 404),
        (f"{TRADER}/accounts/{'A' * 64}/transactions", window(), 404),
        (f"{TRADER}/quotes", None, 404),
    ],
)
def test_a_bad_call_is_refused(shared, tokens, path, params, status):
    assert call(shared, path, params, headers=bearer(tokens)).status == status


def test_an_unknown_transaction_is_not_found(shared, tokens):
    reply = call(shared, f"{transactions_path(shared)}/1", headers=bearer(tokens))
    assert reply.status == 404


def test_nothing_below_a_transaction_is_found(shared, tokens):
    reply = call(shared, f"{transactions_path(shared)}/1/legs", headers=bearer(tokens))
    assert reply.status == 404


@pytest.mark.parametrize(
    "header", [None, "Bearer ", "Bearer I0.AAAA@", "Bearer I0.A@", "Bearer x", "Basic eDp5"]
)
def test_without_a_good_token_nothing_is_told(shared, header):
    headers = {"Authorization": header} if header else {}
    reply = call(shared, f"{TRADER}/accounts/accountNumbers", headers=headers)
    assert reply.status == 401
    assert reply.json()["errors"][0]["detail"] == "Client not authorized"


def test_a_refresh_token_opens_no_data(shared, tokens):
    token = tokens["refresh_token"]
    for value in (token, token.replace("R0.", "I0.")):
        headers = {"Authorization": f"Bearer {value}"}
        assert call(shared, f"{TRADER}/accounts", headers=headers).status == 401


def test_data_is_only_read(shared, tokens):
    reply = call(shared, f"{TRADER}/accounts", method="POST", headers=bearer(tokens))
    assert reply.status == 405


def test_only_json_is_offered(shared, tokens):
    headers = bearer(tokens) | {"Accept": "text/csv"}
    assert call(shared, f"{TRADER}/accounts", headers=headers).status == 406


def test_an_account_that_was_not_ticked_is_not_there(shared):
    tokens = log_in(shared, "lee", only=1)
    numbers = call(shared, f"{TRADER}/accounts/accountNumbers", headers=bearer(tokens)).json()
    hidden = transactions_path(shared, "lee", 1)
    assert len(numbers) == 1
    assert call(shared, hidden, window(), headers=bearer(tokens)).status == 404


def test_every_data_answer_names_its_correlation(shared, tokens):
    reply = call(shared, f"{TRADER}/accounts", headers=bearer(tokens))
    assert reply.headers["Schwab-Client-CorrelId"]
