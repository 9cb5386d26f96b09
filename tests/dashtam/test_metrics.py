"""Figures for whoever watches: true, the same in every process, and cheap however much there is."""

import re
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection as db_connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from django_q.models import OrmQ, Task

from connections.models import QuarantinedRecord, Sync, SyncStep
from connections.types import ConnectionStatus, StepKind, SyncStatus, SyncTrigger
from dashtam.ids import first_of, uuid7
from dashtam.tasks import beat
from imports.models import StatementFile
from tests.dashtam.sockets import tell
from tests.factories import make_account, make_connection, make_user

pytestmark = pytest.mark.django_db

TOKEN = "metrics-token-of-the-tests"
LINE = re.compile(r'dashtam_[a-z0-9_]+(?:\{(?:[a-z]+="[^"\n]*",?)+\})? (?:\+Inf|[0-9.e+-]+)')
# Tables that grow without end: what is read of them has to be an index's range.
GROWING = "connections_sync connections_quarantinedrecord imports_statementfile dashtam_event"


@pytest.fixture
def read(client, settings):
    settings.METRICS_TOKEN = TOKEN

    def reader():
        response = client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {TOKEN}")
        assert response.status_code == 200
        return response.content.decode()

    return reader


def ended(connection, status, seconds, ago=timedelta()):
    finished_at = now() - ago
    return Sync.objects.create(
        pk=first_of(finished_at) if ago else uuid7(),
        user=connection.user,
        connection=connection,
        trigger=SyncTrigger.SCHEDULED,
        status=status,
        started_at=finished_at - timedelta(seconds=seconds),
        finished_at=finished_at,
    )


def test_without_a_token_in_the_settings_there_is_no_such_page(client):
    assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer ").status_code == 404


@pytest.mark.parametrize(
    "shown", [{}, {"HTTP_AUTHORIZATION": "Bearer wrong"}, {"HTTP_COOKIE": "a"}]
)
def test_without_showing_it_there_are_no_figures(client, settings, shown):
    settings.METRICS_TOKEN = TOKEN
    response = client.get("/metrics", **shown)
    assert (response.status_code, response.content) == (401, b"")


def test_an_operator_without_the_token_is_a_stranger_too(client, alice, settings):
    settings.METRICS_TOKEN = TOKEN
    alice.is_superuser = alice.is_staff = True
    alice.save()
    client.force_login(alice)
    assert client.get("/metrics").status_code == 401


def test_every_line_is_one_that_prometheus_reads(read, sync):
    lines = read().splitlines()
    assert len(lines) > 40
    for line in lines:
        assert line.startswith(("# HELP dashtam_", "# TYPE dashtam_")) or LINE.fullmatch(line), line
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_the_queue_is_told_with_the_age_of_its_first_job(read):
    moment = now()
    for seconds in (90, 30, -600):  # two wait, one is being done
        lock = moment - timedelta(seconds=seconds)
        OrmQ.objects.create(key="dashtam", payload="", lock=lock)
    Task.objects.create(id="1", name="1", func="f", started=moment, stopped=moment, success=False)
    text = read()
    assert 'dashtam_queue_jobs{state="waiting"} 2' in text
    assert 'dashtam_queue_jobs{state="taken"} 1' in text
    assert re.search(r"dashtam_queue_oldest_seconds 9\d\.", text)
    assert 'dashtam_queue_failed_jobs{window="24h"} 1' in text


def test_a_worker_that_never_was_is_told_as_an_endless_silence(read):
    assert "dashtam_heartbeat_age_seconds +Inf" in read()
    beat()
    assert re.search(r"dashtam_heartbeat_age_seconds \d+\.", read())


def test_syncs_are_told_by_provider_outcome_and_duration(read, connection):
    ended(connection, SyncStatus.SUCCEEDED, 3)
    ended(connection, SyncStatus.SUCCEEDED, 400)
    ended(connection, SyncStatus.FAILED, 1)
    text = read()
    of = 'provider="statement_file",outcome="succeeded"'
    assert f'dashtam_syncs{{{of},window="1h"}} 2' in text
    assert f'dashtam_sync_duration_seconds_bucket{{{of},le="2"}} 0' in text
    assert f'dashtam_sync_duration_seconds_bucket{{{of},le="5"}} 1' in text
    assert f'dashtam_sync_duration_seconds_bucket{{{of},le="+Inf"}} 2' in text
    assert f"dashtam_sync_duration_seconds_sum{{{of}}} 403.0" in text


def test_syncs_leave_the_window_with_time(read, connection):
    for hours in (25, 2):
        ended(connection, SyncStatus.SUCCEEDED, 3, ago=timedelta(hours=hours))
    text = read()
    of = 'provider="statement_file",outcome="succeeded"'
    assert f'dashtam_syncs{{{of},window="1h"}} 0' in text
    assert f'dashtam_syncs{{{of},window="24h"}} 1' in text


def test_unfinished_syncs_are_told_with_the_age_of_the_oldest(read, sync):
    Sync.objects.update(requested_at=now() - timedelta(minutes=5))
    text = read()
    assert 'dashtam_syncs_unfinished{status="running"} 1' in text
    assert re.search(r"dashtam_syncs_unfinished_oldest_seconds 30\d\.", text)


def test_connections_are_told_by_state_and_the_late_ones_apart(read, alice):
    late, soon = now() - timedelta(hours=25), now()
    fields = {"provider_slug": "bank", "next_sync_at": soon, "connected_at": late}
    make_connection(alice, **fields, last_sync_at=late)
    make_connection(alice, **fields)
    make_connection(alice, **fields, last_sync_at=soon)
    make_connection(alice, **fields, last_sync_at=late, status=ConnectionStatus.EXPIRED)
    make_connection(alice, last_sync_at=late)  # for files: nobody's fault
    text = read()
    assert 'dashtam_connections{provider="bank",status="active"} 3' in text
    assert 'dashtam_connections{provider="bank",status="expired"} 1' in text
    assert 'dashtam_connections_stale{provider="bank"} 2' in text
    assert 'dashtam_connections_stale{provider="statement_file"} 0' in text


def test_unreadable_rows_imports_and_events_are_counted(read, sync):
    step = SyncStep.objects.create(user=sync.user, sync=sync, kind=StepKind.TRANSACTIONS)
    for resolved_at in (None, None, now()):
        QuarantinedRecord.objects.create(
            user=sync.user, step=step, reason="amount", resolved_at=resolved_at
        )
    statement(sync.user)
    tell(sync.user, 5)
    text = read()
    assert "dashtam_quarantine_open 2" in text
    assert 'dashtam_imports{status="previewed",window="24h"} 1' in text
    assert re.search(r"dashtam_events \d+", text)
    assert re.search(r"dashtam_database_bytes [1-9]\d+", text)
    assert 'version="0.1.0"' in text


def statement(user):
    return StatementFile.objects.create(
        user=user, file_name="private.qfx", sha256="0" * 64, size_bytes=1
    )


def test_nothing_of_a_person_is_told(read, alice):
    account = make_account(alice, name="Private checking", balance="123456.78")
    statement(alice)
    ended(account.connection, SyncStatus.SUCCEEDED, 1)
    text = read()
    private = ("alice", "Private", "private", "123456", "First Bank", str(alice.pk))
    assert not [word for word in private if word in text]


def test_it_costs_the_same_however_much_there_is(read, alice):
    with CaptureQueriesContext(db_connection) as few:
        read()
    for user in (alice, make_user(), make_user()):
        for slug in ("bank", "broker"):
            connection = make_connection(user, provider_slug=slug)
            ended(connection, SyncStatus.SUCCEEDED, 1)
            ended(connection, SyncStatus.FAILED, 1)
        tell(user, 3)
        statement(user)
    with CaptureQueriesContext(db_connection) as many:
        read()
    assert len(many) == len(few) == 12


# The planner of PostgreSQL reads a small table as a whole.
@pytest.mark.sqlite
def test_what_grows_without_end_is_read_by_an_index(read):
    with CaptureQueriesContext(db_connection) as asked:
        read()
    for query in asked.captured_queries:
        with db_connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plan = " / ".join(row[3] for row in cursor.fetchall())
        scanned = re.findall(r"SCAN (\w+)(?! USING)", plan)
        assert not set(scanned) & set(GROWING.split()), (plan, query["sql"])


def test_the_figures_are_not_sent_elsewhere_over_http(settings, read, client):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/metrics").status_code == 401
    assert client.get("/settings/").status_code == 301


def test_the_checks_of_a_deployment_have_no_word_against_it(settings):
    settings.METRICS_TOKEN = TOKEN
    call_command("check", "--fail-level", "WARNING")
