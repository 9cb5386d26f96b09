"""Writing what a replay found: rows that go, rows that say something else again, rows that return.

Everything runs inside the caller's transaction, a handful of statements for every CHUNK rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from django.utils.timezone import now

from dashtam.bulk import bulk_insert
from transactions.matching import FIELDS
from transactions.models import Sighting, Transaction, TransactionRevision
from transactions.services import CHUNK

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from accounts.models import Account
    from transactions.ledger import LedgerRow

    # Revisions by their transaction and sync, oldest first.
    Stored = defaultdict[tuple[UUID, UUID | None], list[TransactionRevision]]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RowChange:
    """A stored transaction as the ledger had it, and as it is to be."""

    pk: UUID
    before: LedgerRow
    after: LedgerRow

    @property
    def fields(self) -> list[str]:
        """Which fields change."""
        return [name for name in FIELDS if getattr(self.before, name) != getattr(self.after, name)]


@dataclass(frozen=True, slots=True)
class Sources:
    """The syncs of the told statements, in order, and when each was imported."""

    sync_ids: Sequence[UUID]
    moments: Mapping[UUID, datetime]


def remove(pks: Sequence[UUID]) -> None:
    """Delete transactions, with all that belongs to them."""
    for chunk in _chunks(pks):
        # Only their keys: what else they say need not be read to be deleted.
        Transaction.objects.filter(pk__in=chunk).only("pk").delete()


def rewrite(account: Account, changes: Sequence[RowChange], sources: Sources) -> None:
    """Have stored transactions say what they are to say, and their revisions too.

    A field that something else has changed since stays as it is.
    """
    _free_ids([one for one in changes if "provider_transaction_id" in one.fields])
    for chunk in _chunks(changes):
        stored = Transaction.objects.in_bulk([one.pk for one in chunk])
        changed = [stored[one.pk] for one in chunk if _overwrite(stored.get(one.pk), one)]
        Transaction.objects.bulk_update(changed, [*FIELDS, "updated_at"], batch_size=CHUNK)
        moved = [one for one in chunk if one.before.revisions != one.after.revisions]
        _rewrite_revisions(account, moved, sources)


def add(account: Account, rows: Sequence[LedgerRow], sources: Sources) -> None:
    """Insert transactions, with their revisions and with who saw them."""
    for chunk in _chunks(rows):
        new = [
            Transaction(
                user_id=account.user_id,
                account_id=account.pk,
                **{name: getattr(row, name) for name in FIELDS},
            )
            for row in chunk
        ]
        bulk_insert(new)
        pairs = [(txn.pk, row) for txn, row in zip(new, chunk, strict=True)]
        _add_revisions(
            [
                _revision(account.user_id, pk, sync_id, changes)
                for pk, row in pairs
                for sync_id, changes in row.revisions
            ],
            sources,
        )
        _add_sightings(account, pairs, sources)


def see_otherwise(account: Account, changes: Sequence[RowChange], sources: Sources) -> None:
    """Write anew which statements showed these transactions, and which of them the first."""
    for chunk in _chunks(changes):
        Sighting.objects.filter(transaction__in=[one.pk for one in chunk]).delete()
        _add_sightings(account, [(one.pk, one.after) for one in chunk], sources)


def forget_sightings(sync_ids: Collection[UUID]) -> None:
    """Forget what these syncs saw."""
    Sighting.objects.filter(sync__in=sync_ids).delete()


def _free_ids(changes: Sequence[RowChange]) -> None:
    """Take their ids from rows that get others: two of them may change places."""
    for chunk in _chunks(changes):
        stored = list(Transaction.objects.filter(pk__in=[one.pk for one in chunk]).only("pk"))
        for txn in stored:
            txn.provider_transaction_id = f"!{txn.pk}"
        Transaction.objects.bulk_update(stored, ["provider_transaction_id"], batch_size=CHUNK)


def _overwrite(stored: Transaction | None, change: RowChange) -> bool:
    if stored is None:
        return False
    names = change.fields
    for name in names:
        is_ours = getattr(stored, name) == getattr(change.before, name)
        if is_ours or name == "provider_transaction_id":
            setattr(stored, name, getattr(change.after, name))
    stored.updated_at = now()
    return bool(names)


def _rewrite_revisions(account: Account, changes: Sequence[RowChange], sources: Sources) -> None:
    if not changes:
        return
    of_rows = TransactionRevision.objects.filter(
        transaction__in=[one.pk for one in changes], sync__in=sources.sync_ids
    )
    stored: Stored = defaultdict(list)
    for revision in of_rows.order_by("created_at", "id"):
        stored[revision.transaction_id, revision.sync_id].append(revision)
    new, changed = [], []
    for one in changes:
        for sync_id, said in one.after.revisions:
            kept = stored[one.pk, sync_id]
            if not kept:
                new.append(_revision(account.user_id, one.pk, sync_id, said))
            elif kept[0].changes != said:
                kept[0].changes = dict(said)
                changed.append(kept.pop(0))
            else:
                kept.pop(0)
    left = [revision.pk for revisions in stored.values() for revision in revisions]
    TransactionRevision.objects.filter(pk__in=left).delete()
    TransactionRevision.objects.bulk_update(changed, ["changes"], batch_size=CHUNK)
    _add_revisions(new, sources)


def _revision(
    user_id: UUID, pk: UUID, sync_id: UUID, said: Mapping[str, Any]
) -> TransactionRevision:
    return TransactionRevision(
        user_id=user_id, transaction_id=pk, sync_id=sync_id, changes=dict(said)
    )


def _add_revisions(revisions: Sequence[TransactionRevision], sources: Sources) -> None:
    """Insert revisions as old as the statements that made them."""
    bulk_insert(revisions)
    for revision in revisions:
        if revision.sync_id:
            revision.created_at = sources.moments[revision.sync_id]
    TransactionRevision.objects.bulk_update(revisions, ["created_at"], batch_size=CHUNK)


def _add_sightings(
    account: Account, seen: Iterable[tuple[UUID, LedgerRow]], sources: Sources
) -> None:
    bulk_insert(
        [
            Sighting(
                user_id=account.user_id,
                sync_id=sources.sync_ids[source],
                transaction_id=pk,
                is_creator=place == 0,
            )
            for pk, row in seen
            for place, source in enumerate(row.sources())
        ]
    )


def _chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for offset in range(0, len(rows), CHUNK):
        yield rows[offset : offset + CHUNK]
