"""Keeping the rows that could not be read: sealed, with a view that may be shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.db.transaction import atomic
from django.utils.timezone import now

from accounts.types import Counts
from connections.models import QuarantinedRecord, SyncStep
from connections.types import Resolution, StepKind, StepStatus, SyncTrigger, SyncWork
from dashtam.text import clean_text, mask_number
from dashtam.vault import fingerprint
from transactions.services import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from accounts.models import Account
    from accounts.types import Rejected
    from connections.models import Sync
    from connections.set_aside import QuarantineQuerySet

REDACTED_LENGTH = 2000
# Shorter runs of digits are dates (with a time), amounts and the bank's own row ids.
LONG_NUMBER = re.compile(
    r"(?<=ACCTID>)[^<]+|(?<![\d.])\d{12,13}(?!\d)|(?<![\d.])\d{15,}(?!\d)"
    # Grouped, as on a card, and an IBAN.
    r"|(?<![\w-])\d{4}(?:[ -]\d{4}){2}[ -]\d{1,4}(?:[ -]\d{1,4})?(?![\w-])"
    r"|(?<![\w-])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?(?!\w)"
)


def quarantine(step: SyncStep, rejected: Sequence[Rejected]) -> None:
    """Keep these rows with their reasons inside the caller's transaction, and count them.

    One that a provider told before, and that is open or was dismissed, takes the earlier's place.
    """
    if not rejected:
        return
    records = [_record(step, row) for row in rejected]
    if step.sync.trigger != SyncTrigger.FILE_IMPORT:
        _take_place(records)
    QuarantinedRecord.objects.bulk_create(records, batch_size=CHUNK)
    step.tally(Counts(fetched=len(records), quarantined=len(records)))


def redact(payload: str) -> str:
    """A row as it may be shown: account and card numbers cut to their last four digits."""
    text = clean_text(payload, REDACTED_LENGTH)
    return LONG_NUMBER.sub(lambda found: mask_number(found[0]), text)


def quarantine_without_account(
    sync: Sync, rejected: Sequence[Rejected], kind: StepKind = StepKind.TRANSACTIONS
) -> None:
    """Keep the rows of accounts that could not be saved at all, in a step without an account."""
    with atomic():
        sync.hold()
        step, _created = SyncStep.objects.get_or_create(
            sync=sync, kind=kind, account=None, defaults={"user_id": sync.user_id}
        )
        if step.status == StepStatus.RUNNING:
            quarantine(step, rejected)
            step.status = StepStatus.SUCCEEDED
            step.save()


def close_what_is_over(sync: Sync) -> None:
    """Close what earlier syncs could not read and this one needed no more, in its transaction.

    A position or an account that was not told again as an unreadable row, though all of them were
    read, is no more as it was.
    """
    waiting = list(_earlier(sync).values_list("pk", flat=True))
    if not waiting:
        return
    rows = QuarantinedRecord.objects.filter(pk__in=waiting)
    steps = SyncStep.objects.filter(sync=sync, status=StepStatus.SUCCEEDED)
    read = steps.filter(kind=StepKind.HOLDINGS, account=OuterRef("step__account"))
    over = Q(Exists(read), step__kind=StepKind.HOLDINGS)
    if sync.asked.is_everything:
        over |= Q(step__account=None)
    rows.filter(over).close(Resolution.OUTDATED)


class Unread:
    """What earlier syncs could not read of a connection's transactions, by account and id.

    Looked up once for a sync; `close` says of those among the rows it reads that they are read.
    """

    def __init__(self, sync: Sync) -> None:
        """Nothing for a file: it stands for itself."""
        self._sync = sync
        self._known: dict[tuple[UUID, str], UUID] | None = None

    def close(self, account: Account, ids: Iterable[str]) -> None:
        """Close what waits under these ids, in the transaction that saves their rows."""
        if self._known is None:
            self._known = self._look_up()
        if not self._known:
            return
        places = ((account.pk, one) for one in ids)
        found = [self._known.pop(place) for place in places if place in self._known]
        if found:
            QuarantinedRecord.objects.filter(pk__in=found).open().close(Resolution.READ)

    def _look_up(self) -> dict[tuple[UUID, str], UUID]:
        if self._sync.trigger == SyncTrigger.FILE_IMPORT or self._sync.work != SyncWork.READ:
            return {}
        rows = _earlier(self._sync).filter(step__kind=StepKind.TRANSACTIONS)
        told = rows.exclude(provider_id="").exclude(step__account=None)
        return {
            (account, provider_id): pk
            for pk, account, provider_id in told.values_list("pk", "step__account", "provider_id")
        }


def _earlier(sync: Sync) -> QuarantineQuerySet:
    """The open rows that earlier syncs of the connection left."""
    rows = QuarantinedRecord.objects.open().filter(
        user_id=sync.user_id, step__sync__connection=sync.connection_id
    )
    return rows.exclude(step__sync=sync)


def _record(step: SyncStep, row: Rejected) -> QuarantinedRecord:
    kept = QuarantinedRecord(
        user_id=step.user_id,
        step=step,
        provider_id=clean_text(row.provider_id, 300),
        reason=row.reason,
        params=dict(row.params),
        redacted=redact(row.payload),
    )
    kept.seal(row.source or row.payload)
    kept.mark = _mark(step, row)
    return kept


def _mark(step: SyncStep, row: Rejected) -> str:
    """What tells a row from every other, whenever a provider tells it."""
    if step.sync.trigger == SyncTrigger.FILE_IMPORT:
        # Each file stands for itself: one may be taken back and another stay.
        return ""
    place = (step.sync.connection_id, step.account_id, step.kind)
    text = "|".join((*map(str, place), row.provider_id or row.payload))
    return fingerprint(text, key=settings.DASHTAM_FINGERPRINT_KEY, purpose="unreadable")


def _take_place(records: Sequence[QuarantinedRecord]) -> None:
    """Have these stand for the same rows told earlier, and be dismissed where those were."""
    waiting = Q(resolved_at=None) | Q(resolution=Resolution.DISMISSED)
    marks = {one.mark for one in records}
    earlier = QuarantinedRecord.objects.filter(waiting, user=records[0].user, mark__in=marks)
    by_mark = {one.mark: one for one in earlier.order_by("created_at")}
    earlier.erase(Resolution.REPEATED)
    for one in records:
        before = by_mark.get(one.mark)
        by_mark[one.mark] = one
        if before is None:
            continue
        one.times_told = before.times_told + (before.step_id != one.step_id)
        one.first_told_at = before.first_told_at
        if before.resolution == Resolution.DISMISSED and before.redacted == one.redacted:
            one.resolution, one.note = before.resolution, before.note
            one.resolved_at = now()
        if before._state.adding:
            # Told twice in one answer.
            before.resolution, before.resolved_at = Resolution.REPEATED, now()
            before.payload = before.redacted = ""
