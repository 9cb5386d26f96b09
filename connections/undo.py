"""What an undo of an import does to its syncs, their steps, and the connection they were of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q
from django.utils.timezone import now

from accounts.types import Counts
from connections.models import QuarantinedRecord, SyncStep
from connections.telling import completed, connection_names, counts_of
from connections.types import (
    UNFINISHED,
    CredentialType,
    Resolution,
    StepKind,
    StepStatus,
    SyncStatus,
)
from dashtam.events import NewEvent

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from accounts.models import Account
    from connections.models import Connection, Sync


def end_undo(sync: Sync, *, accounts: int, changed: int) -> list[NewEvent]:
    """End a sync that took a file back, inside the caller's transaction; what is told of it."""
    step = SyncStep(user_id=sync.user_id, sync=sync, kind=StepKind.ACCOUNTS)
    step.tally(Counts(fetched=accounts, updated=changed, unchanged=accounts - changed))
    step.status = StepStatus.SUCCEEDED
    step.save()
    sync.status = SyncStatus.SUCCEEDED
    sync.finished_at = now()
    sync.resume_point = {}
    sync.save(update_fields=["status", "finished_at", "resume_point", "updated_at"])
    return completed(sync, [step])


def keep_counts(account: Account) -> None:
    """Keep, in steps without an account, what syncs did with an account that is about to go."""
    for step in account.steps.all():
        kept, _is_new = SyncStep.objects.get_or_create(
            sync_id=step.sync_id,
            kind=step.kind,
            account=None,
            defaults={"user_id": step.user_id, "status": step.status},
        )
        kept.tally(counts_of([step]))
        kept.pages += step.pages
        kept.save()
        step.quarantine.update(step=kept)


def forget_unreadable(sync_ids: Collection[UUID]) -> None:
    """Erase the rows that these syncs could not read; that there were some stays on record."""
    QuarantinedRecord.objects.filter(step__sync__in=sync_ids).erase(Resolution.UNDONE)


def reopen_outdated(account_ids: Collection[UUID]) -> None:
    """Have rows wait again that something newer had replaced, of accounts it may be gone from."""
    outdated = QuarantinedRecord.objects.filter(resolution=Resolution.OUTDATED).exclude(payload="")
    outdated.filter(step__account__in=account_ids).update(
        resolution="", resolved_at=None, updated_at=now()
    )


def remove_if_empty(connection: Connection, *, but: Sync) -> list[NewEvent]:
    """Delete a connection of files that has nothing left, inside the caller's transaction.

    Its other syncs, if they are at work or keep rows that could not be read, need it still.
    """
    unread = Q(steps__quarantine__isnull=False, steps__quarantine__resolved_at=None)
    needed = Q(status__in=UNFINISHED) | unread
    if (
        connection.credential_type != CredentialType.FILE_IMPORT
        or connection.accounts.exists()
        or connection.syncs.exclude(pk=but.pk).filter(needed).exists()
    ):
        return []
    names = connection_names(connection)
    connection.delete()
    return [NewEvent("provider.disconnected", names)]
