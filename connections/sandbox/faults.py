"""The fault dial: what goes wrong, at which path, at which call."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from connections.sandbox.pages import access_denied_page, whitelabel_page
from connections.sandbox.schwab_api import unauthorized
from connections.sandbox.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Callable


class Fault(StrEnum):
    """What can go wrong with one answer."""

    # The answer is another one.
    UNAUTHORIZED = "unauthorized"
    UNAUTHORIZED_LIST = "unauthorized_list"
    FORBIDDEN_HTML = "forbidden_html"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    BAD_GATEWAY = "bad_gateway"
    UNAVAILABLE = "unavailable"
    GATEWAY_TIMEOUT = "gateway_timeout"
    LOGIN_PAGE = "login_page"
    # The answer comes badly.
    SLOW = "slow"
    DRIP = "drip"
    TRUNCATED = "truncated"
    DROPPED = "dropped"
    MALFORMED = "malformed"
    TOO_DEEP = "too_deep"
    # The answer says something else.
    NAN = "nan"
    HUGE_NUMBER = "huge_number"
    ENDLESS_NUMBER = "endless_number"
    EMPTY_LIST = "empty_list"
    MISSING_ACCOUNT = "missing_account"
    MISSING_FIELD = "missing_field"
    DUPLICATE_ROWS = "duplicate_rows"
    SHUFFLED = "shuffled"
    REPEATED_PAGE = "repeated_page"
    MUTATED_PAGE = "mutated_page"
    LIE_CURRENCY = "lie_currency"
    LIE_YEAR = "lie_year"
    LIE_ACCOUNT = "lie_account"
    # Something happens behind it.
    REVOKED_CONSENT = "revoked_consent"
    KEYS_REFUSED = "keys_refused"


# These reach the client broken or not at all: they tell nothing.
UNREADABLE = frozenset(
    {Fault.TRUNCATED, Fault.DROPPED, Fault.MALFORMED, Fault.TOO_DEEP, Fault.NAN,
     Fault.ENDLESS_NUMBER}
)  # fmt: skip
HUGE = Decimal(10) ** 30
_ENDLESS_DIGITS = 5000
_DEPTH = 100_000
_NOT_A_NUMBER = float("nan")
_ANOTHER = "99999999"


@dataclass(slots=True)
class Rule:
    """One fault: at calls whose path matches, from the `at`-th on, `times` times (None: always).

    `seconds` is how long a slow answer waits, or a dripping one between two bytes; `retry_after`
    is sent as it stands; `field` is the name of the one that is missing.
    """

    path: str
    fault: Fault
    times: int | None = 1
    at: int = 1
    seconds: float = 1.0
    retry_after: str | None = None
    field: str = ""
    seen: int = 0
    done: int = 0

    def strikes(self, path: str) -> bool:
        """Whether this call goes wrong; counts it."""
        if not fnmatchcase(path, self.path):
            return False
        self.seen += 1
        if self.seen < self.at or (self.times is not None and self.done >= self.times):
            return False
        self.done += 1
        return True


class Faults:
    """The rules that are set."""

    def __init__(self) -> None:
        """None yet."""
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, path: str, fault: Fault | str, **how: Any) -> Rule:
        """Set a rule (see Rule for `how`). `path` is a pattern: `*` stands for anything."""
        rule = Rule(path, Fault(fault), **how)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Everything goes right again."""
        with self._lock:
            self._rules.clear()

    def strike(self, path: str) -> Rule | None:
        """The first rule that makes this call go wrong."""
        with self._lock:
            return next((rule for rule in self._rules if rule.strikes(path)), None)


def instead(rule: Rule, path: str) -> Answer | None:
    """The error that stands in for the answer, if this fault is one; the body is the provider's."""
    if rule.fault is Fault.RATE_LIMITED:
        headers = {} if rule.retry_after is None else {"Retry-After": rule.retry_after}
        return Answer(429, _error_body(path, 42910000, "rate limit exceeded"), headers)
    if rule.fault in _STATUSES:
        status, code, message = _STATUSES[rule.fault]
        return Answer(status, _error_body(path, code, message))
    make = _PAGES.get(rule.fault)
    return make() if make else None


def _error_body(path: str, code: int | None, message: str) -> dict[str, Any]:
    if path.startswith("/schwab/"):
        return {"message": message, "errors": [message]}
    return {"message": message} if code is None else {"code": code, "message": message}


_STATUSES: dict[Fault, tuple[int, int | None, str]] = {
    Fault.UNAUTHORIZED: (401, None, "unauthorized."),
    Fault.FORBIDDEN: (403, None, "forbidden."),
    Fault.UNAVAILABLE: (503, None, "service unavailable"),
    Fault.GATEWAY_TIMEOUT: (504, 50410000, "request timed out"),
}
_PAGES: dict[Fault, Callable[[], Answer]] = {
    Fault.UNAUTHORIZED_LIST: unauthorized,
    Fault.FORBIDDEN_HTML: access_denied_page,
    Fault.SERVER_ERROR: whitelabel_page,
    Fault.BAD_GATEWAY: lambda: Answer(502, "<html><h1>502 Bad Gateway</h1></html>"),
    Fault.LOGIN_PAGE: lambda: Answer(200, "<html><h1>Please log in</h1></html>"),
}


def distort(rule: Rule, answer: Answer) -> Answer:
    """The answer as this fault makes it say something else; its facts follow what it still says."""
    change = _ROW_CHANGES.get(rule.fault)
    if change:
        return replace(answer, content=_in_first_row(answer.content, change))
    if rule.fault is Fault.MISSING_FIELD:
        return replace(answer, content=_without(answer.content, rule.field))
    if isinstance(answer.content, list) and rule.fault in _LIST_CHANGES:
        return _LIST_CHANGES[rule.fault](answer)
    return answer


def spoil(rule: Rule, body: bytes) -> bytes:
    """The bytes as this fault breaks them."""
    if rule.fault is Fault.MALFORMED:
        return body[: len(body) // 2] + b"}{,"
    if rule.fault is Fault.TOO_DEEP:
        return b"[" * _DEPTH
    if rule.fault is Fault.ENDLESS_NUMBER:
        return b'[{"netAmount":' + b"9" * _ENDLESS_DIGITS + b"}]"
    return body


def _empty(answer: Answer) -> Answer:
    return replace(answer, content=[], facts=())


def _first_missing(answer: Answer) -> Answer:
    gone = {fact.account for fact in answer.facts[:1] if fact.kind == "account"}
    kept = tuple(fact for fact in answer.facts[1:] if fact.account not in gone)
    return replace(answer, content=answer.content[1:], facts=kept)


def _twice(answer: Answer) -> Answer:
    return replace(answer, content=[row for row in answer.content for _time in range(2)])


def _backwards(answer: Answer) -> Answer:
    return replace(answer, content=answer.content[::-1])


_LIST_CHANGES: dict[Fault, Callable[[Answer], Answer]] = {
    Fault.EMPTY_LIST: _empty,
    Fault.MISSING_ACCOUNT: _first_missing,
    Fault.DUPLICATE_ROWS: _twice,
    Fault.SHUFFLED: _backwards,
}


def _in_first_row(content: Any, change: Callable[[str, Any], Any]) -> Any:
    if isinstance(content, list):
        return [_changed("", content[0], change), *content[1:]] if content else content
    return _changed("", content, change)


def _changed(name: str, value: Any, change: Callable[[str, Any], Any]) -> Any:
    if isinstance(value, dict):
        told = {key: _changed(key, inner, change) for key, inner in value.items()}
        return told | ({"currency": "<script>alert(1)</script>"} if change is _script else {})
    if isinstance(value, list):
        return [_changed(name, inner, change) for inner in value]
    return change(name, value)


def _without(content: Any, field: str) -> Any:
    if isinstance(content, list):
        return [_without(row, field) for row in content]
    if isinstance(content, dict):
        return {key: _without(value, field) for key, value in content.items() if key != field}
    return content


def _is_figure(name: str, value: Any) -> bool:
    if isinstance(value, bool) or name.lower().endswith("id"):
        return False
    if isinstance(value, str):
        return value.lstrip("-").replace(".", "", 1).isdigit() and name in _TEXT_FIGURES
    return isinstance(value, int | float | Decimal)


_TEXT_FIGURES = frozenset(
    {"net_amount", "price", "qty", "cash", "equity", "market_value", "avg_entry_price",
     "cost_basis", "current_price"}
)  # fmt: skip


def _nan(name: str, value: Any) -> Any:
    if not _is_figure(name, value):
        return value
    return "NaN" if isinstance(value, str) else _NOT_A_NUMBER


def _huge(name: str, value: Any) -> Any:
    if not _is_figure(name, value):
        return value
    return str(HUGE) if isinstance(value, str) else HUGE


def _script(_name: str, value: Any) -> Any:
    return value


def _year_9999(_name: str, value: Any) -> Any:
    is_date = isinstance(value, str) and value[:2] == "20" and value[4:5] == "-"
    return "9999" + value[4:] if is_date else value


def _another_account(name: str, value: Any) -> Any:
    return _ANOTHER if name in {"accountNumber", "account_number", "account_id"} else value


_ROW_CHANGES: dict[Fault, Callable[[str, Any], Any]] = {
    Fault.NAN: _nan,
    Fault.HUGE_NUMBER: _huge,
    Fault.LIE_CURRENCY: _script,
    Fault.LIE_YEAR: _year_9999,
    Fault.LIE_ACCOUNT: _another_account,
}


def http_date(moment: datetime) -> str:
    """A moment as Retry-After may carry it."""
    return moment.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
