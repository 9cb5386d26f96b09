"""Health: what a load balancer is told."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils.timezone import now
from django_q.models import Schedule

from dashtam import health
from dashtam.models import Heartbeat
from dashtam.schedules import keep_schedules
from dashtam.tasks import beat

LONG = health.SILENCE + timedelta(seconds=1)


@pytest.fixture
def grown(monkeypatch):
    """A process that has served for a while: what runs beside it should have started."""
    monkeypatch.setattr(health, "_started_at", now() - LONG)


@pytest.fixture
def working(db, grown):
    """A followed schedule and a worker that has just done its job."""
    keep_schedules()
    beat()


def silent_since(moment):
    Heartbeat.objects.update(beat_at=moment)


def not_followed_since(moment):
    Schedule.objects.update(next_run=moment)


def test_live_asks_nobody_and_no_database(client):
    response = client.get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "live"})


@pytest.mark.django_db
def test_ready_when_everything_works(client, working, django_assert_num_queries):
    # Is the table of migrations there, and what is in it; the last beat, the next one.
    with django_assert_num_queries(4):
        response = client.get("/health/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_a_process_that_has_just_started_waits_for_nobody(
    client, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(health, "_started_at", now())
    with django_assert_num_queries(2):
        assert client.get("/health/ready").status_code == 200


def test_a_worker_that_is_silent_for_too_long_is_named(client, working):
    silent_since(now() - LONG)
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "unready", "down": ["worker"]}


def test_a_schedule_that_nobody_follows_is_named(client, working):
    not_followed_since(now() - LONG)
    assert client.get("/health/ready").json()["down"] == ["schedule"]


@pytest.mark.django_db
def test_both_are_named_when_they_never_were(client, grown):
    assert client.get("/health/ready").json()["down"] == ["schedule", "worker"]


def test_a_beat_makes_it_ready_again(client, working):
    silent_since(now() - LONG)
    beat()
    assert client.get("/health/ready").status_code == 200
    assert Heartbeat.objects.count() == 1


@pytest.mark.django_db
def test_not_ready_while_a_migration_waits(client):
    MigrationRecorder(connection).record_unapplied("dashtam", "0001_initial")
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["down"] == ["migrations"]


@pytest.mark.django_db
def test_not_ready_without_a_database_and_no_word_about_it(client):
    def refuse(*_):
        raise DatabaseError("password=hunter2")

    with connection.execute_wrapper(refuse):
        response = client.get("/health/ready")
        assert client.get("/health/live").status_code == 200
    assert response.status_code == 503
    assert response.json() == {"status": "unready", "down": ["database"]}


def test_both_take_reads_only(client, working):
    assert client.post("/health/live").status_code == 405
    assert client.head("/health/ready").status_code == 200


@pytest.mark.django_db
def test_what_waits_is_named():
    MigrationRecorder(connection).record_unapplied("sessions", "0001_initial")
    assert health.unapplied_migrations() == [("sessions", "0001_initial")]
