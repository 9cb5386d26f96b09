"""Imports that end badly: in words, with nothing half saved and nothing in limbo."""

from __future__ import annotations

import pytest

from connections.models import Sync
from connections.tasks import rescue
from dashtam.models import Event
from imports import services
from imports.formats.types import StatementRefused
from imports.models import StatementFile
from imports.types import StatementStatus
from tests.imports.texts import bank_statement, stmttrn
from transactions.models import Transaction

pytestmark = pytest.mark.django_db


@pytest.fixture
def confirmed(alice):
    data = bank_statement(stmttrn("-1.00", "20240102", "F1"))
    statement = services.preview_upload(alice, file_name="a.qfx", data=data)
    return statement, services.confirm(statement)


def refuse(*_args):
    raise StatementRefused("reader_stopped")


def take_over(*_args):
    Sync.objects.update(fence=99)
    raise StatementRefused("reader_stopped")


def fail_oddly(*_args, **_named):
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("reader", "code"), [(refuse, "reader_stopped"), (fail_oddly, "internal_error")]
)
def test_a_reader_that_fails_ends_the_import_in_words(confirmed, monkeypatch, reader, code):
    statement, sync = confirmed
    monkeypatch.setattr(services, "read_in_child", reader)
    services.run(sync.pk)
    statement.refresh_from_db()
    assert (statement.status, statement.error_code) == (StatementStatus.FAILED, code)
    assert Event.objects.get(name="import.failed").payload["error_code"] == code


def test_a_worker_that_was_replaced_fails_nothing(confirmed, monkeypatch):
    statement, sync = confirmed
    monkeypatch.setattr(services, "read_in_child", take_over)
    services.run(sync.pk)
    statement.refresh_from_db()
    assert statement.status == StatementStatus.IMPORTING


def test_a_worker_that_was_replaced_while_saving_stops(confirmed, monkeypatch):
    _statement, sync = confirmed
    real = services.save_all

    def save_late(*args):
        Sync.objects.update(fence=99)
        real(*args)

    monkeypatch.setattr(services, "save_all", save_late)
    services.run(sync.pk)
    assert not Transaction.objects.exists()


def test_an_import_that_fails_at_its_end_keeps_its_rows_and_can_be_completed(
    alice, confirmed, monkeypatch
):
    statement, sync = confirmed
    with monkeypatch.context() as bug:
        bug.setattr(services, "finish", fail_oddly)
        services.run(sync.pk)
    assert Transaction.objects.count() == 1
    again = services.preview_upload(alice, file_name="a.qfx", data=statement.open())
    services.run(services.confirm(again).pk)
    again.refresh_from_db()
    assert (again.status, Transaction.objects.count()) == (StatementStatus.IMPORTED, 1)


def test_an_end_that_is_undone_leaves_no_trace_of_itself(confirmed, monkeypatch):
    statement, sync = confirmed
    monkeypatch.setattr(services, "as_payload", fail_oddly)
    services.run(sync.pk)
    statement.refresh_from_db()
    assert (statement.status, statement.imported_at) == (StatementStatus.FAILED, None)
    assert statement.open().startswith(b"OFXHEADER")


def test_an_end_writes_only_what_it_changes(confirmed, monkeypatch):
    statement, sync = confirmed
    real = services.save_all

    def rename_and_save(*args):
        StatementFile.objects.update(file_name="renamed.qfx")
        real(*args)

    monkeypatch.setattr(services, "save_all", rename_and_save)
    services.run(sync.pk)
    statement.refresh_from_db()
    assert (statement.status, statement.file_name) == (StatementStatus.IMPORTED, "renamed.qfx")


def test_a_preview_without_its_bytes_cannot_be_confirmed(alice):
    data = bank_statement(stmttrn("-1.00", "20240102", "F1"))
    statement = services.preview_upload(alice, file_name="a.qfx", data=data)
    StatementFile.objects.update(content=None)
    with pytest.raises(StatementRefused, match="preview_expired"):
        services.confirm(statement)


def test_the_schedule_finds_nothing_to_rescue_in_a_healthy_house(confirmed):
    rescue()
    assert Sync.objects.get().attempt == 0
