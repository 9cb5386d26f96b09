"""Saving transactions exactly once, whoever tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, cast

from django.db import IntegrityError
from django.db.models.base import ModelState
from django.db.transaction import atomic
from django.utils.timezone import now

from accounts.models import Account
from accounts.types import Counts, Saved
from dashtam.bulk import bulk_insert
from dashtam.ids import uuid7
from dashtam.money import canonical
from transactions.matching import (
    COMPARED,
    SETTLES_WITHIN,
    WRITTEN,
    Incoming,
    as_stored,
    is_unmarked,
    settlements,
    without_unchanged,
)
from transactions.models import Sighting, Transaction, TransactionRevision
from transactions.types import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any
    from uuid import UUID

    from transactions.types import Known

    # Looks up what is known under the ids of some rows, by id.
    LookUp = Callable[[Sequence[Incoming]], dict[str, Any]]

# Rows per transaction of the database: small enough that no other writer waits long.
CHUNK = 500

# A row that came this far is never pending again; a cancelled one may be listed once more.
FINAL = (TransactionStatus.SETTLED, TransactionStatus.FAILED)


@dataclass(slots=True)
class Matched:
    """One chunk held against the database: what is new, changed (with how), and seen again.

    `marked` are those seen again whose mark alone is to be written.
    """

    new: list[Transaction] = field(default_factory=list)
    changed: list[tuple[Transaction, dict[str, list[Any]]]] = field(default_factory=list)
    unchanged: list[UUID] = field(default_factory=list)
    marked: list[Transaction] = field(default_factory=list)
    ignored: int = 0

    def counts(self) -> Counts:
        """How many of each."""
        return Counts(
            fetched=len(self.new) + len(self.changed) + len(self.unchanged) + self.ignored,
            created=len(self.new),
            updated=len(self.changed),
            unchanged=len(self.unchanged),
            ignored=self.ignored,
        )


def chunks(rows: Sequence[Incoming], start: int = 0) -> Iterator[Sequence[Incoming]]:
    """The rows from `start` on, CHUNK at a time."""
    for offset in range(start, len(rows), CHUNK):
        yield rows[offset : offset + CHUNK]


def save_transactions(
    account: Account,
    rows: Sequence[Incoming],
    *,
    sync_id: UUID,
    settled: Mapping[str, UUID] | None = None,
    is_file: bool = False,
    adds_only: bool = False,
) -> Saved:
    """Save one chunk inside the caller's transaction; an unchanged row is not written.

    `settled` maps the key of a newcomer to the pending row that it is (`plan_settlements`). For a
    file every row seen is recorded, which an undo needs. With `adds_only` what has settled already
    stays as it is, whatever these rows say of it.
    """
    how = {"is_file": is_file, "adds_only": adds_only}
    try:
        with atomic():
            return _save(account, rows, sync_id, settled or {}, **how)
    except IntegrityError:
        # Another worker saved some of these rows between our look and our insert: look once more.
        return _save(account, rows, sync_id, settled or {}, **how)


def match(
    account: Account,
    rows: Sequence[Incoming],
    settled: Mapping[str, UUID],
    *,
    adds_only: bool = False,
) -> Matched:
    """Hold one chunk against the stored rows: a few statements, nothing written."""
    known = Transaction.objects.filter(account=account).as_written(_ids(rows), COMPARED)
    unchanged, rest = without_unchanged(rows, known)
    matched = Matched(unchanged=unchanged)
    # Most often nothing of the rest is known at all, or there is no rest.
    by_id = _stored(account, rest) if known and rest else {}
    becoming = _becoming(account, rest, settled)
    make = partial(_new, account, now())
    hold(rest, by_id, becoming, matched, make, adds_only=adds_only)
    return matched


def hold(
    rows: Iterable[Incoming],
    by_id: dict[str, Any],
    becoming: Mapping[str, Any],
    matched: Matched,
    make: Callable[[Incoming, str], Any],
    *,
    adds_only: bool = False,
) -> list[tuple[Incoming, Any]]:
    """Hold rows against known ones, in memory, and return which is which, repeats left out.

    `by_id` and `matched` learn what became of each; `becoming` are the pending rows that some of
    them are, by the rows' keys; `make` makes the new ones.
    """
    held = []
    for row in rows:
        if row.is_repeat:
            matched.ignored += 1
            continue
        row_id, stored = _find(row, by_id, becoming)
        if stored is None:
            by_id[row_id] = stored = make(row, row_id)
            matched.new.append(stored)
        elif stored._state.adding:
            # Told twice in one answer: the last word counts.
            _overwrite(stored, row, as_stored(row, row_id))
            matched.ignored += 1
        elif adds_only and stored.status in FINAL:
            matched.unchanged.append(stored.pk)
        else:
            _compare(stored, row, row_id, matched)
        held.append((row, stored))
    return held


def plan_settlements(
    account: Account, rows: Sequence[Incoming], vanished: Sequence[Transaction] | None = None
) -> dict[str, UUID]:
    """Which newcomers of an answer are pending rows that left it: {key: the pending row}.

    `vanished` are those rows; None are those of an answer that covers every day.
    """
    left = vanished_from(account, rows) if vanished is None else vanished
    plan = settling(left, rows, lambda some: _stored(account, some))
    return {key: pending.pk for key, pending in plan.items()}


def settling(vanished: Sequence[Any], rows: Sequence[Incoming], known: LookUp) -> dict[str, Any]:
    """Which newcomers of these rows are vanished pending rows, by their keys.

    `known` looks up what is known under the ids of at most CHUNK rows.
    """
    if not vanished:
        return {}
    first = min(row.transaction_date for row in vanished) - SETTLES_WITHIN
    last = max(row.transaction_date for row in vanished) + SETTLES_WITHIN
    near = [row for row in rows if first <= row.data.transaction_date <= last]
    newcomers = [row for chunk in chunks(near) for row in _unknown(chunk, known(chunk))]
    return {row.key: pending for pending, row in settlements(vanished, newcomers)}


def gone(
    pending: Iterable[Any],
    rows: Sequence[Incoming],
    known: LookUp,
    also: Iterable[Known] = (),
) -> list[Any]:
    """Those pending rows that none of these rows is, nor names as its pending self, newest first.

    `also` are rows told beside these. Not in the order of their keys: which comes first must not
    depend on when it was stored.
    """
    waiting = sorted(
        pending, key=lambda txn: (-txn.transaction_date.toordinal(), txn.provider_transaction_id)
    )
    ids = {txn.provider_transaction_id for txn in waiting}
    candidates = [row for row in rows if row.claimed_id in ids or row.other_id in ids]
    still = {row.data.pending_provider_id for row in rows}
    for row in also:
        still |= {row.provider_transaction_id, row.pending_provider_id}
    for chunk in chunks(candidates):
        by_id = known(chunk)
        found = (_find(row, by_id, {})[1] for row in chunk)
        still |= {txn.provider_transaction_id for txn in found if txn is not None}
    return [txn for txn in waiting if txn.provider_transaction_id not in still]


def cancel_vanished(
    account: Account,
    rows: Sequence[Incoming],
    *,
    sync_id: UUID,
    since: date | None = None,
    also: Sequence[Known] = (),
) -> int:
    """Cancel the pending rows that left the answer and settled as nothing: kept, not counted."""
    vanished = vanished_from(account, rows, since, also)
    changes = {"status": [TransactionStatus.PENDING, TransactionStatus.CANCELLED]}
    for pending in vanished:
        pending.status = TransactionStatus.CANCELLED
        pending.updated_at = now()
    Transaction.objects.bulk_update(vanished, ["status", "updated_at"])
    bulk_insert([_revision(pending, changes, sync_id) for pending in vanished])
    return len(vanished)


def _save(
    account: Account,
    rows: Sequence[Incoming],
    sync_id: UUID,
    settled: Mapping[str, UUID],
    *,
    is_file: bool,
    adds_only: bool,
) -> Saved:
    matched = match(account, rows, settled, adds_only=adds_only)
    changed = [txn for txn, _changes in matched.changed]
    bulk_insert(matched.new, model=Transaction)
    if changed:
        moment = now()
        for txn in changed:
            txn.updated_at = txn.told_at = moment
        Transaction.objects.bulk_update(changed, WRITTEN)
        bulk_insert([_revision(txn, changes, sync_id) for txn, changes in matched.changed])
    if matched.marked:
        # Not a change of what it says: `updated_at` stays.
        for txn in matched.marked:
            txn.told_at = txn.updated_at
        Transaction.objects.bulk_update(matched.marked, ["told_as", "told_at"])
    if is_file:
        _record_sightings(account, matched, sync_id)
    return Saved(counts=matched.counts())


def _record_sightings(account: Account, matched: Matched, sync_id: UUID) -> None:
    new = {txn.pk for txn in matched.new}
    changed = (txn.pk for txn, _changes in matched.changed)
    seen = dict.fromkeys((*new, *changed, *matched.unchanged))
    sightings = [
        Sighting(user_id=account.user_id, sync_id=sync_id, transaction_id=pk, is_creator=pk in new)
        for pk in seen
    ]
    bulk_insert(sightings, ignore_conflicts=True)


def _stored(account: Account, rows: Iterable[Incoming]) -> dict[str, Transaction]:
    found = Transaction.objects.filter(account=account, provider_transaction_id__in=_ids(rows))
    return {txn.provider_transaction_id: txn for txn in found}


def _ids(rows: Iterable[Incoming]) -> set[str]:
    return {name for row in rows for name in (row.claimed_id, row.other_id) if name}


def _becoming(
    account: Account, rows: Iterable[Incoming], settled: Mapping[str, UUID]
) -> dict[str, Transaction]:
    """The pending rows that rows of this chunk are, by the rows' keys."""
    wanted = {row.key: settled[row.key] for row in rows if row.key in settled}
    named = {row.data.pending_provider_id: row.key for row in rows if row.data.pending_provider_id}
    if not wanted and not named:
        return {}
    pending = Transaction.objects.pending().filter(account=account)
    by_pk = {txn.pk: txn for txn in pending.filter(pk__in=wanted.values())}
    found = {key: by_pk[pk] for key, pk in wanted.items() if pk in by_pk}
    for txn in pending.filter(provider_transaction_id__in=named):
        found[named[txn.provider_transaction_id]] = txn
    return found


def _find(
    row: Incoming, by_id: dict[str, Transaction], becoming: Mapping[str, Transaction]
) -> tuple[str, Transaction | None]:
    """The id this row has, and the stored row it is; `by_id` learns which ids are now taken."""
    if row.other_id in by_id:
        return row.other_id, by_id[row.other_id]
    stored = by_id.get(row.claimed_id)
    if stored is not None and row.agrees_with(stored):
        return row.claimed_id, stored
    row_id = row.claimed_id if stored is None else row.other_id
    settling = becoming.get(row.key)
    if settling is not None:
        by_id[row_id] = settling
    return row_id, settling


def _unknown(rows: Iterable[Incoming], by_id: dict[str, Any]) -> list[Incoming]:
    return [row for row in rows if not row.is_repeat and _find(row, by_id, {})[1] is None]


def vanished_from(
    account: Account,
    rows: Sequence[Incoming],
    since: date | None = None,
    also: Iterable[Known] = (),
) -> list[Transaction]:
    """Pending rows (from `since` on) that none of these rows is, nor names as its pending self."""
    pending = Transaction.objects.pending().filter(account=account)
    if since:
        pending = pending.filter(transaction_date__gte=since)
    return gone(pending, rows, lambda some: _stored(account, some), also)


class _Draft:
    """What is to become a transaction: a model's instance takes as long to make as to insert."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__ = values
        self._state = ModelState()
        self.pk = values["id"]


def _new(account: Account, moment: datetime, row: Incoming, row_id: str) -> Transaction:
    values = as_stored(row, row_id)
    values |= {"id": uuid7(), "user_id": account.user_id, "account_id": account.pk}
    values |= {"told_as": row.data.told_as or None, "told_at": moment}
    values |= {"created_at": moment, "updated_at": moment}
    return cast("Transaction", _Draft(values))


def _compare(stored: Transaction, row: Incoming, row_id: str, matched: Matched) -> None:
    values = as_stored(row, row_id)
    if values["status"] == TransactionStatus.PENDING and stored.status in FINAL:
        # A late copy of what has settled meanwhile tells nothing new.
        matched.unchanged.append(stored.pk)
        return
    changes = {
        name: [_plain(getattr(stored, name)), _plain(value)]
        for name, value in values.items()
        if getattr(stored, name) != value
    }
    if not changes:
        matched.unchanged.append(stored.pk)
        if is_unmarked(stored.mark, row.data):
            stored.told_as = row.data.told_as
            matched.marked.append(stored)
        return
    _overwrite(stored, row, values)
    matched.changed.append((stored, changes))


def _overwrite(txn: Transaction, row: Incoming, values: Mapping[str, Any]) -> None:
    txn.told_as = row.data.told_as or None
    for name, value in values.items():
        setattr(txn, name, value)


def _revision(
    txn: Transaction, changes: Mapping[str, Sequence[Any]], sync_id: UUID
) -> TransactionRevision:
    return TransactionRevision(
        user_id=txn.user_id, transaction=txn, sync_id=sync_id, changes=dict(changes)
    )


def _plain(value: object) -> object:
    """A value as JSON keeps it exactly."""
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, date):
        return value.isoformat()
    return value
