"""An account's transactions kept in memory: what saving these rows, in this order, makes of them.

It goes by the same rules as saving itself, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from transactions.matching import FIELDS, as_stored
from transactions.services import Matched, chunks, gone, hold, settling
from transactions.types import TransactionStatus

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal
    from uuid import UUID

    from transactions.matching import Incoming

# A row told is numbered by its source and its place there: so many fit into one source.
ROWS_OF_SOURCE = 1 << 24


@dataclass(frozen=True, slots=True)
class _State:
    """Whether a row is new in these rows: as a model instance says it."""

    adding: bool


_NEW, _KEPT = _State(adding=True), _State(adding=False)


class LedgerRow:
    """One transaction: what it says (FIELDS), what it said before, and which told rows it is.

    `revisions` are (sync, {field: [before, after]}), oldest first; `told` the numbers of the rows.
    """

    __slots__ = (*FIELDS, "_state", "revisions", "told", "told_as")

    pk: ClassVar[None] = None
    # No statement's row is told again word for word.
    mark: ClassVar[None] = None
    if TYPE_CHECKING:
        provider_transaction_id: str
        status: str
        amount: Decimal
        currency: str
        transaction_date: date
        description: str
        is_flagged: bool
        _state: _State
        revisions: list[tuple[UUID, Mapping[str, Any]]]
        told: list[int]
        told_as: str | None

    def __init__(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self._state = _NEW
        self.revisions = []
        self.told = []

    def sources(self) -> list[int]:
        """The sources that told it, each once, the first one first."""
        return list(dict.fromkeys(number // ROWS_OF_SOURCE for number in self.told))


def _make(row: Incoming, row_id: str) -> LedgerRow:
    return LedgerRow(as_stored(row, row_id))


class Ledger:
    """All transactions of one account, oldest known first, as the told sources leave them."""

    def __init__(self) -> None:
        self.rows: list[LedgerRow] = []
        self.by_id: dict[str, LedgerRow] = {}

    def plan(self, rows: Sequence[Incoming]) -> dict[str, LedgerRow]:
        """Which newcomers of an answer are pending rows that left it, by their keys."""
        return settling(gone(self._pending(), rows, self._known), rows, self._known)

    def save(
        self,
        numbered: Sequence[tuple[int, Incoming]],
        settled: Mapping[str, LedgerRow],
        sync_id: UUID,
        *,
        adds_only: bool = False,
    ) -> None:
        """Save rows with their numbers, in chunks as they were saved; see `save_transactions`."""
        numbers = {id(row): number for number, row in numbered}
        for chunk in chunks([row for _number, row in numbered]):
            becoming = self._becoming(chunk, settled)
            self._save_chunk(chunk, becoming, sync_id, numbers, adds_only=adds_only)

    def cancel_vanished(self, rows: Sequence[Incoming], sync_id: UUID) -> None:
        """Cancel the pending rows that left the answer and settled as nothing."""
        changes = {"status": [TransactionStatus.PENDING, TransactionStatus.CANCELLED]}
        for pending in gone(self._pending(), rows, self._known):
            pending.status = TransactionStatus.CANCELLED
            pending.revisions.append((sync_id, changes))

    def _save_chunk(
        self,
        rows: Sequence[Incoming],
        becoming: Mapping[str, LedgerRow],
        sync_id: UUID,
        numbers: Mapping[int, int],
        *,
        adds_only: bool,
    ) -> None:
        names = {name for row in rows for name in (row.claimed_id, row.other_id)}
        by_id = {name: self.by_id[name] for name in names & self.by_id.keys()}
        matched = Matched()
        held = hold(rows, by_id, becoming, matched, _make, adds_only=adds_only)
        for row, txn in held:
            txn.told.append(numbers[id(row)])
        for txn in matched.new:
            self._keep(txn)  # type: ignore[arg-type]
        for txn, changes in matched.changed:
            txn.revisions.append((sync_id, changes))  # type: ignore[attr-defined]
            if "provider_transaction_id" in changes:
                before, after = changes["provider_transaction_id"]
                del self.by_id[before]
                self.by_id[after] = txn  # type: ignore[assignment]

    def _keep(self, txn: LedgerRow) -> None:
        txn._state = _KEPT
        self.rows.append(txn)
        self.by_id[txn.provider_transaction_id] = txn

    def _becoming(
        self, rows: Iterable[Incoming], settled: Mapping[str, LedgerRow]
    ) -> dict[str, LedgerRow]:
        found = {
            row.key: settled[row.key]
            for row in rows
            if row.key in settled and _is_pending(settled[row.key])
        }
        for row in rows:
            named = self.by_id.get(row.data.pending_provider_id)
            if named is not None and _is_pending(named):
                found[row.key] = named
        return found

    def _pending(self) -> list[LedgerRow]:
        return [txn for txn in self.rows if _is_pending(txn)]

    def _known(self, _rows: Sequence[Incoming]) -> dict[str, LedgerRow]:
        return self.by_id


def _is_pending(txn: LedgerRow) -> bool:
    return txn.status == TransactionStatus.PENDING
