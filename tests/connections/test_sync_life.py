"""The life of a sync: asked for once, claimed once, rescued when its worker died."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.transaction import atomic
from django.utils.timezone import now
from django_q.models import OrmQ

from connections import services
from connections.errors import Fenced, SyncError, SyncInProgress
from connections.models import MAX_ATTEMPTS, Connection, ForbiddenTransition, Sync
from connections.provider import provider
from connections.services import fail, file_connection, request_sync, rescue_stalled, start
from connections.types import ConnectionStatus, FileLogin, SyncStatus, SyncTrigger
from dashtam.models import Event

pytestmark = pytest.mark.django_db


def ask(connection):
    with atomic():
        return request_sync(connection, trigger=SyncTrigger.FILE_IMPORT)


def test_asking_queues_the_sync_when_the_transaction_commits(
    connection, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        sync = ask(connection)
    assert OrmQ.objects.get().task["args"] == (str(sync.pk),)


def test_a_second_asking_is_refused_while_the_first_is_unfinished(connection):
    ask(connection)
    with pytest.raises(SyncInProgress):
        ask(connection)


def test_a_connection_that_is_not_active_is_not_synced(connection):
    connection.become(ConnectionStatus.EXPIRED)
    with pytest.raises(SyncError, match="connection_not_active"):
        ask(connection)


def test_a_disabled_provider_is_not_synced(connection):
    services.ProviderSetting.objects.filter(slug=connection.provider_slug).update(enabled=False)
    with pytest.raises(SyncError, match="provider_disabled"):
        ask(connection)


def test_delivered_twice_it_is_claimed_once(connection):
    sync = ask(connection)
    assert start(sync.pk) is not None
    assert start(sync.pk) is None


def test_a_dead_workers_sync_is_claimed_again_and_the_old_worker_fenced(sync):
    Sync.objects.filter(pk=sync.pk).update(lease_expires_at=now() - timedelta(seconds=1))
    successor = start(sync.pk)
    assert successor.fence == sync.fence + 1
    with pytest.raises(Fenced):
        sync.hold()


def test_after_too_many_crashes_a_sync_gives_up_and_says_so(sync):
    Sync.objects.filter(pk=sync.pk).update(
        lease_expires_at=now() - timedelta(seconds=1), attempt=MAX_ATTEMPTS
    )
    assert start(sync.pk) is None
    sync.refresh_from_db()
    assert (sync.status, sync.error_code) == (SyncStatus.FAILED, "gave_up")


@pytest.mark.parametrize(
    "state", ["running with a lease that ran out", "queued and never delivered"]
)
def test_a_stalled_sync_is_queued_again(sync, django_capture_on_commit_callbacks, state):
    long_ago = now() - timedelta(minutes=10)
    status = SyncStatus.RUNNING if state.startswith("running") else SyncStatus.QUEUED
    Sync.objects.update(status=status, lease_expires_at=long_ago, updated_at=long_ago)
    with django_capture_on_commit_callbacks(execute=True):
        assert rescue_stalled() == 1
    assert OrmQ.objects.count() == 1


def test_a_working_sync_is_left_alone(sync):
    assert rescue_stalled() == 0


def test_a_failure_is_told_with_its_code(sync):
    fail(sync, "unreadable", {})
    assert Event.objects.get(name="sync.accounts.failed").payload["error_code"] == "unreadable"


def test_a_fenced_worker_cannot_fail_its_successors_sync(sync):
    Sync.objects.update(fence=sync.fence + 1)
    with pytest.raises(Fenced):
        fail(sync, "unreadable", {})


def test_files_of_one_institution_share_a_connection(alice):
    source = provider("statement_file")
    first = file_connection(alice, source, FileLogin(key="k1"), institution_name="First Bank")
    again = file_connection(alice, source, FileLogin(key="k1"), institution_name="First Bank")
    assert first.pk == again.pk
    assert Connection.objects.count() == 1


def test_files_of_another_institution_or_person_do_not(alice, bob):
    source = provider("statement_file")
    for user, key in ((alice, "k1"), (alice, "k2"), (bob, "k1")):
        file_connection(user, source, FileLogin(key=key), institution_name="Bank")
    assert Connection.objects.count() == 3


def test_a_new_connection_is_told(alice):
    file_connection(alice, provider("statement_file"), FileLogin(key="k"), institution_name="B")
    assert Event.objects.get().name == "provider.connected"


@pytest.mark.parametrize(
    ("before", "after"), [("disconnected", "active"), ("expired", "revoked"), ("active", "pending")]
)
def test_a_meaningless_change_of_status_is_a_defect(connection, before, after):
    connection.status = before
    with pytest.raises(ForbiddenTransition):
        connection.become(ConnectionStatus(after))


def test_any_connection_can_be_disconnected(connection):
    connection.become(ConnectionStatus.DISCONNECTED, "asked")
    assert (connection.status, connection.status_reason) == ("disconnected", "asked")
