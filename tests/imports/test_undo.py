"""An import is taken back: exactly what it brought, at any time, once, and as if it never was."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import pytest
from django.db import OperationalError
from django.db import connection as db_connection
from django.db.transaction import atomic

from accounts.models import Account, BalanceSnapshot, NetWorth
from connections import saving
from connections.connecting import disconnect
from connections.errors import SyncInProgress
from connections.models import Connection, QuarantinedRecord, Sync, SyncStep
from connections.services import rescue_stalled
from connections.types import SyncStatus, SyncTrigger
from dashtam.models import Event
from holdings.models import Holding
from imports import services, undoing
from imports.formats.types import StatementRefused
from imports.models import StatementFile, Telling
from imports.types import StatementStatus
from tests.factories import make_sync
from tests.imports.statements import investment_set, ofx, position, security
from tests.imports.texts import bank_statement, stmttrn
from tests.imports.undo_property import bring, state_of, take_back
from transactions.models import Sighting, Transaction, TransactionEdit, TransactionRevision

pytestmark = pytest.mark.django_db

COFFEE = stmttrn("-4.50", "20240102", "F1", "COFFEE")
CORRECTED = stmttrn("-4.50", "20240102", "F1", "COFFEE BERLIN")
PAY = stmttrn("1000.00", "20240103", "F2", "PAY")
JANUARY = bank_statement(COFFEE, PAY)
FEBRUARY = bank_statement(
    CORRECTED, stmttrn("-9.00", "20240205", "F3", "FUEL"), balance="900.00", as_of="20240229"
)
FUND = security("037833100", "APPLE", "AAPL")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(saving, "PAUSE_SECONDS", 0)


@pytest.fixture
def january(alice):
    return bring(alice, JANUARY)


def with_pending(text, *rows):
    listed = f"<BANKTRANLISTP>{''.join(rows)}</BANKTRANLISTP><LEDGERBAL>".encode()
    return text.replace(b"<LEDGERBAL>", listed)


def hold(amount, day):
    return f"<STMTTRNP><TRNTYPE>DEBIT<DTTRAN>{day}<TRNAMT>{amount}<NAME>HOTEL</STMTTRNP>"


def shares(units, day):
    text = investment_set(positions=position(UNITS=units, MKTVAL=f"{units}00.00")) + FUND
    return ofx(text.replace("20240115", day))


def row_of(fitid):
    return Transaction.objects.get(provider_transaction_id=fitid)


def names():
    return list(Event.objects.order_by("sequence").values_list("name", flat=True))


def test_the_only_import_leaves_nothing_but_its_history(alice, january):
    take_back(january)
    left = [Account, Transaction, BalanceSnapshot, Connection, Sighting, Telling, Sync]
    assert not any(model.objects.exists() for model in left)
    assert january.counts["created"] == 2
    assert (january.undone_by, january.undone_at is not None) == (alice, True)


def test_what_another_import_shows_too_stays(alice, january):
    bring(alice, FEBRUARY)
    take_back(january)
    assert list(Transaction.objects.order_by("transaction_date").values_list("amount")) == [
        (Decimal("-4.5"),),
        (Decimal("-9"),),
    ]


def test_a_corrected_description_goes_back_and_its_revision_goes(alice, january):
    february = bring(alice, FEBRUARY)
    assert row_of("F1").description == "COFFEE BERLIN"
    take_back(february)
    assert undoing.plan_of(january).is_known
    assert row_of("F1").description == "COFFEE"
    assert not TransactionRevision.objects.exists()


def test_a_correction_in_the_middle_leaves_one_revision_from_first_to_last(alice, january):
    february = bring(alice, FEBRUARY)
    march = CORRECTED.replace("BERLIN", "PARIS")
    bring(alice, bank_statement(march, balance="800.00", as_of="20240331"))
    take_back(february)
    revision = TransactionRevision.objects.get()
    assert revision.changes == {"description": ["COFFEE", "COFFEE PARIS"]}


def test_the_balance_its_date_and_its_history_go_back(alice, january):
    february = bring(alice, FEBRUARY)
    take_back(february)
    account = Account.objects.get()
    assert (account.balance, account.balance_as_of.month) == (Decimal("1234.56"), 1)
    assert BalanceSnapshot.objects.get().sync_id == january.sync_id
    assert NetWorth.objects.get().value == Decimal("1234.56")


def test_a_balance_that_two_files_told_stays_with_the_other(alice, january):
    again = bring(alice, JANUARY + b"\n")
    take_back(january)
    assert BalanceSnapshot.objects.get().sync_id == again.sync_id
    assert set(Sighting.objects.values_list("sync", "is_creator")) == {(again.sync_id, True)}


def test_a_pending_row_that_it_settled_is_pending_again(alice):
    bring(alice, with_pending(JANUARY, hold("-20.00", "20240130")))
    settled = bank_statement(
        stmttrn("-24.00", "20240202", "F9", "HOTEL"), balance="900.00", as_of="20240229"
    )
    second = bring(alice, with_pending(settled))
    pk = row_of("F9").pk
    take_back(second)
    row = Transaction.objects.get(pk=pk)
    assert (row.status, row.amount) == ("pending", Decimal("-20"))


def test_a_pending_row_that_it_cancelled_is_pending_again(alice):
    bring(alice, with_pending(JANUARY, hold("-20.00", "20240130")))
    second = bring(alice, with_pending(FEBRUARY))
    assert Transaction.objects.filter(status="cancelled").count() == 1
    take_back(second)
    assert Transaction.objects.filter(status="pending").count() == 1


def test_an_older_file_pending_rows_come_when_the_newer_one_goes(alice):
    newer = bring(alice, FEBRUARY)
    bring(alice, with_pending(JANUARY, hold("-20.00", "20240130")))
    assert not Transaction.objects.pending().exists()
    take_back(newer)
    assert Transaction.objects.pending().count() == 1


def test_holdings_return_to_what_the_other_statement_told(alice):
    bring(alice, shares("2", "20240115"))
    later = bring(alice, shares("5", "20240215"))
    assert Holding.objects.get().quantity == 5
    take_back(later)
    assert (Holding.objects.get().quantity, Account.objects.count()) == (2, 1)
    assert names().count("portfolio.holdings.updated") == 3


def test_rows_that_could_not_be_read_go_and_their_count_stays(alice, january):
    broken = bring(alice, bank_statement(COFFEE, stmttrn("12..3", "20240104", "F7", "BROKEN")))
    take_back(broken)
    row = QuarantinedRecord.objects.get()
    assert (row.resolution, row.payload, row.redacted) == ("undone", "", "")
    step = SyncStep.objects.get(sync=broken.sync, kind="transactions")
    assert (step.quarantined, broken.counts["quarantined"]) == (1, 1)


def test_an_account_goes_and_the_syncs_counts_stay_while_its_connection_has_another(alice):
    bring(alice, JANUARY)
    dollars = bring(alice, bank_statement(COFFEE, currency="EUR"))
    take_back(dollars)
    step = SyncStep.objects.get(sync=dollars.sync, kind="transactions")
    assert (Account.objects.get().currency, step.account, step.created) == ("USD", None, 1)


def test_the_same_file_again_brings_everything_back(alice, january):
    before = state_of(alice)
    take_back(january)
    again = bring(alice, JANUARY)
    assert again.pk != january.pk
    assert state_of(alice) == before


def test_what_the_person_wrote_stays_where_its_row_stays(alice, january):
    february = bring(alice, FEBRUARY)
    for fitid in ("F1", "F3"):
        TransactionEdit.objects.create(user=alice, transaction=row_of(fitid), note=fitid)
    assert [txn.edit.note for txn in undoing.plan_of(february).conflicts] == ["F3"]
    take_back(february)
    assert [edit.note for edit in TransactionEdit.objects.all()] == ["F1"]


def test_a_note_stays_with_the_row_and_not_with_its_id(alice):
    first = bring(alice, bank_statement(COFFEE))
    other = stmttrn("-7.00", "20240110", "F1", "LUNCH")
    bring(alice, bank_statement(other, balance="1.00", as_of="20240201"))
    lunch = Transaction.objects.get(amount="-7.00")
    TransactionEdit.objects.create(user=alice, transaction=lunch, note="with Ann")
    take_back(first)
    left = Transaction.objects.get()
    assert (left.pk, left.edit.note, left.provider_transaction_id) == (lunch.pk, "with Ann", "F1")


def test_what_the_person_chose_for_the_account_stays(alice, january):
    february = bring(alice, FEBRUARY)
    Account.objects.update(display_name="Mine", include_in_net_worth=False)
    take_back(february)
    account = Account.objects.get()
    assert (account.display_name, account.include_in_net_worth) == ("Mine", False)


def test_a_balance_that_something_else_told_since_stays(alice, january):
    february = bring(alice, FEBRUARY)
    Account.objects.update(balance=Decimal("5.00"))
    take_back(february)
    assert Account.objects.get().balance == Decimal("5.00")


def test_nothing_is_taken_out_of_an_account_that_a_connection_reads(alice, january):
    sync = make_sync(Connection.objects.get(), trigger=SyncTrigger.SCHEDULED)
    SyncStep.objects.create(
        user=alice, sync=sync, kind="transactions", account=Account.objects.get()
    )
    Sync.objects.filter(pk=sync.pk).update(status=SyncStatus.SUCCEEDED)
    assert undoing.plan_of(january).counts["kept"] == 2
    take_back(january)
    assert (Transaction.objects.count(), Account.objects.count()) == (2, 1)


def test_it_is_told_with_what_it_changed_in_one_go(alice, january):
    take_back(january)
    last = names()[-5:]
    assert last[0] == "import.undone"
    assert set(last) >= {
        "portfolio.balance.updated", "provider.disconnected", "portfolio.networth.updated",
    }  # fmt: skip
    payload = Event.objects.get(name="import.undone").payload
    assert (payload["statement_id"], payload["counts"]["removed"]) == (str(january.pk), 2)


def test_two_clicks_are_one_undo(alice, january):
    first, second = (undoing.request(january, alice) for _ in range(2))
    assert first == second
    services.run(first.pk)
    services.run(first.pk)
    assert names().count("import.undone") == 1


def test_undone_before_it_is_refused_and_changes_nothing(alice, january):
    bring(alice, FEBRUARY)
    take_back(january)
    before = state_of(alice)
    with pytest.raises(StatementRefused, match="undone_before"):
        undoing.request(january, alice)
    assert state_of(alice) == before


def test_a_preview_cannot_be_undone(alice):
    preview = services.preview_upload(alice, file_name="a.qfx", data=JANUARY)
    with pytest.raises(StatementRefused, match="not_imported"):
        undoing.request(preview, alice)


def test_while_a_file_is_imported_there_nothing_is_undone(alice, january):
    services.confirm(services.preview_upload(alice, file_name="b.qfx", data=FEBRUARY))
    with pytest.raises(SyncInProgress):
        undoing.request(january, alice)
    january.refresh_from_db()
    assert (january.status, january.undo_sync) == (StatementStatus.IMPORTED, None)


def test_while_one_is_undone_nothing_is_imported_there(alice, january):
    undoing.request(january, alice)
    preview = services.preview_upload(alice, file_name="b.qfx", data=FEBRUARY)
    with pytest.raises(SyncInProgress):
        services.confirm(preview)


def test_an_import_of_a_disconnected_institution_can_be_undone(alice, january):
    disconnect(Connection.objects.get(), keep_data=True)
    take_back(january)
    assert not Transaction.objects.exists()


def test_an_import_whose_connection_was_erased_is_undone_at_once(alice, january):
    Connection.objects.all().delete()
    january.refresh_from_db()
    assert undoing.request(january, alice) is None
    january.refresh_from_db()
    assert january.status == StatementStatus.UNDONE


def test_a_failed_import_can_be_taken_back_and_goes_with_its_second_try(alice, monkeypatch):
    def die(*_arguments):
        raise RuntimeError

    statement = services.preview_upload(alice, file_name="a.qfx", data=JANUARY)
    with monkeypatch.context() as patched:
        patched.setattr(services, "_complete", die)
        services.run(services.confirm(statement).pk)
    statement.refresh_from_db()
    assert (statement.status, undoing.can_undo(statement)) == (StatementStatus.FAILED, True)
    second = bring(alice, JANUARY)
    take_back(second)
    assert not Transaction.objects.exists()
    assert set(StatementFile.objects.values_list("status", flat=True)) == {StatementStatus.UNDONE}


TIDYING = ("SAVEPOINT", "ROLLBACK", "REL")


class Killed(BaseException):
    """Stands for a worker that dies."""


def statements_of(call):
    """Run it and return the SQL statements it needed."""
    seen = []

    def note(execute, sql, *rest):
        seen.append(sql)
        return execute(sql, *rest)

    with db_connection.execute_wrapper(note):
        call()
    return seen


def test_killed_at_any_statement_it_is_whole_and_the_rescue_ends_it(alice, january):
    bring(alice, FEBRUARY)
    before = state_of(alice)
    # The second time nothing is looked up that a process looks up once.
    for _time in range(2):
        with atomic():
            sync = undoing.request(january, alice)
            count = len(statements_of(partial(services.run, sync.pk)))
            after = state_of(alice)
            db_connection.set_rollback(True)
    for n in range(0, count - 2, 3):
        with atomic():
            die_at(alice, january, n, before)
            services.run(Sync.objects.unfinished().get().pk)
            assert state_of(alice) == after
            db_connection.set_rollback(True)


def die_at(user, statement, n, before):
    """A worker dies before its n-th statement; its lease runs out, and it is queued again."""
    sync = undoing.request(statement, user)
    counter = iter(range(n))

    def execute_or_die(execute, *rest):
        if next(counter, None) is None and not rest[0].startswith(TIDYING):
            raise Killed
        return execute(*rest)

    with pytest.raises(Killed), atomic(), db_connection.execute_wrapper(execute_or_die):
        services.run(sync.pk)
    assert state_of(user) == before
    Sync.objects.filter(pk=sync.pk).update(
        status=SyncStatus.QUEUED, updated_at=statement.created_at
    )
    Sync.objects.filter(pk=sync.pk).update(updated_at="2024-01-01T00:00:00Z")
    assert rescue_stalled() == 1


def test_a_defect_changes_nothing_and_is_told(alice, january, monkeypatch):
    def fault(*_arguments, **_named):
        raise RuntimeError

    before = state_of(alice)
    sync = undoing.request(january, alice)
    with monkeypatch.context() as patched:
        patched.setattr(undoing.rewriting, "remove", fault)
        services.run(sync.pk)
    sync.refresh_from_db()
    assert (sync.status, sync.error_code) == (SyncStatus.FAILED, "internal_error")
    assert state_of(alice) == before
    take_back(january)


def test_a_lost_database_leaves_it_to_whoever_finds_it(alice, january, monkeypatch):
    def lost(*_arguments, **_named):
        raise OperationalError

    sync = undoing.request(january, alice)
    monkeypatch.setattr(undoing.rewriting, "remove", lost)
    with pytest.raises(OperationalError):
        services.run(sync.pk)
    sync.refresh_from_db()
    assert sync.status == SyncStatus.RUNNING


def test_an_account_changed_meanwhile_is_looked_at_again(alice, january, monkeypatch):
    february = bring(alice, FEBRUARY)
    real = undoing.plan_of
    plans = []

    def and_then(statement, *rest):
        plans.append(real(statement, *rest))
        if len(plans) == 1:
            Account.objects.get().save()
        return plans[-1]

    monkeypatch.setattr(undoing, "plan_of", and_then)
    take_back(february)
    assert len(plans) == 2


def forget_what_was_said():
    Telling.objects.all().delete()


def test_older_imports_are_undone_as_far_as_they_are_known(alice, january):
    february = bring(alice, FEBRUARY)
    forget_what_was_said()
    plan = undoing.plan_of(february)
    assert (plan.is_known, plan.counts["removed"], plan.counts["changed"]) == (False, 1, 1)
    take_back(february)
    assert row_of("F1").description == "COFFEE"
    assert Account.objects.get().balance == Decimal("1234.56")
    take_back(january)
    assert not Account.objects.exists()


def test_an_older_import_under_a_newer_one_is_undone_too(alice, january):
    forget_what_was_said()
    bring(alice, FEBRUARY)
    take_back(january)
    assert set(Transaction.objects.values_list("provider_transaction_id", flat=True)) == {
        "F1", "F3",
    }  # fmt: skip
    assert not TransactionRevision.objects.exists()


def test_a_pending_row_that_an_older_import_cancelled_is_pending_again(alice):
    bring(alice, with_pending(JANUARY, hold("-20.00", "20240130")))
    second = bring(alice, with_pending(FEBRUARY))
    forget_what_was_said()
    take_back(second)
    assert Transaction.objects.pending().count() == 1


@pytest.mark.parametrize("rows", [500, 2000])
def test_an_undo_takes_as_many_statements_for_every_500_rows(alice, rows):
    text = "".join(stmttrn(f"-{n}.00", "20240102", f"F{n}", "X") for n in range(1, rows + 1))
    statement = bring(alice, bank_statement(text))
    sync = undoing.request(statement, alice)
    assert len(statements_of(partial(services.run, sync.pk))) <= 110 + 12 * (rows // 500)
    assert not Transaction.objects.exists()


def failed_import(user, monkeypatch):
    def die(*_args):
        raise RuntimeError

    statement = services.preview_upload(user, file_name="a.qfx", data=JANUARY)
    with monkeypatch.context() as broken:
        broken.setattr(services, "_complete", die)
        services.run(services.confirm(statement).pk)
    statement.refresh_from_db()
    assert statement.status == StatementStatus.FAILED
    return statement


def test_a_failed_import_is_not_discarded_while_it_is_taken_back(alice, monkeypatch):
    statement = failed_import(alice, monkeypatch)
    sync = undoing.request(statement, alice)
    assert services.discard(statement) is None
    services.run(sync.pk)
    assert not Transaction.objects.exists()


def test_an_undo_whose_file_is_gone_ends_and_blocks_nothing(alice, monkeypatch):
    statement = failed_import(alice, monkeypatch)
    sync = undoing.request(statement, alice)
    StatementFile.objects.all().delete()
    services.run(sync.pk)
    sync.refresh_from_db()
    assert (sync.status, sync.error_code) == (SyncStatus.FAILED, "not_imported")
