"""Schwab's Trader API in the sandbox, as strict as the real one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from connections.sandbox.schwab_rows import PROVIDER, account_row, transaction_row
from connections.sandbox.wire import (
    JSON,
    Answer,
    Fact,
    Refusal,
    path_segments,
    single,
    transaction_fact,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from connections.sandbox.clock import Clock
    from connections.sandbox.ledger import Entry
    from connections.sandbox.people import People, SchwabAccount
    from connections.sandbox.schwab_login import Login
    from connections.sandbox.wire import Request

PREFIX = "/schwab/trader/v1"
MAX_ROWS = 3000
MAX_SPAN = timedelta(days=366)
TYPES = frozenset(
    [
        "TRADE",
        "RECEIVE_AND_DELIVER",
        "DIVIDEND_OR_INTEREST",
        "ACH_RECEIPT",
        "ACH_DISBURSEMENT",
        "CASH_RECEIPT",
        "CASH_DISBURSEMENT",
        "ELECTRONIC_FUND",
        "WIRE_OUT",
        "WIRE_IN",
        "JOURNAL",
        "MEMORANDUM",
        "MARGIN_CALL",
        "MONEY_MARKET",
        "SMA_ADJUSTMENT",
    ]
)
_REQUIRED = ("startDate", "endDate", "types")
_MILLISECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_PLAIN_NUMBER = re.compile(r"\d{1,12}", re.ASCII)


def error(status: int, message: str, *details: str) -> Refusal:
    """The documented error body; without details it has only a message, as seen live."""
    content: dict[str, object] = {"message": message}
    if details:
        content["errors"] = list(details)
    return Refusal(Answer(status, content))


def unauthorized() -> Answer:
    """The 401 that data calls answer with."""
    detail = {
        "id": "00000000-0000-0000-0000-000000000000", "status": 401, "title": "Unauthorized",
        "detail": "Client not authorized",
    }  # fmt: skip
    return Answer(401, {"errors": [detail]})


class SchwabApi:
    """The data calls of the Trader API."""

    def __init__(self, people: People, clock: Clock, login: Login) -> None:
        """Serve these people's accounts to whom `login` lets in."""
        self._people = people
        self._clock = clock
        self._login = login

    def answer(self, request: Request) -> Answer:
        """Answer one call, or raise Refusal."""
        accounts = self._login.accounts_for(request.headers.get("authorization", ""))
        if accounts is None:
            raise Refusal(unauthorized())
        if request.method != "GET":
            raise error(405, "Method not allowed")
        accepted = request.headers.get("accept", "*/*")
        if not any(kind in accepted for kind in (JSON, "*/*", "application/*")):
            raise error(406, "Not acceptable")
        match path_segments(request.path, PREFIX):
            case ["accounts", key, *rest] if key != "accountNumbers":
                return self._of_account(request, _chosen(accounts, key), rest)
            case [*path] if "/".join(path) in _SHARED:
                return _SHARED["/".join(path)](self, request, accounts)
        raise _nothing_at(request)

    def _of_account(self, request: Request, account: SchwabAccount, rest: list[str]) -> Answer:
        match rest:
            case []:
                return self._account(request, account)
            case ["transactions"]:
                return self._transactions(request, account)
            case ["transactions", activity]:
                return self._transaction(request, account, activity)
        raise _nothing_at(request)

    def _numbers(self, request: Request, accounts: list[SchwabAccount]) -> Answer:
        _parameters(request, ())
        rows = [
            {"accountNumber": account.number, "hashValue": account.hash_value}
            for account in accounts
        ]
        return Answer(200, rows)

    def _preference(self, request: Request, accounts: list[SchwabAccount]) -> Answer:
        _parameters(request, ())
        rows = [
            {
                "accountNumber": account.number, "primaryAccount": not number,
                "type": "BROKERAGE", "nickName": account.nickname,
                "displayAcctId": f"...{account.number[-3:]}", "autoPositionEffect": True,
                "accountColor": "Green",
            }
            for number, account in enumerate(accounts)
        ]  # fmt: skip
        offers = [{"level2Permissions": True, "mktDataPermission": "NP"}]
        return Answer(200, {"accounts": rows, "streamerInfo": [], "offers": offers})

    def _accounts(self, request: Request, accounts: list[SchwabAccount]) -> Answer:
        full = _wants_positions(request)
        told = [self._told(account, full=full) for account in accounts]
        # The facts of the accounts stand first: one for each row of the list.
        facts = [found[0] for _row, found in told] + [
            fact for _row, found in told for fact in found[1:]
        ]
        return Answer(200, [row for row, _facts in told], facts=tuple(facts))

    def _account(self, request: Request, account: SchwabAccount) -> Answer:
        row, facts = self._told(account, full=_wants_positions(request))
        return Answer(200, row, facts=tuple(facts), book=account.book)

    def _told(self, account: SchwabAccount, *, full: bool) -> tuple[dict[str, object], list[Fact]]:
        now = self._clock.now()
        entries = account.book.visible(now)
        return account_row(account, entries, now, self._people.market, full=full)

    def _transactions(self, request: Request, account: SchwabAccount) -> Answer:
        given = _parameters(request, (*_REQUIRED, "symbol"))
        missing = [name for name in _REQUIRED if name not in given]
        if missing:
            raise error(400, f"Required request parameter '{missing[0]}' is not present")
        start, end = (_moment(name, given[name]) for name in ("startDate", "endDate"))
        types = set(given["types"].split(","))
        if not types <= TYPES:
            unknown = sorted(types - TYPES)[0]
            raise error(400, f"'{unknown}' is not a valid value for types")
        if start > end:
            raise error(400, "Invalid input", "startDate must be before endDate")
        if end - start > MAX_SPAN:
            raise error(400, "Invalid input", "startDate and endDate must be within one year")
        chosen = [
            entry
            for entry in reversed(account.book.visible(self._clock.now()))
            if start <= entry.at <= end
            and entry.kind in types
            and given.get("symbol", entry.symbol) == entry.symbol
        ]
        return self._rows(account, chosen[:MAX_ROWS])

    def _rows(self, account: SchwabAccount, entries: list[Entry]) -> Answer:
        now, market = self._clock.now(), self._people.market
        rows = [transaction_row(entry, account, now, market) for entry in entries]
        facts = tuple(
            transaction_fact(entry, PROVIDER, account.hash_value, now) for entry in entries
        )
        return Answer(200, rows, facts=facts, book=account.book)

    def _transaction(self, request: Request, account: SchwabAccount, activity: str) -> Answer:
        _parameters(request, ())
        now = self._clock.now()
        found = [entry for entry in account.book.visible(now) if entry.id == activity]
        if not found:
            raise error(404, "Not found", f"No transaction {activity}")
        answer = self._rows(account, found)
        return Answer(200, answer.content[0], facts=answer.facts, book=account.book)

    def everything(self) -> list[Fact]:
        """All that could be told now, whoever may ask."""
        facts: list[Fact] = []
        for account in self._people.schwab_accounts():
            facts += self._told(account, full=True)[1]
            facts += self._rows(account, account.book.visible(self._clock.now())).facts
        return facts


_SHARED: dict[str, Callable[[SchwabApi, Request, list[SchwabAccount]], Answer]] = {
    "accounts": SchwabApi._accounts,
    "accounts/accountNumbers": SchwabApi._numbers,
    "userPreference": SchwabApi._preference,
}


def _nothing_at(request: Request) -> Refusal:
    return error(404, "Not found", f"No resource at {request.path}")


def _parameters(request: Request, allowed: tuple[str, ...]) -> dict[str, str]:
    given = single(request.params())
    if given is None:
        raise error(400, "Invalid input", "A parameter is given twice")
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise error(400, "Invalid input", f"Unknown parameter: {unknown[0]}")
    return given


def _wants_positions(request: Request) -> bool:
    fields = _parameters(request, ("fields",)).get("fields")
    if fields not in {None, "positions"}:
        raise error(400, f"'{fields}' is not a valid value for fields")
    return fields is not None


def _chosen(accounts: list[SchwabAccount], key: str) -> SchwabAccount:
    if _PLAIN_NUMBER.fullmatch(key):
        raise error(400, "Invalid account number")
    for account in accounts:
        if account.hash_value == key:
            return account
    raise error(404, "Not found", "No such account")


def _moment(name: str, value: str) -> datetime:
    refusal = error(400, f"'{value}' is not a valid value for {name}")
    if not _MILLISECONDS.fullmatch(value):
        raise refusal
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        raise refusal from None
