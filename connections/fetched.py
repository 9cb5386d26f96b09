"""What one account brought, from a provider or a file, before it is saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connections.types import StepKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from accounts.types import AccountData, Rejected
    from holdings.types import HoldingData
    from transactions.matching import Incoming
    from transactions.types import Known


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Everything one account brought. None means that this kind of rows was not asked for.

    `has_all_pending`: the pending rows are all there are from the day `since` on (None: of any
    day), so the others have left the feed. `is_newest`: the rows go up to now, so that the next
    reading may begin where they end.
    `rejected` are the rows that could not be read, `ignored` counts positions of zero. `known` are
    transactions that are stored as they are told, `repeats` counts rows told otherwise beside.
    `covers` are the first and last day that a statement is about, where it is one.
    """

    account: AccountData
    transactions: Sequence[Incoming] | None = None
    known: Sequence[Known] = ()
    repeats: int = 0
    holdings: Sequence[HoldingData] | None = None
    has_all_pending: bool = False
    since: date | None = None
    is_newest: bool = True
    rejected: Sequence[Rejected] = ()
    ignored: int = 0
    covers: tuple[date, date] | None = None


def kinds_of(fetched: Iterable[Fetched]) -> list[StepKind]:
    """The kinds of rows that accounts brought beside themselves."""
    kinds = {StepKind.TRANSACTIONS: "transactions", StepKind.HOLDINGS: "holdings"}
    told = list(fetched)
    return [
        kind for kind, name in kinds.items() if any(getattr(one, name) is not None for one in told)
    ]
