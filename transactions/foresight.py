"""What saving transactions would do, without doing it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from accounts.models import Account
from accounts.types import Counts
from transactions.services import chunks, match, plan_settlements
from transactions.types import Effect, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from transactions.matching import Incoming
    from transactions.services import Matched


@dataclass(slots=True)
class Foreseen:
    """What saving would do: counts, and what it would do to the account's settled rows."""

    counts: Counts = field(default_factory=Counts)
    effects: list[Effect] = field(default_factory=list)


def foresee(account: Account | None, rows: Sequence[Incoming]) -> Foreseen:
    """What saving these rows would do, without doing it; `account` is None when it is new."""
    plan = plan_settlements(account, rows) if account else {}
    foreseen = Foreseen()
    for chunk in chunks(rows):
        # Held against an account that is not there, every row is new.
        matched = match(account or Account(), chunk, plan)
        foreseen.counts += matched.counts()
        foreseen.effects += _effects(matched)
    return foreseen


def _effects(matched: Matched) -> Iterator[Effect]:
    """What the new rows bring, and what the changed ones bring and take back."""
    for txn in (*matched.new, *(txn for txn, _changes in matched.changed)):
        if txn.status == TransactionStatus.SETTLED:
            settled_on = txn.settlement_date or txn.transaction_date
            yield Effect(txn.currency, txn.transaction_date, settled_on, txn.amount)
    for txn, changes in matched.changed:
        before = {name: pair[0] for name, pair in changes.items()}
        if before.get("status", txn.status) == TransactionStatus.SETTLED:
            day = _day(before.get("transaction_date", txn.transaction_date))
            settled_on = _day(before.get("settlement_date", txn.settlement_date)) or day
            amount = Decimal(before.get("amount", txn.amount))
            yield Effect(before.get("currency", txn.currency), day, settled_on, -amount)


def _day(value: Any) -> Any:
    """A date as `_plain` wrote it, read again."""
    return date.fromisoformat(value) if isinstance(value, str) else value
