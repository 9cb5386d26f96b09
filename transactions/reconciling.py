"""Whether an account's transactions lead from each balance that a source told to the next."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from django.db.models import Sum
from django.db.models.functions import Coalesce

from accounts.models import BalanceSnapshot
from accounts.reconciling import KnownBalance, reconcile
from dashtam.money import canonical
from transactions.models import Transaction
from transactions.types import Effect, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from accounts.models import Account
    from accounts.reconciling import Interval, Reconciliation

    Days = tuple[date, date]

# The newest so many balances are looked at: of a year, where one is read every few hours.
MAX_BALANCES = 1500
# The newest so many differences are told.
TOLD_BREAKS = 3
# A trade settles at most so long after it was made.
SETTLES_WITHIN = timedelta(days=31)


class CheckState(StrEnum):
    """What became of holding balances against transactions."""

    EVEN = "even"
    DIFFERS = "differs"
    NOTHING_YET = "nothing_yet"
    CANNOT = "cannot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Two balances whose difference the transactions from the one day to the other do not explain.

    The transactions make `expected` of the first one; the second is `difference` above that.
    """

    opening_day: date
    opening: Decimal
    closing_day: date
    closing: Decimal
    expected: Decimal
    difference: Decimal

    @classmethod
    def of(cls, interval: Interval) -> Break:
        """A break in an account's balances, without the instants."""
        return cls(
            opening_day=interval.opening.day,
            opening=interval.opening.amount,
            closing_day=interval.closing.day,
            closing=interval.closing.amount,
            expected=interval.expected,
            difference=interval.difference,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Whether an account adds up, and from which day to which.

    `reason` says why it cannot be checked: `other_currency` or `investment`. `is_cash`: it is the
    cash of an investment account that was checked. `breaks` are the newest first; they may lie
    before the days that add up. `more_breaks` counts those that are not told.
    """

    state: CheckState
    reason: str = ""
    is_cash: bool = False
    first: date | None = None
    last: date | None = None
    breaks: tuple[Break, ...] = ()
    more_breaks: int = 0

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON: dates in ISO format, money as decimal text."""
        return {
            "state": self.state,
            "reason": self.reason,
            "is_cash": self.is_cash,
            "first": self.first and self.first.isoformat(),
            "last": self.last and self.last.isoformat(),
            "breaks": [
                {name: _plain(getattr(one, name)) for name in Break.__dataclass_fields__}
                for one in self.breaks
            ],
            "more_breaks": self.more_breaks,
        }


def check(
    account: Account,
    *,
    told: Sequence[KnownBalance] = (),
    effects: Iterable[Effect] = (),
    days: Days | None = None,
) -> Check:
    """Hold an account's transactions against its balances, in two statements.

    `told` and `effects` are what an import would add; `days` narrows it to the balances around
    these days. The value of securities moves by itself, so of an investment account only the cash
    is looked at; trades are booked when made by some and when settled by others, so that cash which
    adds up by either is proof, and cash which does not is none.
    """
    balances = [*_balances(account), *told]
    if len(balances) < 2:
        return Check(state=CheckState.NOTHING_YET, is_cash=account.is_investment)
    rows = [*_rows(account, min(one.day for one in balances)), *effects]
    if any(row.currency != account.currency for row in rows):
        return Check(state=CheckState.CANNOT, reason="other_currency")
    checks = [
        _judged(reconcile(balances, by_day), days, is_cash=account.is_investment)
        for by_day in _by_day(rows, account)
    ]
    found = next((one for one in checks if not one.breaks), checks[0])
    if account.is_investment and found.breaks:
        return Check(state=CheckState.CANNOT, reason="investment", is_cash=True)
    return found


def _balances(account: Account) -> Iterator[KnownBalance]:
    """What sources said of it, oldest first; of an investment account the cash."""
    amount = "cash_value" if account.is_investment else "balance"
    said = (
        BalanceSnapshot.objects.filter(account=account, currency=account.currency)
        .exclude(**{amount: None})
        .order_by("-as_of", "-captured_at")
        .values_list("as_of", amount, "source")[:MAX_BALANCES]
    )
    for as_of, value, source in reversed(said):
        yield KnownBalance(as_of=as_of, amount=value, source=source)


def _rows(account: Account, since: date) -> Iterator[Effect]:
    """What settled from a day on, the rows of one day and currency together."""
    rows = (
        Transaction.objects.filter(
            account=account,
            status=TransactionStatus.SETTLED,
            transaction_date__gte=since - SETTLES_WITHIN,
        )
        .order_by()
        .annotate(settled_on=Coalesce("settlement_date", "transaction_date"))
        .values_list("currency", "transaction_date", "settled_on")
        .annotate(total=Sum("amount"))
    )
    return map(Effect._make, rows)


def _by_day(rows: Iterable[Effect], account: Account) -> Iterator[Mapping[date, Decimal]]:
    """The rows summed by their own day, and for an investment account by settlement first."""
    names = ("settlement_day", "day") if account.is_investment else ("day",)
    for name in names:
        sums: defaultdict[date, Decimal] = defaultdict(Decimal)
        for row in rows:
            sums[getattr(row, name)] += row.amount
        yield sums


def _judged(found: Reconciliation | None, days: Days | None, *, is_cash: bool) -> Check:
    if found is None:
        return Check(state=CheckState.NOTHING_YET, is_cash=is_cash)
    if days is None:
        breaks = found.breaks
        first, last = found.even_since.day, found.last.day
        is_even = found.even_since != found.last
    else:
        around = [one for one in found.intervals if _touches(one, days)]
        breaks = tuple(one for one in found.breaks if _touches(one, days))
        if not around:
            return Check(state=CheckState.NOTHING_YET, is_cash=is_cash)
        first, last = around[0].opening.day, around[-1].closing.day
        is_even = not breaks
    newest = breaks[::-1]
    return Check(
        state=CheckState.EVEN if is_even else CheckState.DIFFERS,
        is_cash=is_cash,
        first=first,
        last=last,
        breaks=tuple(Break.of(one) for one in newest[:TOLD_BREAKS]),
        more_breaks=len(newest[TOLD_BREAKS:]),
    )


def _touches(interval: Interval, days: Days) -> bool:
    return interval.opening.day <= days[1] and interval.closing.day >= days[0]


def _plain(value: date | Decimal) -> str:
    return value.isoformat() if isinstance(value, date) else canonical(value)
