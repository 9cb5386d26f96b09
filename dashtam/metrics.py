"""Figures for whoever watches the installation, read from the database: the same in every process.

Counts and ages, by provider and state; never a name, an address or an amount. Everything is a
gauge, of now or of a window that the `window` label names, so nothing is lost or doubled by a
restart, and every statement reads an index's range or a table that stays small.
"""

from __future__ import annotations

import platform
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from math import inf
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection as db_connection
from django.db.models import Count, Max, Min, Q, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_q.models import OrmQ, Task

from connections.models import Connection, QuarantinedRecord, Sync
from connections.types import ConnectionStatus
from dashtam import health
from dashtam.ids import first_of
from dashtam.models import Event, Feed
from imports.models import StatementFile

if TYPE_CHECKING:
    from collections.abc import Iterable

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# A connection that should be read every six hours and was not for a day.
STALE_AFTER = DAY
DURATIONS_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = dict[str, str]
Value = int | float


@dataclass(frozen=True, slots=True)
class Metric:
    """One name with what it means, and its values by their labels."""

    name: str
    meaning: str
    values: Iterable[tuple[Labels, Value]]

    def lines(self) -> Iterator[str]:
        """As Prometheus reads it."""
        yield f"# HELP dashtam_{self.name} {self.meaning}"
        yield f"# TYPE dashtam_{self.name} gauge"
        for labels, value in self.values:
            told = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            figure = "+Inf" if value == inf else value
            yield f"dashtam_{self.name}{'{' + told + '}' if told else ''} {figure}"


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Every figure, for who shows METRICS_TOKEN; 404 when there is none, 401 without it."""
    if not settings.METRICS_TOKEN:
        raise Http404
    shown = request.headers.get("Authorization", "")
    if not constant_time_compare(shown, f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    lines = [line for metric in collect() for line in metric.lines()]
    return HttpResponse("\n".join(lines) + "\n", content_type=CONTENT_TYPE)


def collect() -> Iterator[Metric]:
    """Return every figure. So many statements, however much there is: one for each group."""
    moment = now()
    yield _build()
    yield from _queue(moment)
    yield from _syncs(moment)
    yield from _unfinished(moment)
    yield from _connections(moment)
    yield from _rows(moment)
    yield from _events(moment)
    yield Metric("database_bytes", "How large the database is.", [({}, _database_bytes())])


def _build() -> Metric:
    about = {
        "version": _version(),
        "python": platform.python_version(),
        "django": django.get_version(),
        "database": db_connection.vendor,
    }
    return Metric("build_info", "What runs here.", [(about, 1)])


def _queue(moment: datetime) -> Iterator[Metric]:
    waiting, taken = Q(lock__lte=moment), Q(lock__gt=moment)
    jobs = OrmQ.objects.filter(key=settings.Q_CLUSTER["name"]).aggregate(
        waiting=Count("pk", filter=waiting),
        taken=Count("pk", filter=taken),
        # A job's lock is the moment it was queued, until a worker takes it.
        oldest=Min("lock", filter=waiting),
    )
    depth = [({"state": state}, jobs[state]) for state in ("waiting", "taken")]
    yield Metric("queue_jobs", "Jobs in the queue; taken ones are being done.", depth)
    oldest = _age(jobs["oldest"], moment)
    yield Metric("queue_oldest_seconds", "How long the first job waits.", [({}, oldest)])
    failed = Task.objects.filter(success=False, stopped__gte=moment - DAY).count()
    yield Metric("queue_failed_jobs", "Jobs that broke.", [({"window": "24h"}, failed)])
    silent = _age(health.last_beat(), moment, never=inf)
    yield Metric(
        "heartbeat_age_seconds", "Since a worker last did the minutely job.", [({}, silent)]
    )


@dataclass(slots=True)
class _Ended:
    """The ended syncs of one provider with one outcome, in the last day."""

    in_hour: int = 0
    in_day: int = 0
    seconds: float = 0.0
    within: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float, *, is_recent: bool) -> None:
        """Count one sync that took so long."""
        self.in_day += 1
        self.in_hour += is_recent
        self.seconds += seconds
        self.within.update(bound for bound in DURATIONS_SECONDS if seconds <= bound)


def _syncs(moment: datetime) -> Iterator[Metric]:
    groups = _ended_syncs(moment)
    of = {key: {"provider": key[0], "outcome": key[1]} for key in groups}
    windows = [
        ({**of[key], "window": window}, count)
        for key, group in groups.items()
        for window, count in (("1h", group.in_hour), ("24h", group.in_day))
    ]
    yield Metric("syncs", "Ended syncs by how they ended.", windows)
    buckets = [
        ({**of[key], "le": le}, count)
        for key, group in groups.items()
        for le, count in (
            *((str(bound), group.within[bound]) for bound in DURATIONS_SECONDS),
            ("+Inf", group.in_day),
        )
    ]
    yield Metric(
        "sync_duration_seconds_bucket",
        "Ended syncs of the last 24 hours that took at most `le` seconds (for histogram_quantile).",
        buckets,
    )
    yield Metric(
        "sync_duration_seconds_sum",
        "How long the ended syncs of the last 24 hours took together.",
        [(of[key], round(group.seconds, 3)) for key, group in groups.items()],
    )


def _ended_syncs(moment: datetime) -> dict[tuple[str, str], _Ended]:
    """Those asked for in the last day: ids sort by time, so that is a range of the first index.

    Counted here and not in SQL: SQLite subtracts instants in Python, once for each bound.
    """
    groups: dict[tuple[str, str], _Ended] = defaultdict(_Ended)
    ended = Sync.objects.filter(pk__gte=first_of(moment - DAY), finished_at__isnull=False)
    names = ("connection__provider_slug", "status", "pk", "started_at", "finished_at")
    hour_ago = first_of(moment - HOUR)
    for slug, status, pk, started_at, finished_at in ended.values_list(*names).iterator():
        seconds = (finished_at - (started_at or finished_at)).total_seconds()
        groups[slug, status].add(seconds, is_recent=pk >= hour_ago)
    return dict(sorted(groups.items()))


def _unfinished(moment: datetime) -> Iterator[Metric]:
    # None lasts a week: the rescue gives up long before. (Asked with parameters, as Django does,
    # SQLite does not use the index of the unfinished.)
    recent = Sync.objects.unfinished().filter(pk__gte=first_of(moment - 7 * DAY))
    groups = recent.values("status").order_by("status")
    rows = list(groups.annotate(count=Count("pk"), oldest=Min("requested_at")))
    counts = [({"status": row["status"]}, row["count"]) for row in rows]
    yield Metric("syncs_unfinished", "Syncs that are queued or running.", counts)
    oldest = _age(min((row["oldest"] for row in rows), default=None), moment)
    yield Metric("syncs_unfinished_oldest_seconds", "How old the oldest is.", [({}, oldest)])


def _connections(moment: datetime) -> Iterator[Metric]:
    too_old = moment - STALE_AFTER
    unread = Q(last_sync_at__lt=too_old) | Q(last_sync_at=None, connected_at__lt=too_old)
    # Files come when their person brings them: only what is read by the clock can be late.
    stale = Q(status=ConnectionStatus.ACTIVE, next_sync_at__isnull=False) & unread
    groups = Connection.objects.values("provider_slug", "status").order_by(
        "provider_slug", "status"
    )
    rows = list(groups.annotate(count=Count("pk"), stale=Count("pk", filter=stale)))
    yield Metric(
        "connections",
        "Connections by where they stand.",
        [
            ({"provider": row["provider_slug"], "status": row["status"]}, row["count"])
            for row in rows
        ],
    )
    yield Metric(
        "connections_stale",
        "Active connections that should be read by the clock and were not for 24 hours.",
        [
            ({"provider": row["provider_slug"]}, row["stale"])
            for row in rows
            if row["status"] == ConnectionStatus.ACTIVE
        ],
    )


def _rows(moment: datetime) -> Iterator[Metric]:
    unresolved = QuarantinedRecord.objects.filter(resolved_at=None).count()
    yield Metric("quarantine_open", "Rows that could not be read.", [({}, unresolved)])
    recent = StatementFile.objects.filter(pk__gte=first_of(moment - DAY))
    groups = recent.values("status").order_by("status").annotate(count=Count("pk"))
    imports = [({"status": row["status"], "window": "24h"}, row["count"]) for row in groups]
    yield Metric("imports", "Statement files brought, by what became of them.", imports)


def _events(moment: datetime) -> Iterator[Metric]:
    feeds = Feed.objects.aggregate(
        numbered=Sum("last_sequence", default=0), longest=Max("last_sequence", default=0)
    )
    yield Metric(
        "events", "Event numbers given out since the beginning.", [({}, feeds["numbered"])]
    )
    yield Metric(
        "events_longest_feed", "The highest number of one person.", [({}, feeds["longest"])]
    )
    newest = Event.objects.order_by("-pk").values_list("occurred_at", flat=True).first()
    yield Metric(
        "events_newest_age_seconds", "Since anything happened.", [({}, _age(newest, moment))]
    )
    operational = Event.objects.filter(is_audit=False).order_by("occurred_at")
    oldest = _age(operational.values_list("occurred_at", flat=True).first(), moment)
    yield Metric(
        "events_oldest_operational_age_seconds",
        "How old the oldest event is that retention will remove (about 30 days at most).",
        [({}, oldest)],
    )


def _database_bytes() -> int:
    statement = "SELECT pg_database_size(current_database())"
    if db_connection.vendor == "sqlite":
        statement = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    with db_connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])


def _age(then: datetime | None, moment: datetime, never: float = 0.0) -> float:
    """Seconds since then; `never` when there is no then."""
    return max(round((moment - then).total_seconds(), 3), 0.0) if then else never


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


@cache
def _version() -> str:
    with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])
