"""Connections keep themselves up to date, and wait longer after failures."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection as db_connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from django_q.models import OrmQ

from connections import scheduling
from connections.models import Connection, ProviderSetting, Sync
from connections.sandbox.faults import Fault
from connections.scheduling import EVERY, plan_after_failure, plan_after_success, queue_due
from connections.services import ask, rescue_stalled
from connections.tasks import run_sync, sync_due
from connections.types import ConnectionStatus
from tests.connections.journeys import connect
from tests.factories import make_connection

pytestmark = pytest.mark.django_db(transaction=True)


def due_in(connection):
    connection.refresh_from_db()
    return connection.next_sync_at - now()


@pytest.fixture
def due(alice, settings, db):
    """A connection whose time has come."""
    settings.SANDBOX = False
    long_ago = now() - timedelta(minutes=1)
    return make_connection(alice, provider_slug="schwab", next_sync_at=long_ago)


def test_what_is_due_is_queued_once(due):
    assert (queue_due(), queue_due()) == (1, 0)
    assert Sync.objects.get().trigger == "scheduled"


def test_the_schedule_queues_what_is_due(due):
    sync_due()
    assert Sync.objects.count() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"next_sync_at": None},
        {"next_sync_at": now() + timedelta(days=1)},
        {"status": ConnectionStatus.EXPIRED},
        {"is_sandbox": True},
    ],
)
def test_what_is_not_due_waits(due, fields):
    Connection.objects.update(**fields)
    assert queue_due() == 0


def test_after_success_it_is_read_again_at_the_usual_pace(due):
    plan_after_success(due.pk)
    assert EVERY * 0.8 < due_in(due) < EVERY * 1.2


def test_each_failure_doubles_the_wait_up_to_the_usual_pace(due):
    waits = []
    for _ in range(12):
        plan_after_failure(due.pk)
        waits.append(due_in(due))
    assert timedelta(minutes=4) < waits[0] < timedelta(minutes=6)
    assert timedelta(minutes=8) < waits[1] < timedelta(minutes=12)
    assert max(waits) < EVERY * 1.2


def test_a_provider_that_asks_to_wait_is_left_in_peace(due):
    plan_after_failure(due.pk, not_before=now() + timedelta(hours=3))
    assert due_in(due) > timedelta(hours=2)


def test_a_switched_off_provider_is_not_asked(due):
    ProviderSetting.objects.filter(slug="schwab").update(enabled=False)
    assert queue_due() == 0
    assert not Sync.objects.exists()


def test_a_sync_that_worked_plans_the_next(browser, bank):
    connection = connect(browser, bank)
    run_sync(str(Sync.objects.get().pk))
    assert due_in(connection) > EVERY * 0.8


def test_a_sync_that_failed_plans_a_try_soon(browser, bank):
    connection = connect(browser, bank)
    bank.faults.add("*/trader/v1/accounts*", Fault.UNAVAILABLE, times=None)
    run_sync(str(Sync.objects.get().pk))
    assert timedelta(0) < due_in(connection) < timedelta(minutes=10)


def make_due(user, count):
    long_ago = now() - timedelta(minutes=1)
    return [
        make_connection(user, provider_slug="schwab", next_sync_at=long_ago) for _ in range(count)
    ]


@pytest.mark.parametrize("count", [2, 40])
def test_queueing_takes_the_same_statements_for_few_and_for_many(due, alice, count):
    make_due(alice, count - 1)
    with CaptureQueriesContext(db_connection) as asked:
        assert queue_due() == count
    assert len(asked) <= 14
    assert OrmQ.objects.count() == count


def test_what_waits_on_the_queue_is_bounded(due, alice, monkeypatch):
    monkeypatch.setattr(scheduling, "WAITING_AT_MOST", 3)
    make_due(alice, 5)
    assert (queue_due(), queue_due()) == (3, 0)
    Sync.objects.update(status="succeeded")
    assert queue_due() == 3


def test_a_connection_that_is_busy_is_not_queued_beside(due):
    ask(due, force=True)
    assert queue_due() == 0


def test_what_waits_behind_others_is_not_taken_for_lost(due):
    queue_due()
    long_ago = now() - timedelta(minutes=10)
    Sync.objects.update(updated_at=long_ago)
    OrmQ.objects.update(lock=long_ago - timedelta(seconds=1))
    assert rescue_stalled() == 0
    OrmQ.objects.all().delete()
    assert rescue_stalled() == 1
    assert OrmQ.objects.count() == 1
