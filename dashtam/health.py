"""Health for load balancers and supervisors: is the process alive, can it serve."""

from __future__ import annotations

from functools import cache

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.db import connection as db_connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


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
    """200 when the database answers with the schema this code needs, else 503 with the reason."""
    try:
        waiting = unapplied_migrations()
    except DatabaseError:
        return JsonResponse({"status": "unready", "reason": "database_unreachable"}, status=503)
    if waiting:
        return JsonResponse({"status": "unready", "reason": "migrations_waiting"}, status=503)
    return JsonResponse({"status": "ready"})


def unapplied_migrations() -> list[tuple[str, str]]:
    """(app, name) of each migration the code has and the database has not. One query.

    Raises DatabaseError when the database does not answer.
    """
    applied = MigrationRecorder(db_connection).applied_migrations()
    return sorted(_migrations_of_the_code() - applied.keys())


@cache
def _migrations_of_the_code() -> frozenset[tuple[str, str]]:
    # The code does not change while it runs, and reading it takes longer than a probe may.
    return frozenset(MigrationLoader(None).disk_migrations)
