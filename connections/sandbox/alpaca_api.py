"""Alpaca's Trading API in the sandbox, as strict as the real one."""

from __future__ import annotations

import hmac
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connections.sandbox.alpaca_history import portfolio_history
from connections.sandbox.alpaca_life import sandbox_uuid
from connections.sandbox.alpaca_rows import PROVIDER, account_row, activity_row, position_rows
from connections.sandbox.wire import Answer, Fact, Refusal, path_segments, single, transaction_fact

if TYPE_CHECKING:
    from collections.abc import Callable

    from connections.sandbox.clock import Clock
    from connections.sandbox.ledger import Entry
    from connections.sandbox.market import Market
    from connections.sandbox.people import AlpacaAccount, People
    from connections.sandbox.wire import Request

    RowsOf = Callable[[AlpacaAccount, list[Entry], datetime, Market], tuple[Any, list[Fact]]]

PREFIX = "/alpaca"
ENVIRONMENTS = ("paper", "live")
MAX_PAGE = 100
REQUESTS_PER_MINUTE = 200
# What the listing may be filtered by.
ACTIVITY_TYPES = frozenset(
    [
        "FILL",
        "TRANS",
        "MISC",
        "ACATC",
        "ACATS",
        "CFEE",
        "CGD",
        "CSD",
        "CSW",
        "DIV",
        "DIVCGL",
        "DIVCGS",
        "DIVFEE",
        "DIVFT",
        "DIVNRA",
        "DIVROC",
        "DIVTW",
        "DIVTXEX",
        "FEE",
        "INT",
        "INTNRA",
        "INTTW",
        "JNL",
        "JNLC",
        "JNLS",
        "MA",
        "NC",
        "OPASN",
        "OPCA",
        "OPCSH",
        "OPEXC",
        "OPEXP",
        "OPTRD",
        "PTC",
        "PTR",
        "REORG",
        "SPIN",
        "SPLIT",
        "FOPT",
        "CIL",
        "DIVWH",
        "EXTRD",
        "FXTRD",
        "INTPNL",
        "MEM",
        "OCT",
        "SWP",
        "VOF",
        "WH",
    ]
)
_CATEGORIES = ("trade_activity", "non_trade_activity")
_LISTING = (
    "activity_types", "category", "date", "until", "after", "direction", "page_size", "page_token",
)  # fmt: skip
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII
)  # fmt: skip


def error(status: int, code: int | None, message: str) -> Refusal:
    """An error body; the gateway's have no code."""
    content = {} if code is None else {"code": code}
    return Refusal(Answer(status, {**content, "message": message}))


def bad_parameter(message: str) -> Refusal:
    """The caller's own mistake."""
    return error(422, 42210000, message)


@dataclass(slots=True)
class Budget:
    """How many requests an account has left in the running minute."""

    minute: int = 0
    used: int = 0


class AlpacaApi:
    """Account, positions, activities and history, paper and live."""

    def __init__(self, people: People, clock: Clock) -> None:
        """Serve these people's accounts."""
        self.refuses = False
        self.requests_per_minute = REQUESTS_PER_MINUTE
        self._people = people
        self._clock = clock
        self._budgets: dict[str, Budget] = {}
        self._requests = 0
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Answer:
        """Answer one call, with the rate headers, or raise Refusal."""
        environment, *rest = path_segments(request.path, PREFIX)
        account = self._account(request, environment)
        headers, is_over = self._count(account)
        try:
            if is_over:
                raise error(429, 42910000, "rate limit exceeded")
            answer = self._route(request, rest, account)
        except Refusal as refusal:
            answer = refusal.answer
        return Answer(
            answer.status, answer.content, {**answer.headers, **headers}, answer.facts, account.book
        )

    def _account(self, request: Request, environment: str) -> AlpacaAccount:
        key = request.headers.get("apca-api-key-id", "")
        secret = request.headers.get("apca-api-secret-key", "")
        if not key or not secret:
            raise error(401, None, "unauthorized.")
        for account in self._people.alpaca_accounts():
            if account.key_id == key and hmac.compare_digest(
                account.secret.encode(), secret.encode()
            ):
                if self.refuses:
                    break
                if account.environment != environment:
                    raise error(403, None, "forbidden.")
                return account
        raise error(401, 40110000, "request is not authorized")

    def _count(self, account: AlpacaAccount) -> tuple[dict[str, str], bool]:
        minute = int(self._clock.now().timestamp()) // 60
        with self._lock:
            self._requests += 1
            budget = self._budgets.setdefault(account.key_id, Budget())
            if budget.minute != minute:
                budget.minute, budget.used = minute, 0
            budget.used += 1
            left = self.requests_per_minute - budget.used
            number = self._requests
        headers = {
            "X-Ratelimit-Limit": str(self.requests_per_minute),
            "X-Ratelimit-Remaining": str(max(left, 0)),
            "X-Ratelimit-Reset": str((minute + 1) * 60),
            "X-Request-ID": sandbox_uuid("request", number).replace("-", ""),
        }
        return headers, left < 0

    def _route(self, request: Request, rest: list[str], account: AlpacaAccount) -> Answer:
        if request.method != "GET":
            raise error(405, None, "method not allowed.")
        match rest:
            case ["v2", "account"]:
                _parameters(request, ())
                row, facts = self._told(account, account_row)
                return Answer(200, row, facts=tuple(facts))
            case ["v2", "positions"]:
                _parameters(request, ())
                rows, facts = self._told(account, position_rows)
                return Answer(200, rows, facts=tuple(facts))
            case ["v2", "account", "activities"]:
                return self._activities(account, _parameters(request, _LISTING))
            case ["v2", "account", "activities", kind]:
                given = _parameters(request, _LISTING[2:])
                return self._activities(account, given | {"activity_types": kind})
            case ["v2", "account", "portfolio", "history"]:
                now = self._clock.now()
                entries = account.book.visible(now)
                content = portfolio_history(request, entries, now, self._people.market)
                return Answer(200, content)
        raise error(404, 40410000, "endpoint not found")

    def _told(self, account: AlpacaAccount, rows_of: RowsOf) -> tuple[Any, list[Fact]]:
        now = self._clock.now()
        return rows_of(account, account.book.visible(now), now, self._people.market)

    def _activities(self, account: AlpacaAccount, given: dict[str, str]) -> Answer:
        now = self._clock.now()
        wanted = _filter(given)
        entries = [entry for entry in account.book.visible(now) if wanted(entry)]
        direction = given.get("direction", "desc")
        if direction not in {"asc", "desc"}:
            raise bad_parameter("invalid direction")
        if direction == "desc":
            entries.reverse()
        if "page_token" in given:
            entries = _after_token(entries, given["page_token"])
        return self._page(account, entries[: _page_size(given)], now)

    def _page(self, account: AlpacaAccount, entries: list[Entry], now: datetime) -> Answer:
        facts = tuple(
            transaction_fact(entry, PROVIDER, account.account_id, now) for entry in entries
        )
        return Answer(200, [activity_row(entry) for entry in entries], facts=facts)

    def everything(self) -> list[Fact]:
        """All that could be told now, whoever may ask."""
        facts: list[Fact] = []
        now = self._clock.now()
        for account in self._people.alpaca_accounts():
            facts += self._told(account, account_row)[1]
            facts += self._told(account, position_rows)[1]
            facts += self._page(account, account.book.visible(now), now).facts
        return facts


def _parameters(request: Request, allowed: tuple[str, ...]) -> dict[str, str]:
    given = single(request.params())
    if given is None:
        raise bad_parameter("duplicate parameter")
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise bad_parameter(f"unknown parameter: {unknown[0]}")
    return given


def _filter(given: dict[str, str]) -> Callable[[Entry], bool]:
    kinds = set(given["activity_types"].split(",")) if "activity_types" in given else None
    category = given.get("category")
    if kinds is not None and category is not None:
        raise bad_parameter("category and activity_types are mutually exclusive")
    if kinds is not None and not kinds <= ACTIVITY_TYPES:
        raise bad_parameter(f"invalid activity type: {sorted(kinds - ACTIVITY_TYPES)[0]}")
    if category not in {None, *_CATEGORIES}:
        raise bad_parameter("invalid category")
    begin, end = _window(given)

    def wanted(entry: Entry) -> bool:
        return (
            begin < entry.at < end
            and (kinds is None or entry.kind in kinds)
            and (category is None or (entry.kind == "FILL") == (category == _CATEGORIES[0]))
        )

    return wanted


def _window(given: dict[str, str]) -> tuple[datetime, datetime]:
    begin = datetime.min.replace(tzinfo=UTC)
    end = datetime.max.replace(tzinfo=UTC)
    if "date" in given:
        if "until" in given or "after" in given:
            raise bad_parameter("date and until/after are mutually exclusive")
        begin = _moment("date", given["date"])
        midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(microseconds=1), midnight + timedelta(days=1)
    if "after" in given:
        begin = _moment("after", given["after"])
    if "until" in given:
        end = _moment("until", given["until"])
    return begin, end


def _moment(name: str, value: str) -> datetime:
    if _DAY.fullmatch(value):
        value = f"{value}T00:00:00Z"
    try:
        at = datetime.fromisoformat(value) if _RFC3339.fullmatch(value) else None
    except ValueError:
        at = None
    if at is None or not 1900 < at.year < 9000:
        raise bad_parameter(f"invalid {name}")
    return at.astimezone(UTC)


def _page_size(given: dict[str, str]) -> int | None:
    if "page_size" not in given:
        return None if "date" in given else MAX_PAGE
    text = given["page_size"]
    is_number = text.isascii() and text.isdigit() and len(text) < 5
    if not is_number or int(text) < 1 or (int(text) > MAX_PAGE and "date" not in given):
        raise bad_parameter("invalid page_size")
    return int(text)


def _after_token(entries: list[Entry], token: str) -> list[Entry]:
    for index, entry in enumerate(entries):
        if entry.id == token:
            return entries[index + 1 :]
    raise bad_parameter("invalid page_token")
