"""When each connection is read next, and who is due now."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import F
from django.utils.timezone import now

from connections.errors import SyncError
from connections.models import Connection
from connections.services import sync_now
from connections.types import ConnectionStatus, SyncTrigger

if TYPE_CHECKING:
    from uuid import UUID

    from connections.models import ConnectionQuerySet

EVERY = timedelta(hours=6)
# After a failure: five minutes, then twice as long each time, to the usual pace at most.
FIRST_WAIT = timedelta(minutes=5)
# Connections made together do not all ask at the same second for ever.
JITTER = 0.1
# How many are queued at a time; the rest follow a minute later.
AT_ONCE = 500


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
    """Queue every connection whose time has come; how many."""
    due = Connection.objects.filter(
        status=ConnectionStatus.ACTIVE, is_sandbox=settings.SANDBOX, next_sync_at__lte=now()
    ).order_by("next_sync_at")
    return sum(_queue(connection) for connection in due[:AT_ONCE])


def _queue(connection: Connection) -> bool:
    # Taken by moving its time on: of two schedulers one finds it moved already.
    taken = Connection.objects.filter(
        pk=connection.pk, next_sync_at=connection.next_sync_at
    ).update(next_sync_at=now() + EVERY)
    if not taken:
        return False
    try:
        sync_now(connection, SyncTrigger.SCHEDULED)
    except SyncError:
        # Switched off, or ended meanwhile: it is looked at again at its next time.
        return False
    return True


def _active(connection_id: UUID) -> ConnectionQuerySet:
    return Connection.objects.filter(pk=connection_id, status=ConnectionStatus.ACTIVE)


def _about(wait: timedelta) -> timedelta:
    return wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - a pace, not a secret
