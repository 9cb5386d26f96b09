"""What is not kept for ever: removed in small steps, so that nobody waits and any step may be last.

Kept for ever are audit events, syncs with their counts and the admin's log: they are the history
that people and operators look things up in, and they are small.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING

from django.contrib.sessions.models import Session
from django.db import connection as db_connection
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.db.transaction import atomic
from django.utils.timezone import now
from django_q.models import Task

from connections.models import OAuthState, QuarantinedRecord
from dashtam.models import Event, Feed

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from django.db.models import Model, QuerySet

logger = logging.getLogger(__name__)

EVENTS_KEPT = timedelta(days=30)
JOBS_KEPT = timedelta(days=30)
# Used or not, a state is good for ten minutes: a day later nobody comes back with it.
STATES_KEPT = timedelta(days=1)
# What a row said that was put right long ago; its reason and what became of it stay.
RESOLVED_KEPT = timedelta(days=90)

# SQLite takes 999 parameters, and has one writer: between two steps others get their turn.
BATCH = 500
PAUSE_SECONDS = 0.01
# The queue ends a job after five minutes; what is left is the next run's.
SECONDS_PER_RUN = 200.0


@dataclass(slots=True)
class Pruned:
    """How many rows went, by kind; `is_done` is False when the time was over before the rows."""

    counts: dict[str, int] = field(default_factory=dict)
    is_done: bool = True


def prune(seconds: float = inf) -> Pruned:
    """Remove what is not kept any longer, for at most about so many seconds."""
    ends_at = time.monotonic() + seconds
    pruned = Pruned()
    for name, step in STEPS.items():
        pruned.counts[name] = 0
        while time.monotonic() < ends_at:
            found = step()
            pruned.counts[name] += found
            if found < BATCH:
                break
            if db_connection.vendor == "sqlite":
                time.sleep(PAUSE_SECONDS)
        else:
            pruned.is_done = False
    told = ", ".join(f"{count} {name}" for name, count in pruned.counts.items() if count)
    logger.info("pruned %s", told or "nothing")
    return pruned


def prune_events() -> int:
    """Remove one batch of operational events, each person's feed moved on with them; how many."""
    old = Event.objects.filter(is_audit=False, occurred_at__lt=now() - EVENTS_KEPT)
    by_person: dict[UUID, list[tuple[UUID, int]]] = defaultdict(list)
    batch = old.order_by("occurred_at").values_list("user_id", "pk", "sequence")[:BATCH]
    for user_id, pk, sequence in batch:
        by_person[user_id].append((pk, sequence))
    for user_id, events in by_person.items():
        _remove_events(user_id, events)
    return sum(map(len, by_person.values()))


def _remove_events(user_id: UUID, events: list[tuple[UUID, int]]) -> None:
    through = max(sequence for _pk, sequence in events)
    # One person at a time: whoever locks two feeds may meet another who locks them crosswise.
    with atomic():
        Feed.objects.filter(pk=user_id).update(
            pruned_through=Greatest(F("pruned_through"), Value(through))
        )
        Event.objects.filter(pk__in=[pk for pk, _sequence in events]).delete()


def prune_sessions() -> int:
    """Remove one batch of sessions that have ended; how many."""
    return _remove(Session.objects.filter(expire_date__lt=now()))


def prune_states() -> int:
    """Remove one batch of ways to a provider's page that nobody comes back from; how many."""
    return _remove(OAuthState.objects.filter(expires_at__lt=now() - STATES_KEPT))


def prune_jobs() -> int:
    """Remove one batch of the queue's ended jobs (it keeps those that failed); how many."""
    return _remove(Task.objects.filter(stopped__lt=now() - JOBS_KEPT))


def erase_resolved() -> int:
    """Erase the contents of one batch of unreadable rows that were put right; how many."""
    old = QuarantinedRecord.objects.filter(resolved_at__lt=now() - RESOLVED_KEPT)
    batch = old.exclude(payload="", redacted="").values_list("pk", flat=True)[:BATCH]
    rows = QuarantinedRecord.objects.filter(pk__in=list(batch))
    return rows.update(payload="", redacted="", updated_at=now())


def _remove(old: QuerySet[Model]) -> int:
    batch = list(old.order_by().values_list("pk", flat=True)[:BATCH])
    old.model._base_manager.filter(pk__in=batch).delete()
    return len(batch)


STEPS: dict[str, Callable[[], int]] = {
    "events": prune_events,
    "sessions": prune_sessions,
    "sign-ins at providers": prune_states,
    "ended jobs": prune_jobs,
    "resolved rows": erase_resolved,
}
