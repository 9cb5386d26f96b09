"""Which days of an account are covered by a statement or a connection, and which by none."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from django.db.models import Q

from accounts.models import Account, CoveredPeriod
from accounts.types import SnapshotSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from uuid import UUID

    Days = tuple[date, date]

DAY = timedelta(days=1)
# A page shows so many years at most, the newest ones, and so many gaps.
SHOWN_YEARS = 12
SHOWN_GAPS = 6
# Banks let a statement begin on the day on which the one before ended: that is no overlap.
SHARED_DAYS = 1


class MonthState(StrEnum):
    """How much of a month is covered; `outside` is before the first or after the last day."""

    COVERED = "covered"
    TWICE = "twice"
    PARTLY = "partly"
    GAP = "gap"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What covers an account from one day to another; a connection has no `name`, a file has."""

    first_day: date
    last_day: date
    name: str = ""

    @property
    def days(self) -> Days:
        """Its first and last day."""
        return self.first_day, self.last_day


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One month: how much of it is covered, and by what."""

    first_day: date
    last_day: date
    state: MonthState
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """Twelve months."""

    number: int
    months: tuple[Month, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The calendar of an account, newest year first, and the days between that nothing covers.

    `gaps` are the newest first; `more_gaps` counts those beyond.
    """

    first_day: date
    last_day: date
    years: tuple[Year, ...]
    gaps: tuple[Days, ...]
    more_gaps: int

    @property
    def states(self) -> set[str]:
        """What a legend has to explain."""
        return {month.state for year in self.years for month in year.months}


def keep_period(account: Account, days: Days, *, sync_id: UUID) -> None:
    """Keep, inside the caller's transaction, which days the statement of a sync covers."""
    CoveredPeriod.objects.update_or_create(
        account=account,
        sync_id=sync_id,
        defaults={
            "user_id": account.user_id,
            "first_day": days[0],
            "last_day": days[1],
            "source": SnapshotSource.FILE_IMPORT,
        },
    )


def forget_periods(sync_id: UUID) -> None:
    """Take back, inside the caller's transaction, what `keep_period` kept of a sync."""
    CoveredPeriod.objects.filter(sync_id=sync_id).delete()


def coverage_of(account: Account) -> Coverage | None:
    """The calendar of an account and of those that are the same one: two statements.

    None while no source said which days it covers.
    """
    sources = sorted(_sources(account), key=lambda one: one.days)
    if not sources:
        return None
    covered = _merged(one.days for one in sources)
    gaps = [(before[1] + DAY, after[0] - DAY) for before, after in pairwise(covered)][::-1]
    twice = list(_overlaps([one.days for one in sources]))
    first_day, last_day = covered[0][0], covered[-1][1]
    numbers = range(last_day.year, first_day.year - 1, -1)[:SHOWN_YEARS]
    return Coverage(
        first_day=first_day,
        last_day=last_day,
        years=tuple(
            Year(
                number=number,
                months=tuple(_month(number, one, sources, covered, twice) for one in range(1, 13)),
            )
            for number in numbers
        ),
        gaps=tuple(gaps[:SHOWN_GAPS]),
        more_gaps=len(gaps[SHOWN_GAPS:]),
    )


def _sources(account: Account) -> Iterator[Source]:
    same = Account.objects.filter(Q(pk=account.pk) | Q(duplicate_of=account))
    for one in same.only("transactions_from", "transactions_synced_at"):
        if one.transactions_from and one.transactions_synced_at:
            read_on = one.transactions_synced_at.date()
            if one.transactions_from <= read_on:
                yield Source(first_day=one.transactions_from, last_day=read_on)
    periods = CoveredPeriod.objects.filter(account__in=same.values("pk"))
    named = periods.values_list("first_day", "last_day", "sync__statements__file_name")
    for first_day, last_day, name in named:
        yield Source(first_day=first_day, last_day=last_day, name=name or "")


def _month(
    year: int,
    number: int,
    sources: Iterable[Source],
    covered: Sequence[Days],
    twice: Iterable[Days],
) -> Month:
    days = date(year, number, 1), date(year, number, monthrange(year, number)[1])
    return Month(
        first_day=days[0],
        last_day=days[1],
        state=_state(days, covered, twice),
        sources=tuple(one for one in sources if _shared([one.days], days)),
    )


def _state(month: Days, covered: Sequence[Days], twice: Iterable[Days]) -> MonthState:
    known = _shared(covered, month)
    if not known:
        is_between = covered[0][0] < month[0] and month[1] < covered[-1][1]
        return MonthState.GAP if is_between else MonthState.OUTSIDE
    if known < (month[1] - month[0]).days + 1:
        return MonthState.PARTLY
    return MonthState.TWICE if _shared(twice, month) > SHARED_DAYS else MonthState.COVERED


def _shared(spans: Iterable[Days], month: Days) -> int:
    """How many days of a month lie in these spans, which do not overlap each other."""
    return sum(
        max(0, (min(last, month[1]) - max(first, month[0])).days + 1) for first, last in spans
    )


def _merged(spans: Iterable[Days]) -> list[Days]:
    """The days in any of these spans, sorted by their beginning, as spans with days between."""
    merged: list[Days] = []
    for first, last in spans:
        if merged and first <= merged[-1][1] + DAY:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return merged


def _overlaps(spans: Sequence[Days]) -> list[Days]:
    """The days in two or more of these spans, sorted by their beginning, as spans."""
    found: list[Days] = []
    reached = date.min
    for first, last in spans:
        if first <= reached:
            found.append((first, min(last, reached)))
        reached = max(reached, last)
    return _merged(sorted(found))
