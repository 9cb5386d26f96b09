"""Alpaca's portfolio history: parallel arrays, daily points that are a day late in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connections.sandbox.alpaca_rows import cash_flow, equity_by_day
from connections.sandbox.clock import NEW_YORK
from connections.sandbox.ledger import ZERO, moment
from connections.sandbox.market import OPENED, is_trading_day
from connections.sandbox.wire import Answer, Refusal, single

if TYPE_CHECKING:
    from connections.sandbox.ledger import Entry
    from connections.sandbox.market import Market
    from connections.sandbox.wire import Request

_PARAMETERS = frozenset(
    {"period", "timeframe", "start", "end", "intraday_reporting", "pnl_reset", "cashflow_types"}
)
_CHOICES = {
    "intraday_reporting": {"market_hours", "extended_hours", "continuous"},
    "pnl_reset": {"per_day", "no_reset"},
}
_PERIOD = re.compile(r"([1-9][0-9]{0,2})([DWMA])", re.ASCII)
_PERIOD_DAYS = {"D": 1, "W": 7, "M": 30, "A": 365}
_MINUTES = {"1Min": 1, "5Min": 5, "15Min": 15, "1H": 60}
_INTRADAY_LIMIT = timedelta(days=30)
_SESSION_MINUTES = 390
_RATIO = Decimal("0.0001")
_FLOWS = ("CSD", "CSW", "DIV", "FEE", "CFEE", "INT")


def portfolio_history(
    request: Request, entries: list[Entry], now: datetime, market: Market
) -> dict[str, Any]:
    """The account's worth over time as JSON numbers; a bad parameter is a Refusal."""
    given = _given(request)
    start, end = _span(given, now)
    days = [day for day in _days(start, end) if is_trading_day(day)]
    equities = list(equity_by_day(entries, now, days, market))
    timeframe = given.get("timeframe", "1D")
    if timeframe == "1D":
        # Midnight UTC of the next day, which is still the evening of this one in New York.
        stamps = [_midnight_after(day) for day in days]
    else:
        stamps, equities = _intraday(days, equities, _MINUTES[timeframe])
    base = equities[0] if equities else None
    changes = [value - (base or ZERO) for value in equities]
    content = {
        "timestamp": stamps, "equity": equities, "profit_loss": changes,
        "profit_loss_pct": [_ratio(change, base) for change in changes],
        "base_value": base, "timeframe": timeframe,
    }  # fmt: skip
    kinds = _flow_kinds(given)
    if timeframe == "1D" and kinds:
        content["cashflow"] = {kind: cash_flow(entries, days, kind) for kind in kinds}
    return content


def _ratio(change: Decimal, base: Decimal | None) -> Decimal | None:
    return (change / base).quantize(_RATIO) if base else None


def _given(request: Request) -> dict[str, str]:
    given = single(request.params())
    if given is None or set(given) - _PARAMETERS:
        raise _bad("unknown parameter")
    if {"start", "end", "period"} <= set(given):
        raise _bad("at most two of start, end and period")
    for name, choices in _CHOICES.items():
        if given.get(name, next(iter(choices))) not in choices:
            raise _bad(f"invalid {name}")
    if given.get("timeframe", "1D") not in {"1D", *_MINUTES}:
        raise _bad("invalid timeframe")
    return given


def _span(given: dict[str, str], now: datetime) -> tuple[date, date]:
    found = _PERIOD.fullmatch(given.get("period", "1M"))
    if not found:
        raise _bad("invalid period")
    length = timedelta(days=int(found[1]) * _PERIOD_DAYS[found[2]])
    end = _moment("end", given["end"]) if "end" in given else now
    start = _moment("start", given["start"]) if "start" in given else end - length
    if "start" in given and "period" in given:
        end = min(start + length, now)
    if start > end:
        raise _bad("start is after end")
    if given.get("timeframe", "1D") != "1D" and end - start > _INTRADAY_LIMIT:
        raise _bad("intraday timeframes reach back 30 days")
    return start.astimezone(NEW_YORK).date(), min(end, now).astimezone(NEW_YORK).date()


def _moment(name: str, value: str) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise _bad(f"invalid {name}") from None
    if at.tzinfo is None or not 1900 < at.year < 9000:
        raise _bad(f"invalid {name}")
    return at


def _days(start: date, end: date) -> list[date]:
    first = max(start, OPENED)
    return [first + timedelta(days=number) for number in range((end - first).days + 1)]


def _midnight_after(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + 86_400


def _intraday(
    days: list[date], equities: list[Decimal], minutes: int
) -> tuple[list[int], list[Decimal]]:
    stamps: list[int] = []
    values: list[Decimal] = []
    for day, equity in zip(days, equities, strict=True):
        opening = int(moment(day, 9, 30).timestamp())
        points = range(0, _SESSION_MINUTES + 1, minutes)
        stamps += [opening + 60 * minute for minute in points]
        values += [equity] * len(points)
    return stamps, values


def _flow_kinds(given: dict[str, str]) -> list[str]:
    wanted = given.get("cashflow_types", "NONE")
    if wanted == "NONE":
        return []
    return list(_FLOWS) if wanted == "ALL" else wanted.split(",")


def _bad(message: str) -> Refusal:
    return Refusal(Answer(422, {"code": 42210000, "message": message}))
