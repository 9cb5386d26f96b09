"""Reading rows again that could not be read, from what was kept of them, and dismissing them.

The provider is not asked: a row may be too old for it to tell once more.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from django.db.transaction import atomic
from django.utils.timezone import now

from accounts.services import as_told
from accounts.types import Rejected
from connections.errors import SyncInProgress
from connections.models import Connection, QuarantinedRecord, SyncStep
from connections.provider import UnknownProvider, provider
from connections.saving import finish, pause, save_rows
from connections.services import request_retry
from connections.steps import Steps
from connections.types import Resolution, StepKind, StepStatus, SyncWork
from dashtam.vault import VaultError
from holdings.services import save_holdings
from holdings.types import HoldingData
from transactions.matching import from_provider
from transactions.models import Transaction
from transactions.services import CHUNK, FINAL
from transactions.types import TransactionData, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from accounts.models import Account
    from connections.models import Sync
    from connections.set_aside import QuarantineQuerySet
    from dashtam.models import User

    Read = TransactionData | HoldingData | Rejected

logger = logging.getLogger(__name__)

# One sync tries so many rows at most; the others stay open.
TRIED_AT_ONCE = 20_000
_IN_ORDER = ("redacted", "created_at", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of asking for rows to be tried: syncs that will, rows in them, what is busy."""

    syncs: Sequence[Sync] = ()
    rows: int = 0
    busy: Sequence[Connection] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of one kind that one sync could not read of one account."""

    account: Account
    origin: Sync
    kind: StepKind
    records: Sequence[QuarantinedRecord]


def retry(rows: QuarantineQuerySet) -> Asked:
    """Queue another try of those of these rows that are open, a sync for each connection.

    A connection that is at work is left out, and told of: its rows can be tried when that is done.
    """
    tryable = rows.open().exclude(payload="").filter(step__account__isnull=False)
    in_tries = SyncStep.objects.filter(quarantine__in=tryable).values("sync__connection")
    syncs, busy, count = [], [], 0
    for connection in Connection.objects.filter(pk__in=in_tries).select_related("user"):
        mine = tryable.filter(step__sync__connection=connection)
        try:
            with atomic():
                kinds = {StepKind(kind) for kind in mine.values_list("step__kind", flat=True)}
                sync = request_retry(connection, kinds)
                count += _choose(mine, sync)
        except SyncInProgress:
            busy.append(connection)
        except UnknownProvider:
            logger.warning("connection %s: its provider is not part of this version", connection.pk)
        else:
            syncs.append(sync)
    return Asked(syncs=syncs, rows=count, busy=busy)


def _choose(rows: QuarantineQuerySet, sync: Sync) -> int:
    """Give a sync these rows, and with them all that its statement or list left unread.

    Of two rows that say the same, tried one by one, the second would be taken for the first.
    """
    beside = QuarantinedRecord.objects.open().exclude(payload="")
    found = beside.filter(step__in=rows.values("step")).order_by(*_IN_ORDER)
    chosen = list(found.values_list("pk", flat=True)[:TRIED_AT_ONCE])
    for offset in range(0, len(chosen), CHUNK):
        some = QuarantinedRecord.objects.filter(pk__in=chosen[offset : offset + CHUNK])
        some.update(retry=sync, updated_at=now())
    return len(chosen)


def dismiss(rows: QuarantineQuerySet, note: str) -> int:
    """Have these rows wait no longer, for a reason of the person's own; how many."""
    return rows.open().close(Resolution.DISMISSED, note=note)


def reopen(rows: QuarantineQuerySet) -> int:
    """Have dismissed rows wait again; how many."""
    return rows.filter(resolution=Resolution.DISMISSED).update(
        resolution="", resolved_at=None, note="", updated_at=now()
    )


def open_count(user: User) -> int:
    """How many of a person's rows wait for something to be done."""
    return QuarantinedRecord.objects.for_user(user).open().count()


def run(sync: Sync) -> None:
    """Do a claimed retry of a provider's rows; Fenced when another worker has taken it over."""
    read_all(sync, _take)


def read_all(sync: Sync, take: Callable[[Sync, Steps, Batch], None]) -> None:
    """Have every batch of a retry taken, each in a transaction, and end the sync.

    What was put right before a crash is not tried once more.
    """
    steps = Steps(sync)
    for batch in _batches(sync):
        with atomic():
            sync.hold()
            take(sync, steps, batch)
            step = steps.of(batch.kind, batch.account)
            step.status = StepStatus.SUCCEEDED
            step.save()
        pause()
    finish(sync)


def still_unreadable(record: QuarantinedRecord, why: Rejected) -> None:
    """Keep why a row cannot be read now: another version may say it better."""
    QuarantinedRecord.objects.filter(pk=record.pk).update(
        reason=why.reason, params=dict(why.params), updated_at=now()
    )


def close(records: Iterable[QuarantinedRecord], resolution: Resolution) -> None:
    """Say what became of these rows."""
    QuarantinedRecord.objects.filter(pk__in=[one.pk for one in records]).close(resolution)


def _is_outdated(batch: Batch) -> bool:
    """Whether the account's positions were read again after the list that these are from."""
    steps = SyncStep.objects.filter(
        account=batch.account,
        kind=StepKind.HOLDINGS,
        status=StepStatus.SUCCEEDED,
        sync__work=SyncWork.READ,
        sync__requested_at__gt=batch.origin.requested_at,
    )
    return steps.exists()


def _batches(sync: Sync) -> Iterator[Batch]:
    """What is left of the rows to try, at most CHUNK at a time, those of one list together."""
    waiting = QuarantinedRecord.objects.open().filter(retry=sync)
    for step in list(
        SyncStep.objects.filter(quarantine__in=waiting, account__isnull=False)
        .select_related("account", "sync")
        .order_by("sync__requested_at", "id")
        .distinct()
    ):
        for records in _together(list(waiting.filter(step=step).order_by(*_IN_ORDER))):
            if step.account:
                yield Batch(
                    account=step.account,
                    origin=step.sync,
                    kind=StepKind(step.kind),
                    records=records,
                )


def _together(records: Iterable[QuarantinedRecord]) -> Iterator[list[QuarantinedRecord]]:
    """Records in lots of CHUNK or a few more: those that look the same are never parted."""
    lot: list[QuarantinedRecord] = []
    for _look, alike in groupby(records, key=lambda one: one.redacted):
        lot.extend(alike)
        if len(lot) >= CHUNK:
            yield lot
            lot = []
    if lot:
        yield lot


def _take(sync: Sync, steps: Steps, batch: Batch) -> None:
    """Read a provider's rows as its module reads them now, and save what can be read."""
    read = list(_read(sync.connection, batch))
    for record, one in read:
        if isinstance(one, Rejected):
            still_unreadable(record, one)
    if batch.kind == StepKind.HOLDINGS:
        _save_holdings(steps, batch, read)
    else:
        _save_transactions(sync, steps, batch, read)


def _read(connection: Connection, batch: Batch) -> Iterator[tuple[QuarantinedRecord, Read]]:
    source = provider(connection.provider_slug)
    read = source.read_holdings if batch.kind == StepKind.HOLDINGS else source.read_transactions
    opened = [(record, row) for record in batch.records for row in _opened(record)]
    told = as_told(batch.account)
    for (record, _row), one in zip(opened, read([row for _, row in opened], told), strict=True):
        yield record, one


def _opened(record: QuarantinedRecord) -> Iterator[object]:
    """The row as the provider wrote it; none where it cannot be opened."""
    try:
        yield json.loads(record.open(), parse_float=Decimal)
    except (VaultError, ValueError):
        logger.exception("the unreadable row %s cannot be opened", record.pk)


def _save_transactions(
    sync: Sync, steps: Steps, batch: Batch, read: Sequence[tuple[QuarantinedRecord, Read]]
) -> None:
    told = [(record, one) for record, one in read if isinstance(one, TransactionData)]
    # What was still pending then has settled, or left: the next sync knows.
    late = [record for record, one in told if one.status == TransactionStatus.PENDING]
    settled = [(record, one) for record, one in told if one.status != TransactionStatus.PENDING]
    ids = [one.provider_transaction_id for _record, one in settled]
    stored = Transaction.objects.filter(
        account=batch.account, provider_transaction_id__in=ids, status__in=FINAL
    )
    written = dict(stored.values_list("provider_transaction_id", "updated_at"))
    # Written since, and perhaps otherwise: what was set aside before says nothing newer.
    new = [
        one
        for record, one in settled
        if written.get(one.provider_transaction_id, record.created_at) <= record.created_at
    ]
    if new:
        save_rows(sync, steps, batch.account, from_provider(new), {})
    close(late, Resolution.OUTDATED)
    close((record for record, _one in settled), Resolution.READ)


def _save_holdings(
    steps: Steps, batch: Batch, read: Sequence[tuple[QuarantinedRecord, Read]]
) -> None:
    told = [(record, one) for record, one in read if isinstance(one, HoldingData)]
    records = [record for record, _one in told]
    if _is_outdated(batch):
        close(records, Resolution.OUTDATED)
        return
    saved = save_holdings(batch.account, [one for _record, one in told])
    steps.of(batch.kind, batch.account).tally(saved.counts)
    close(records, Resolution.READ)
