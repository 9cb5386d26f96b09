"""Keeping the rows that could not be read: sealed, with a view that may be shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.transaction import atomic

from accounts.types import Counts
from connections.models import QuarantinedRecord, SyncStep
from connections.types import StepKind, StepStatus
from dashtam.text import clean_text, mask_number
from dashtam.vault import vault
from transactions.services import CHUNK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accounts.types import Rejected
    from connections.models import Sync

REDACTED_LENGTH = 2000
# Shorter runs of digits are dates (with a time), amounts and the bank's own row ids.
LONG_NUMBER = re.compile(r"(?<=ACCTID>)[^<]+|(?<![\d.])\d{12,13}(?!\d)|(?<![\d.])\d{15,}(?!\d)")


def quarantine(step: SyncStep, rejected: Sequence[Rejected]) -> None:
    """Keep these rows with their reasons inside the caller's transaction, and count them."""
    ring = vault(settings.DASHTAM_KEYS)
    records = []
    for row in rejected:
        kept = QuarantinedRecord(
            user_id=step.user_id,
            step=step,
            provider_id=clean_text(row.provider_id, 300),
            reason=row.reason,
            params=dict(row.params),
            redacted=redact(row.payload),
        )
        place = {
            "table": kept._meta.label_lower,
            "row": str(kept.pk),
            "user": str(kept.user_id),
            "field": "payload",
        }
        kept.payload = ring.seal(row.payload.encode("utf-8", "replace"), **place)
        records.append(kept)
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
