"""Whether what an account was worth and what happened in it agree: balance + rows = next balance.

A balance of a day may or may not have that day's rows in it: banks date balances at noon, by their
own clock, or by the day before. Either is accepted, for one balance the same way towards both its
neighbours, so a whole chain of balances has to add up and not only each pair.

Put differently: a balance less all rows up to it is what the account began with. Balances agree
when they all lead back to one such beginning.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

# How far clocks on earth are behind and before UTC.
BEHIND, AHEAD = timedelta(hours=12), timedelta(hours=14)
NOON = time(12)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBalance:
    """What a source said an account was worth (a liability's is negative) at an instant in UTC.

    Noon to the second is how a day without a time is kept.
    """

    as_of: datetime
    amount: Decimal
    source: str = ""

    @property
    def day(self) -> date:
        """The day it is of."""
        return self.as_of.astimezone(UTC).date()

    @property
    def cuts(self) -> list[date]:
        """The days that may be the last whose rows it has in it, the likeliest first."""
        at = self.as_of.astimezone(UTC)
        if at.time() == NOON:
            return [self.day, self.day - DAY]
        first, last = (at - BEHIND).date() - DAY, (at + AHEAD).date()
        possible = [first + DAY * n for n in range((last - first).days + 1)]
        return sorted(possible, key=lambda day: abs(day - self.day))


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Two balances known one after the other, and what the rows between make of the first.

    `difference` is what the second is above `expected`: 0 when they agree, else the least that the
    doubt about the rows of both days allows.
    """

    opening: KnownBalance
    closing: KnownBalance
    expected: Decimal
    difference: Decimal

    @property
    def is_even(self) -> bool:
        """Whether nothing is left to explain."""
        return not self.difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """Every interval between an account's known balances, and those where it begins to differ.

    A balance that does not fit while a later one does is of no lasting matter: the rows were dated
    otherwise. `breaks` go from the last balance that fits to the first of those that fit from then
    on, oldest first; `even_since` is where the stretch begins that the last balance belongs to.
    """

    intervals: tuple[Interval, ...]
    breaks: tuple[Interval, ...]
    even_since: KnownBalance
    last: KnownBalance


def reconcile(
    balances: Iterable[KnownBalance], rows: Mapping[date, Decimal]
) -> Reconciliation | None:
    """Hold an account's balances against its settled rows, summed by day, all in one currency.

    None when fewer than two balances of different instants are known: nothing can be compared.
    """
    # Of what is said of one instant, the last word counts.
    known = list({one.as_of: one for one in sorted(balances, key=lambda one: one.as_of)}.values())
    if len(known) < 2:
        return None
    begun = _beginnings(known, rows)
    runs = _runs(begun)
    breaks = [
        _interval(known[before[-1]], known[after[0]], begun_before, begun_after)
        for (before, begun_before), (after, begun_after) in pairwise(runs)
    ]
    return Reconciliation(
        intervals=tuple(_intervals(known, begun, runs)),
        breaks=tuple(breaks),
        even_since=known[runs[-1][0][0]],
        last=known[-1],
    )


Run = tuple[list[int], list[Decimal]]


def _beginnings(known: Sequence[KnownBalance], rows: Mapping[date, Decimal]) -> list[list[Decimal]]:
    """What the account may have begun with by each balance, the likeliest first."""
    days = sorted(rows)
    totals = [Decimal(0), *accumulate(rows[day] for day in days)]
    return [
        list(dict.fromkeys(one.amount - totals[bisect_right(days, cut)] for cut in one.cuts))
        for one in known
    ]


def _runs(begun: Sequence[list[Decimal]]) -> list[Run]:
    """The stretches that add up: the balances of each (by place) and the beginnings they share."""
    last_seen = {start: place for place, starts in enumerate(begun) for start in starts}
    runs: list[Run] = []
    place = 0
    while place < len(begun):
        fitting, shared = [place], begun[place]
        place += 1
        while place < len(begun):
            common = [start for start in shared if start in begun[place]]
            if common:
                fitting.append(place)
                shared = common
            elif max(last_seen[start] for start in shared) < place:
                break
            place += 1
        runs.append((fitting, shared))
    return runs


def _intervals(
    known: Sequence[KnownBalance], begun: Sequence[list[Decimal]], runs: Iterable[Run]
) -> Iterable[Interval]:
    settled = dict(enumerate(begun))
    for fitting, shared in runs:
        settled |= dict.fromkeys(fitting, shared)
    for place in range(1, len(known)):
        before, after = settled[place - 1], settled[place]
        yield _interval(known[place - 1], known[place], before, after)


def _interval(
    opening: KnownBalance, closing: KnownBalance, before: list[Decimal], after: list[Decimal]
) -> Interval:
    difference = min((b - a for a in before for b in after), key=abs)
    return Interval(
        opening=opening,
        closing=closing,
        expected=closing.amount - difference,
        difference=difference,
    )
