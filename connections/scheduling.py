"""When each connection is read next, and who is due now."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Exists, F, OuterRef
from django.db.transaction import atomic
from django.utils.timezone import now

from connections.models import Connection, Sync
from connections.provider import fetched_providers
from connections.reach import disabled_slugs
from connections.services import task_of
from connections.types import ConnectionStatus, SyncStatus, SyncTrigger
from dashtam.bulk import bulk_insert
from dashtam.queueing import put_all

if TYPE_CHECKING:
    from uuid import UUID

    from connections.models import ConnectionQuerySet

EVERY = timedelta(hours=6)
# After a failure: five minutes, then twice as long each time, to the usual pace at most.
FIRST_WAIT = timedelta(minutes=5)
# Connections made together do not all ask at the same second for ever.
JITTER = 0.1
# How many are queued in one transaction, and how many may wait on the queue.
AT_ONCE = 500
WAITING_AT_MOST = 2000


def plan_after_success(connection_id: UUID) -> None:
    """Read it again at the usual pace."""
    _active(connection_id).update(next_sync_at=now() + _about(EVERY))


def plan_after_failure(connection_id: UUID, *, not_before: datetime | None = None) -> None:
    """Try again later: the longer, the more often it failed, and not before a provider allows."""
    mine = _active(connection_id)
    mine.update(failure_count=F("failure_count") + 1)
    failures = mine.values_list("failure_count", flat=True).first() or 1
    wait = min(FIRST_WAIT * 2 ** min(failures - 1, 10), EVERY)
    later = now() + _about(wait)
    mine.update(next_sync_at=max(later, not_before) if not_before else later)


def queue_due() -> int:
    """Queue every connection whose time has come, the longest due first; how many.

    As many as the workers will get to: what is due beyond that waits where it costs nothing.
    """
    room = WAITING_AT_MOST - Sync.objects.filter(status=SyncStatus.QUEUED).count()
    queued = 0
    while room > 0:
        taken = _queue_some(min(room, AT_ONCE))
        if not taken:
            break
        queued += taken
        room -= taken
    return queued


def _queue_some(count: int) -> int:
    """Queue up to so many in one transaction, in as many statements for one as for all."""
    with atomic():
        due = list(_due().select_for_update(of=("self",), skip_locked=True)[:count])
        if not due:
            return 0
        # Moved on at once: of two schedulers each finds others.
        Connection.objects.filter(pk__in=[one.pk for one in due]).update(next_sync_at=now() + EVERY)
        syncs = [
            Sync(user_id=one.user_id, connection=one, trigger=SyncTrigger.SCHEDULED) for one in due
        ]
        bulk_insert(syncs, ignore_conflicts=True)
        # Not those whose person was quicker at this very moment.
        made = set(
            Sync.objects.filter(pk__in=[sync.pk for sync in syncs]).values_list("pk", flat=True)
        )
        put_all((task_of(sync), str(sync.pk)) for sync in syncs if sync.pk in made)
    return len(due)


def _due() -> ConnectionQuerySet:
    busy = Sync.objects.unfinished().filter(connection=OuterRef("pk"))
    known = {one.slug for one in fetched_providers()} - disabled_slugs()
    return (
        Connection.objects.filter(
            ~Exists(busy),
            status=ConnectionStatus.ACTIVE,
            is_sandbox=settings.SANDBOX,
            provider_slug__in=known,
            next_sync_at__lte=now(),
        )
        .only("user_id", "provider_slug", "next_sync_at")
        .order_by("next_sync_at")
    )


def _active(connection_id: UUID) -> ConnectionQuerySet:
    return Connection.objects.filter(pk=connection_id, status=ConnectionStatus.ACTIVE)


def _about(wait: timedelta) -> timedelta:
    return wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - a pace, not a secret
