"""What must be true of connections and syncs; see `dashtam.invariants`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count, F, Q
from django.utils.timezone import now
from django_q.models import OrmQ

from connections.models import LEASE, Connection, Sync, SyncStep
from connections.types import UNFINISHED, ConnectionStatus, SyncStatus
from dashtam.invariants.registry import Findings, invariant

if TYPE_CHECKING:
    from collections.abc import Iterator

# The rescue looks every minute for what no worker holds: longer than this, and it did not.
LIMBO = 2 * LEASE


@invariant("No sync waits for a worker that will not come")
def no_sync_is_in_limbo(findings: Findings) -> None:
    """Unfinished, held by nobody for two leases, and in no queue."""
    findings.looked_at = Sync.objects.unfinished().count()
    long_ago = now() - LIMBO
    held_by_nobody = Q(status=SyncStatus.RUNNING, lease_expires_at__lt=long_ago) | Q(
        status=SyncStatus.QUEUED, updated_at__lt=long_ago
    )
    waiting = Sync.objects.filter(held_by_nobody).exclude(pk__in=set(_queued()))
    findings.add_rows(waiting, "nobody works on it and it is in no queue")


@invariant("A sync has an end when it has ended")
def ended_syncs_have_an_end(findings: Findings) -> None:
    """And none before."""
    findings.looked_at = Sync.objects.count()
    ended = Q(finished_at__isnull=False)
    odd = Sync.objects.filter(Q(ended, status__in=UNFINISHED) | ~ended & ~Q(status__in=UNFINISHED))
    findings.add_rows(odd, "its status and its end do not agree")


@invariant("Every row that was set aside is kept")
def quarantine_is_complete(findings: Findings) -> None:
    """A step counts the rows it could not read; as many are there."""
    findings.looked_at = SyncStep.objects.count()
    steps = SyncStep.objects.annotate(kept=Count("quarantine"))
    findings.add_rows(steps.exclude(kept=F("quarantined")), "rows that were set aside are missing")


@invariant("What was disconnected has no credentials left")
def nothing_is_left_of_the_disconnected(findings: Findings) -> None:
    """They are destroyed when a connection ends."""
    ended = Connection.objects.filter(status=ConnectionStatus.DISCONNECTED)
    findings.looked_at = ended.count()
    findings.add_rows(ended.exclude(credentials=""), "its credentials are still there")


def _queued() -> Iterator[str]:
    """The first argument of every job in the queue: of ours it is the id of a sync."""
    for job in OrmQ.objects.iterator():
        yield from map(str, (job.args() or ())[:1])
