"""Imports that meet another request or a dead worker: nothing is undone, nothing waits for ever."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError
from django.db import connection as db_connection

from connections.models import Connection, Sync
from connections.services import start
from connections.types import SyncStatus
from dashtam.models import Event
from imports import services
from imports.formats.types import StatementRefused
from imports.mapping import Signs
from imports.models import StatementFile
from imports.tasks import close, run_import
from imports.types import StatementStatus
from tests.imports.texts import bank_statement, card_statement, stmttrn
from transactions.models import Transaction

pytestmark = pytest.mark.django_db

FILE = bank_statement(stmttrn("-1.00", "20240102", "F1"))


def preview(user, data=FILE):
    return services.preview_upload(user, file_name="a.qfx", data=data)


@pytest.fixture
def previewed(alice):
    return preview(alice)


@pytest.fixture
def while_reading(monkeypatch):
    """Lets something happen, once, while the child process reads."""
    real = services.read_in_child

    def arrange(happens):
        def read(data):
            monkeypatch.setattr(services, "read_in_child", real)
            happens()
            return real(data)

        monkeypatch.setattr(services, "read_in_child", read)

    return arrange


@pytest.fixture
def before_keeping(monkeypatch):
    """Lets something happen, once, when a preview is about to be written."""
    real = StatementFile.seal

    def arrange(happens):
        def seal(statement, data):
            monkeypatch.setattr(StatementFile, "seal", real)
            happens()
            real(statement, data)

        monkeypatch.setattr(StatementFile, "seal", seal)

    return arrange


def left_behind(statement):
    """A worker that ended the sync of a confirmed file, and died before it closed the file."""
    sync = services.confirm(statement)
    Sync.objects.filter(pk=sync.pk).update(attempt=99)
    assert start(sync.pk) is None
    statement.refresh_from_db()
    return statement


def test_a_file_confirmed_while_it_is_read_again_is_still_imported(alice, previewed, while_reading):
    while_reading(lambda: services.confirm(previewed))
    assert preview(alice).status == StatementStatus.IMPORTING
    run_import(str(Sync.objects.get().pk))
    previewed.refresh_from_db()
    assert (previewed.status, Transaction.objects.count()) == (StatementStatus.IMPORTED, 1)


def test_a_file_imported_while_it_is_read_again_stays_imported(alice, previewed, while_reading):
    while_reading(lambda: services.run(services.confirm(previewed).pk))
    assert preview(alice).status == StatementStatus.IMPORTED
    kept = StatementFile.objects.get()
    assert (kept.status, kept.content) == (StatementStatus.IMPORTED, None)


def test_a_file_confirmed_as_it_is_written_again_is_left_alone(alice, previewed, before_keeping):
    before_keeping(lambda: services.confirm(previewed))
    assert preview(alice).status == StatementStatus.IMPORTING
    assert StatementFile.objects.get().sync_id


def test_a_file_discarded_while_it_is_read_again_is_a_new_preview(alice, previewed, while_reading):
    while_reading(lambda: services.discard(previewed))
    again = preview(alice)
    assert again.pk != previewed.pk
    assert StatementFile.objects.get().open() == FILE


def test_a_file_brought_again_keeps_its_place_and_takes_its_new_name(alice, previewed):
    again = services.preview_upload(alice, file_name="b.qfx", data=FILE)
    kept = StatementFile.objects.get()
    assert (kept.pk, kept.file_name, kept.open()) == (previewed.pk, "b.qfx", FILE)
    assert (again.pk, again.file_name) == (previewed.pk, "b.qfx")


def test_a_file_that_comes_twice_at_once_is_one_preview(alice, before_keeping):
    before_keeping(lambda: preview(alice))
    assert preview(alice).pk == StatementFile.objects.get().pk


def test_a_file_that_comes_twice_and_is_confirmed_at_once_is_one_import(alice, before_keeping):
    before_keeping(lambda: services.confirm(preview(alice)))
    assert preview(alice).status == StatementStatus.IMPORTING


def test_a_file_that_is_kept_and_discarded_at_once_is_to_be_chosen_again(alice):
    def refuse_rows(execute, sql, *rest):
        if sql.startswith("INSERT"):
            raise IntegrityError
        return execute(sql, *rest)

    with (
        db_connection.execute_wrapper(refuse_rows),
        pytest.raises(StatementRefused, match="preview_expired"),
    ):
        preview(alice)


def test_signs_turned_while_the_file_is_confirmed_change_nothing(alice, while_reading):
    card = preview(alice, card_statement(stmttrn("45.00", "20240105", "C1"), balance="45.00"))
    confirmed = StatementFile.objects.get(pk=card.pk)
    while_reading(lambda: services.confirm(confirmed))
    services.turn_signs(card, card.summary["accounts"][0]["key"], Signs(rows_turned=True))
    assert StatementFile.objects.get().summary == confirmed.summary


def test_a_preview_that_was_discarded_cannot_be_confirmed(previewed):
    services.discard(StatementFile.objects.get())
    with pytest.raises(StatementRefused, match="preview_expired"):
        services.confirm(previewed)


def test_a_sync_whose_file_is_gone_ends(previewed):
    sync = services.confirm(previewed)
    StatementFile.objects.all().delete()
    services.run(sync.pk)
    sync.refresh_from_db()
    assert (sync.status, sync.error_code) == (SyncStatus.FAILED, "preview_expired")


def test_a_sync_whose_file_goes_while_it_is_read_ends(previewed, while_reading):
    sync = services.confirm(previewed)
    while_reading(lambda: StatementFile.objects.all().delete())
    services.run(sync.pk)
    sync.refresh_from_db()
    assert sync.status == SyncStatus.FAILED
    assert not Event.objects.filter(name__in=["import.completed", "import.failed"]).exists()


def test_an_import_that_a_dead_worker_left_behind_is_closed_and_told_once(previewed):
    statement = left_behind(previewed)
    assert statement.status == StatementStatus.IMPORTING
    close()
    close()
    statement.refresh_from_db()
    assert (statement.status, statement.error_code) == (StatementStatus.FAILED, "gave_up")
    assert Event.objects.filter(name="import.failed").count() == 1


def test_an_import_whose_connection_was_erased_is_closed(previewed):
    services.confirm(previewed)
    Connection.objects.all().delete()
    close()
    previewed.refresh_from_db()
    assert (previewed.status, previewed.error_code) == (StatementStatus.FAILED, "internal_error")


def test_an_import_that_was_left_behind_can_be_brought_again(alice, previewed):
    left_behind(previewed)
    close()
    services.run(services.confirm(preview(alice)).pk)
    assert Transaction.objects.count() == 1


def test_an_import_under_way_is_not_closed(previewed):
    sync = services.confirm(previewed)
    assert start(sync.pk)
    close()
    assert StatementFile.objects.get().status == StatementStatus.IMPORTING


def test_an_import_taken_over_from_a_dead_worker_tells_its_start_once(previewed):
    sync = services.confirm(previewed)
    monday = datetime(2024, 1, 1, tzinfo=UTC)
    Sync.objects.filter(pk=sync.pk).update(
        status=SyncStatus.RUNNING, attempt=1, lease_expires_at=monday
    )
    services.run(sync.pk)
    names = Event.objects.filter(category="import").values_list("name", flat=True)
    assert list(names.exclude(name="import.progress")) == ["import.completed"]
