"""Health: what a load balancer is told."""

import pytest
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder

from dashtam import health


def test_live_asks_nobody_and_no_database(client):
    response = client.get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "live"})


@pytest.mark.django_db
def test_ready_with_the_whole_schema(client, django_assert_num_queries):
    with django_assert_num_queries(2):  # is the table of migrations there, and what is in it
        response = client.get("/health/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_not_ready_while_a_migration_waits(client):
    MigrationRecorder(connection).record_unapplied("dashtam", "0001_initial")
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["reason"] == "migrations_waiting"


@pytest.mark.django_db
def test_not_ready_without_a_database_and_no_word_about_it(client):
    def refuse(*_):
        raise DatabaseError("password=hunter2")

    with connection.execute_wrapper(refuse):
        response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "unready", "reason": "database_unreachable"}


@pytest.mark.django_db
def test_both_take_reads_only(client):
    assert client.post("/health/live").status_code == 405
    assert client.head("/health/ready").status_code == 200


@pytest.mark.django_db
def test_what_waits_is_named():
    MigrationRecorder(connection).record_unapplied("sessions", "0001_initial")
    assert health.unapplied_migrations() == [("sessions", "0001_initial")]
