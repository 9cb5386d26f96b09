"""A plain HTTP client and a person at the browser, for talking to the bank in a box."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPMessage
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from connections.sandbox.bank import DEFAULT_CALLBACKS
from connections.sandbox.registration import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from connections.sandbox.schwab_login import AUTHORIZE, TOKEN
from connections.sandbox.wire import FORM

if TYPE_CHECKING:
    from connections.sandbox.bank import Bank
    from connections.sandbox.people import People, Person

NOW = datetime(2026, 11, 20, 17, tzinfo=UTC)
CALLBACK = DEFAULT_CALLBACKS[0]
MOST_PAGES = 2000
TRADER = "/schwab/trader/v1"
ALL_TYPES = (
    "TRADE,RECEIVE_AND_DELIVER,DIVIDEND_OR_INTEREST,ACH_RECEIPT,ACH_DISBURSEMENT,CASH_RECEIPT,"
    "CASH_DISBURSEMENT,ELECTRONIC_FUND,WIRE_OUT,WIRE_IN,JOURNAL,MEMORANDUM,MARGIN_CALL,"
    "MONEY_MARKET,SMA_ADJUSTMENT"
)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: HTTPMessage
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def call(bank, path, params=None, *, method="GET", headers=None, body=None, timeout=10) -> Reply:
    connection = connect(bank, timeout)
    try:
        target = f"{path}?{urlencode(params)}" if params else path
        connection.request(
            method, target, body=body, headers={"User-Agent": "tests"} | (headers or {})
        )
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read().decode())
    finally:
        connection.close()


def connect(bank, timeout=10) -> HTTPConnection:
    return HTTPConnection(urlsplit(bank.url).netloc, timeout=timeout)


def post(bank, path, form, headers=None) -> Reply:
    told = {"Content-Type": FORM} | (headers or {})
    return call(bank, path, method="POST", headers=told, body=urlencode(form))


def steer(bank, path, content) -> Reply:
    told = {"Content-Type": "application/json"}
    return call(bank, path, method="POST", headers=told, body=json.dumps(content))


def somebody(people: People, slug: str) -> Person:
    person = people.person(slug)
    assert person
    return person


def asked(**changes) -> dict[str, str]:
    told = {"client_id": SANDBOX_CLIENT_ID, "redirect_uri": CALLBACK, "state": "s1"} | changes
    return {name: value for name, value in told.items() if value is not None}


def consent(bank: Bank, person="nora", decision="allow", *, only=None, **changes) -> dict[str, str]:
    """Fill in the consent page; what the callback is told."""
    accounts = [account.hash_value for account in somebody(bank.people, person).schwab][:only]
    form = [*asked(**changes).items(), ("person", person), ("decision", decision)]
    reply = post(bank, AUTHORIZE, form + [("account", account) for account in accounts])
    assert reply.status == 302, reply.text
    query = parse_qs(urlsplit(reply.headers["Location"]).query)
    return {name: values[0] for name, values in query.items()}


def basic(key=SANDBOX_CLIENT_ID, secret=SANDBOX_CLIENT_SECRET) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()}


def exchange(bank, code, **changes) -> Reply:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK} | changes
    return post(bank, TOKEN, form, basic())


def refresh(bank, token) -> Reply:
    return post(bank, TOKEN, {"grant_type": "refresh_token", "refresh_token": token}, basic())


def log_in(bank, person="nora", **how) -> dict[str, Any]:
    tokens: dict[str, Any] = exchange(bank, consent(bank, person, **how)["code"]).json()
    return tokens


def bearer(tokens) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def schwab_account(bank, person="nora", number=0):
    return somebody(bank.people, person).schwab[number]


def transactions_path(bank, person="nora", number=0) -> str:
    return f"{TRADER}/accounts/{schwab_account(bank, person, number).hash_value}/transactions"


def window(start="2026-01-01", end="2026-12-31", **changes) -> dict[str, str]:
    told = {
        "startDate": f"{start}T00:00:00.000Z",
        "endDate": f"{end}T23:59:59.999Z",
        "types": ALL_TYPES,
    } | changes
    return {name: value for name, value in told.items() if value is not None}


def history(bank, tokens, person="nora", number=0) -> list[dict[str, Any]]:
    """Every transaction of an account, year by year."""
    path, headers = transactions_path(bank, person, number), bearer(tokens)
    years = [window(f"{year}-01-01", f"{year}-12-31") for year in range(2022, 2027)]
    return [row for year in years for row in call(bank, path, year, headers=headers).json()]


def keys(bank, person="nora", environment="paper") -> dict[str, str]:
    account = alpaca_account(bank, person, environment)
    return {"APCA-API-KEY-ID": account.key_id, "APCA-API-SECRET-KEY": account.secret}


def alpaca_account(bank, person="nora", environment="paper"):
    accounts = somebody(bank.people, person).alpaca
    return next(account for account in accounts if account.environment == environment)


def alpaca(bank, path, params=None, *, person="nora", environment="paper") -> Reply:
    headers = keys(bank, person, environment)
    return call(bank, f"/alpaca/{environment}/v2/{path}", params, headers=headers)


def activities(bank, *, size=100, **how) -> list[dict[str, Any]]:
    """Every activity of an account, page by page until an empty one."""
    rows: list[dict[str, Any]] = []
    for _page in range(MOST_PAGES):
        token = {"page_token": rows[-1]["id"]} if rows else {}
        page = alpaca(bank, "account/activities", {"page_size": size, **token}, **how).json()
        if not page:
            return rows
        rows += page
    raise AssertionError("The pages never end.")
