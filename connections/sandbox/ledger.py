"""An account's book in the sandbox: entries in order, and what they add up to."""

from __future__ import annotations

import threading
from bisect import bisect_right, insort
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING

from connections.sandbox.clock import NEW_YORK
from connections.sandbox.market import OPENED, instrument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ZERO = Decimal(0)
_MOMENT = attrgetter("at", "id")
_FIRST_GROWN = OPENED - timedelta(days=1)


class State(StrEnum):
    """Where an entry is in its life, in words that no provider uses."""

    PENDING = "pending"
    SETTLED = "settled"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One movement of an account. `amount` is what it does to the cash, fees included.

    `quantity` is what it does to the position in `symbol`, `fees` are positive amounts by name.
    Until `settles` it is pending; then it counts, or `fails`. From `voided_at` on it never was.
    """

    id: str
    at: datetime
    day: date
    kind: str
    amount: Decimal
    description: str = ""
    symbol: str = ""
    quantity: Decimal = ZERO
    price: Decimal = ZERO
    fees: tuple[tuple[str, Decimal], ...] = ()
    purse: str = "CASH"
    settles: datetime | None = None
    fails: bool = False
    voided_at: datetime | None = None
    words: dict[str, str] = field(default_factory=dict)

    def state(self, now: datetime) -> State:
        """Where it is in its life at `now`."""
        if self.voided_at and now >= self.voided_at:
            return State.CANCELLED
        if self.settles and now < self.settles:
            return State.PENDING
        return State.FAILED if self.fails else State.SETTLED


@dataclass(slots=True)
class Position:
    """A signed quantity, and what was paid for it (received, for a short one: negative)."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    def add(self, quantity: Decimal, cost: Decimal) -> None:
        """Take in a trade: average cost, realised when it shrinks."""
        after = self.quantity + quantity
        if self.quantity * quantity >= 0:
            self.cost += cost
        elif self.quantity * after >= 0:
            self.cost = self.cost * after / self.quantity
        else:
            self.cost = cost * after / quantity
        self.quantity = after


@dataclass(slots=True)
class Holdings:
    """Cash and positions after some entries."""

    cash: Decimal = ZERO
    positions: dict[str, Position] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """Let an entry count."""
        self.cash += entry.amount
        if entry.symbol and entry.quantity:
            value = entry.quantity * entry.price * instrument(entry.symbol).multiplier
            self.positions.setdefault(entry.symbol, Position()).add(entry.quantity, value)
            if not self.positions[entry.symbol].quantity:
                del self.positions[entry.symbol]

    def quantity(self, symbol: str) -> Decimal:
        """How much of a symbol there is; negative when short."""
        return self.positions[symbol].quantity if symbol in self.positions else ZERO

    def value(self, price: Callable[[str], Decimal]) -> Decimal:
        """What the positions are worth together, shorts counted against."""
        values = (market_value(symbol, held, price) for symbol, held in self.positions.items())
        return sum(values, ZERO)


def market_value(symbol: str, held: Position, price: Callable[[str], Decimal]) -> Decimal:
    """What one position is worth; negative when it is short."""
    return held.quantity * price(symbol) * instrument(symbol).multiplier


class Book:
    """One account's entries, grown day by day by its habits (what happens to it, in turn)."""

    def __init__(self, owner: str, grow_day: Callable[[Book, date], None]) -> None:
        """An empty book; `grow_day` posts the entries of one day."""
        self.owner = owner
        self.running = Holdings()
        self._grow_day = grow_day
        self._entries: list[Entry] = []
        self._grown = _FIRST_GROWN
        self._posted = 0
        self._lock = threading.RLock()

    def post(self, entry: Entry) -> Entry:
        """Put an entry in its place. One that will fail or is void never counts."""
        with self._lock:
            insort(self._entries, entry, key=_MOMENT)
            if not entry.fails and not entry.voided_at:
                self.running.take(entry)
        return entry

    def next_number(self) -> int:
        """A number no other entry of this day has."""
        self._posted += 1
        return self._posted

    def visible(self, now: datetime) -> list[Entry]:
        """What has happened until `now`, oldest first."""
        with self._lock:
            self._grow(now.astimezone(NEW_YORK).date())
            return self._entries[: bisect_right(self._entries, now, key=attrgetter("at"))]

    def amend(self, entry_id: str, description: str) -> None:
        """Change what an entry says from now on."""
        with self._lock:
            for index, entry in enumerate(self._entries):
                if entry.id == entry_id:
                    self._entries[index] = replace(entry, description=description)

    def _grow(self, until: date) -> None:
        while self._grown < until:
            self._grown += timedelta(days=1)
            self._posted = 0
            self._grow_day(self, self._grown)


def holdings_of(entries: Iterable[Entry], now: datetime) -> Holdings:
    """What the entries that count at `now` add up to."""
    held = Holdings()
    for entry in entries:
        if entry.state(now) is State.SETTLED:
            held.take(entry)
    return held


def moment(day: date, hour: int, minute: int, second: int = 0, millisecond: int = 0) -> datetime:
    """A time of day in New York, as UTC."""
    local = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=NEW_YORK)
    return local.astimezone(UTC) + timedelta(milliseconds=millisecond)
