"""Saving transactions exactly once, whoever tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import IntegrityError
from django.db.transaction import atomic
from django.utils.timezone import now

from accounts.models import Account
from accounts.types import Counts, Saved
from dashtam.bulk import bulk_insert
from dashtam.money import canonical
from dashtam.text import clean_text
from transactions.matching import SETTLES_WITHIN, Incoming, settlements
from transactions.models import Sighting, Transaction, TransactionRevision
from transactions.types import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any
    from uuid import UUID

    from transactions.types import TransactionData

# Rows per transaction of the database: small enough that no other writer waits long.
CHUNK = 500

# What a provider says of a transaction; an edit of the person's lives elsewhere.
FIELDS = (
    "provider_transaction_id",
    "transaction_type",
    "subtype",
    "status",
    "amount",
    "currency",
    "description",
    "asset_type",
    "symbol",
    "cusip",
    "isin",
    "security_name",
    "quantity",
    "unit_price",
    "commission",
    "transaction_date",
    "settlement_date",
    "occurred_at",
    "raw_type",
    "pending_provider_id",
    "is_flagged",
    "provider_metadata",
)
# A row that came this far is never pending again; a cancelled one may be listed once more.
FINAL = (TransactionStatus.SETTLED, TransactionStatus.FAILED)
_TEXT_LIMITS = {
    "description": 500,
    "symbol": 64,
    "cusip": 16,
    "isin": 16,
    "security_name": 200,
    "raw_type": 100,
}


@dataclass(slots=True)
class Matched:
    """One chunk held against the database: what is new, changed (with how), and seen again."""

    new: list[Transaction] = field(default_factory=list)
    changed: list[tuple[Transaction, dict[str, list[Any]]]] = field(default_factory=list)
    unchanged: list[Transaction] = field(default_factory=list)
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
) -> Saved:
    """Save one chunk inside the caller's transaction; an unchanged row is not written.

    `settled` maps the key of a newcomer to the pending row that it is (`plan_settlements`). For a
    file every row seen is recorded, which an undo needs.
    """
    try:
        with atomic():
            return _save(account, rows, sync_id, settled or {}, is_file=is_file)
    except IntegrityError:
        # Another worker saved some of these rows between our look and our insert: look once more.
        return _save(account, rows, sync_id, settled or {}, is_file=is_file)


@dataclass(slots=True)
class Foreseen:
    """What saving would do: counts, and the settled rows it would add to the account."""

    counts: Counts = field(default_factory=Counts)
    settled: list[Transaction] = field(default_factory=list)


def foresee(account: Account | None, rows: Sequence[Incoming]) -> Foreseen:
    """What saving these rows would do, without doing it; `account` is None when it is new."""
    plan = plan_settlements(account, rows) if account else {}
    foreseen = Foreseen()
    for chunk in chunks(rows):
        # Held against an account that is not there, every row is new.
        matched = match(account or Account(), chunk, plan)
        foreseen.counts += matched.counts()
        settling = (txn for txn, changes in matched.changed if "status" in changes)
        foreseen.settled += [
            txn for txn in (*matched.new, *settling) if txn.status == TransactionStatus.SETTLED
        ]
    return foreseen


def match(account: Account, rows: Sequence[Incoming], settled: Mapping[str, UUID]) -> Matched:
    """Hold one chunk against the stored rows: two statements, nothing written."""
    by_id = _stored(account, rows)
    becoming = _becoming(account, rows, settled)
    matched = Matched()
    for row in rows:
        if row.is_repeat:
            matched.ignored += 1
            continue
        row_id, stored = _find(row, by_id, becoming)
        if stored is None:
            by_id[row_id] = new = _new(account, row, row_id)
            matched.new.append(new)
        elif stored._state.adding:
            # Told twice in one answer: the last word counts.
            _overwrite(stored, _values(row, row_id))
            matched.ignored += 1
        else:
            _compare(stored, row, row_id, matched)
    return matched


def plan_settlements(
    account: Account, rows: Sequence[Incoming], *, since: date | None = None
) -> dict[str, UUID]:
    """Which newcomers of an answer are pending rows that left it: {key: the pending row}.

    `since` is the first day that the answer covers (None: it covers all).
    """
    vanished = _vanished(account, rows, since)
    if not vanished:
        return {}
    first = min(row.transaction_date for row in vanished) - SETTLES_WITHIN
    last = max(row.transaction_date for row in vanished) + SETTLES_WITHIN
    near = [row for row in rows if first <= row.data.transaction_date <= last]
    newcomers = [row for chunk in chunks(near) for row in _unknown(account, chunk)]
    return {row.key: pending.pk for pending, row in settlements(vanished, newcomers)}


def cancel_vanished(
    account: Account, rows: Sequence[Incoming], *, sync_id: UUID, since: date | None = None
) -> int:
    """Cancel the pending rows that left the answer and settled as nothing: kept, not counted."""
    vanished = _vanished(account, rows, since)
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
) -> Saved:
    matched = match(account, rows, settled)
    changed = [txn for txn, _changes in matched.changed]
    bulk_insert(matched.new)
    if changed:
        moment = now()
        for txn in changed:
            txn.updated_at = moment
        Transaction.objects.bulk_update(changed, [*FIELDS, "updated_at"])
        bulk_insert([_revision(txn, changes, sync_id) for txn, changes in matched.changed])
    if is_file:
        _record_sightings(account, matched, sync_id)
    return Saved(counts=matched.counts())


def _record_sightings(account: Account, matched: Matched, sync_id: UUID) -> None:
    new = {txn.pk for txn in matched.new}
    seen = {
        txn.pk: txn
        for txn in (*matched.new, *(txn for txn, _ in matched.changed), *matched.unchanged)
    }
    sightings = [
        Sighting(user_id=account.user_id, sync_id=sync_id, transaction_id=pk, is_creator=pk in new)
        for pk in seen
    ]
    bulk_insert(sightings, ignore_conflicts=True)


def _stored(account: Account, rows: Iterable[Incoming]) -> dict[str, Transaction]:
    ids = {name for row in rows for name in (row.claimed_id, row.other_id) if name}
    found = Transaction.objects.filter(account=account, provider_transaction_id__in=ids)
    return {txn.provider_transaction_id: txn for txn in found}


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


def _unknown(account: Account, rows: Sequence[Incoming]) -> list[Incoming]:
    by_id = _stored(account, rows)
    return [row for row in rows if not row.is_repeat and _find(row, by_id, {})[1] is None]


def _vanished(account: Account, rows: Sequence[Incoming], since: date | None) -> list[Transaction]:
    """The stored pending rows that none of these rows is, nor names as its pending self."""
    asked_for = Transaction.objects.pending().filter(account=account).newest_first()
    if since:
        asked_for = asked_for.filter(transaction_date__gte=since)
    pending = list(asked_for)
    ids = {txn.provider_transaction_id for txn in pending}
    candidates = [row for row in rows if row.claimed_id in ids or row.other_id in ids]
    still = set()
    for chunk in chunks(candidates):
        by_id = _stored(account, chunk)
        found = (_find(row, by_id, {})[1] for row in chunk)
        still |= {txn.pk for txn in found if txn is not None}
    named = {row.data.pending_provider_id for row in rows}
    return [
        txn for txn in pending if txn.pk not in still and txn.provider_transaction_id not in named
    ]


def _new(account: Account, row: Incoming, row_id: str) -> Transaction:
    return Transaction(user_id=account.user_id, account=account, **_values(row, row_id))


def _compare(stored: Transaction, row: Incoming, row_id: str, matched: Matched) -> None:
    values = _values(row, row_id)
    if values["status"] == TransactionStatus.PENDING and stored.status in FINAL:
        # A late copy of what has settled meanwhile tells nothing new.
        matched.unchanged.append(stored)
        return
    changes = {
        name: [_plain(getattr(stored, name)), _plain(value)]
        for name, value in values.items()
        if getattr(stored, name) != value
    }
    if not changes:
        matched.unchanged.append(stored)
        return
    _overwrite(stored, values)
    matched.changed.append((stored, changes))


def _overwrite(txn: Transaction, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(txn, name, value)


def _values(row: Incoming, row_id: str) -> dict[str, Any]:
    data: TransactionData = row.data
    values = {name: getattr(data, name) for name in FIELDS[1:-1]}
    for name, limit in _TEXT_LIMITS.items():
        values[name] = clean_text(values[name], limit)
    values["provider_transaction_id"] = row_id
    values["asset_type"] = data.asset_type or ""
    values["is_flagged"] = data.is_flagged or bool(row.other_id and row_id == row.other_id)
    values["provider_metadata"] = dict(data.metadata)
    return values


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
