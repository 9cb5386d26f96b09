"""Answers seen by others, where they lie beside the project: no row of them is refused."""

from __future__ import annotations

import json
from datetime import date

from accounts.types import Rejected
from connections.provider import provider
from tests.providers.recorded import Wire
from tests.requirements import fixtures_folder

TODAY = date(2026, 11, 1)
ALPACA_ACTIVITIES = (
    "alpaca-py_resp_one_1",
    "alpaca-py_resp_two_2",
    "alpaca-py_test_get_activities_for_account_max_items_and_single_request_date_3",
)


def seen(slug, name):
    return json.loads((fixtures_folder() / slug / f"{name}.json").read_text())


def all_of(source):
    account = next(iter(source.accounts()))
    rows = [one for page in source.transactions(account, None, TODAY) for one in page]
    found = [account, *rows, *source.holdings(account)]
    assert not [one for one in found if isinstance(one, Rejected)]
    return rows


def test_schwab_answers_that_were_seen_are_read():
    numbers = seen("schwab", "accountNumbers.200")
    base = "/trader/v1/accounts"
    path = f"{base}/{numbers[0]['hashValue']}"
    answers = {
        f"{base}/accountNumbers": [numbers],
        base: [seen("schwab", "accounts_fields_positions.200")],
        "/trader/v1/userPreference": [seen("schwab", "userPreference.200")],
        path: [seen("schwab", "account_by_hash_positions.200")],
        f"{path}/transactions": [seen("schwab", "transactions.200"), []],
    }
    assert len(all_of(provider("schwab")(Wire(answers)))) == 8


def test_alpaca_answers_that_were_seen_are_read():
    account = seen("alpaca", "spec_GET_v2_account.200")
    pages = [seen("alpaca", name) for name in ALPACA_ACTIVITIES]
    rows = [{**row, "account_id": account["id"]} for page in pages for row in page]
    answers = {
        "/v2/account": [account],
        "/v2/positions": [seen("alpaca", "alpaca-py_test_get_all_positions_1")],
        "/v2/account/activities": [rows, []],
    }
    assert len(all_of(provider("alpaca")(Wire(answers)))) == len(rows) > 10
