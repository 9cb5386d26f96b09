"""What happens when somebody else was quicker: the constraint decides, nobody fails."""

from __future__ import annotations

import pytest

from connections import services as connecting
from connections.models import Connection
from connections.provider import provider
from connections.types import FileLogin
from dashtam.bulk import bulk_insert
from imports import services as importing
from imports.models import StatementFile
from tests.factories import row
from tests.imports.texts import bank_statement, stmttrn
from transactions import services
from transactions.matching import from_file
from transactions.models import Transaction

pytestmark = pytest.mark.django_db


def once(monkeypatch, module, name, instead):
    """The first call of a function happens too early to see what the others did."""
    real = getattr(module, name)
    calls = iter([instead])
    monkeypatch.setattr(module, name, lambda *a, **k: next(calls, real)(*a, **k))


def test_rows_saved_by_another_worker_meanwhile_are_looked_at_again(account, sync, monkeypatch):
    def too_late(rows, **how):
        copies = [
            Transaction(
                user=account.user,
                account=account,
                **services.as_stored(incoming, incoming.claimed_id),
            )
            for incoming in incoming_rows
        ]
        bulk_insert(copies)
        bulk_insert(rows, **how)

    incoming_rows = from_file([row("-1.00"), row("-2.00")])
    once(monkeypatch, services, "bulk_insert", too_late)
    saved = services.save_transactions(account, incoming_rows, sync_id=sync.pk)
    assert Transaction.objects.count() == 2
    assert saved.counts.fetched == 2


def test_a_connection_made_by_another_request_meanwhile_is_taken(alice, monkeypatch):
    source = provider("statement_file")
    first = connecting.file_connection(alice, source, FileLogin(key="k"), institution_name="B")
    once(monkeypatch, connecting, "find_file_connection", lambda *a, **k: None)
    again = connecting.file_connection(alice, source, FileLogin(key="k"), institution_name="B")
    assert (again.pk, Connection.objects.count()) == (first.pk, 1)


def test_a_preview_kept_by_another_request_meanwhile_is_taken(alice, monkeypatch):
    data = bank_statement(stmttrn("-1.00", "20240102", "F1"))
    first = importing.preview_upload(alice, file_name="a.qfx", data=data)
    once(monkeypatch, importing, "_living", lambda *a, **k: None)
    again = importing.preview_upload(alice, file_name="a.qfx", data=data)
    assert (again.pk, StatementFile.objects.count()) == (first.pk, 1)
