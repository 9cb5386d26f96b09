"""Health for load balancers and supervisors: is the process alive, does all of it work."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.db import connection as db_connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_q.models import Schedule

from dashtam.models import Heartbeat
from dashtam.schedules import MARK

# The schedule beats every minute; so long a silence is no delay any more.
SILENCE = timedelta(minutes=3)
WORKER = "worker"
BEAT = f"{MARK}dashtam.tasks.beat"

_started_at = now()


@login_not_required
@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"status": "live"})


@login_not_required
@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when people are served and work goes on; else 503 with the names of what is down."""
    down = what_is_down()
    if down:
        return JsonResponse({"status": "unready", "down": down}, status=503)
    return JsonResponse({"status": "ready"})


def what_is_down() -> list[str]:
    """Return "database", or "migrations" (some are not applied), or "schedule" and "worker".

    The last two only once this process is old enough for them to have started beside it.
    """
    try:
        if unapplied_migrations():
            return ["migrations"]
        return [] if now() < _started_at + SILENCE else _silent()
    except DatabaseError:
        return ["database"]


def beat() -> None:
    """Say that the schedule is followed and that a worker works."""
    if not Heartbeat.objects.filter(pk=WORKER).update(beat_at=now()):
        fresh = Heartbeat(pk=WORKER, beat_at=now())
        Heartbeat.objects.bulk_create([fresh], ignore_conflicts=True)


def last_beat() -> datetime | None:
    """Return when a worker last said so; None when none ever did."""
    return Heartbeat.objects.filter(pk=WORKER).values_list("beat_at", flat=True).first()


def unapplied_migrations() -> list[tuple[str, str]]:
    """(app, name) of each migration the code has and the database has not. Two queries.

    Raises DatabaseError when the database does not answer.
    """
    applied = MigrationRecorder(db_connection).applied_migrations()
    return sorted(_migrations_of_the_code() - applied.keys())


def _silent() -> list[str]:
    longest_ago = now() - SILENCE
    beaten_at = last_beat()
    # Whoever follows the schedule moves its next run on, whether or not a worker then does it.
    is_followed = Schedule.objects.filter(name=BEAT, next_run__gt=longest_ago).exists()
    is_working = beaten_at is not None and beaten_at > longest_ago
    states = {"schedule": is_followed, WORKER: is_working}
    return [name for name, is_up in states.items() if not is_up]


@cache
def _migrations_of_the_code() -> frozenset[tuple[str, str]]:
    # The code does not change while it runs, and reading it takes longer than a probe may.
    return frozenset(MigrationLoader(None).disk_migrations)
