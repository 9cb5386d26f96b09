"""A statement file from the upload to the saved rows: previewed, confirmed, imported, once."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils.timezone import now

from accounts.models import Account, BalanceSnapshot
from connections.connecting import disconnect
from connections.errors import SyncError, SyncInProgress
from connections.models import (
    Connection,
    ProviderSetting,
    QuarantinedRecord,
    Sync,
    SyncStep,
)
from connections.types import SyncStatus
from dashtam.models import Event
from imports import services
from imports.formats.types import StatementRefused
from imports.models import StatementFile
from imports.tasks import clear, run_import
from imports.types import StatementStatus
from tests.factories import make_account, make_connection
from tests.imports.texts import bank_statement, stmttrn
from transactions.models import Transaction

pytestmark = pytest.mark.django_db

ROWS = (stmttrn("-42.50", "20240102", "F1", "GROCERY"), stmttrn("1000.00", "20240103", "F2", "PAY"))

FIRST_BANK = b"<FI><ORG>First Bank<FID>1234</FI>"


def preview(user, text=None, name="january.qfx"):
    data = bank_statement(*ROWS) if text is None else text
    return services.preview_upload(user, file_name=name, data=data)


def bring(user, text=None):
    statement = preview(user, text)
    run_import(str(services.confirm(statement).pk))
    statement.refresh_from_db()
    return statement


def test_a_preview_saves_nothing_but_the_sealed_file(alice):
    statement = preview(alice)
    assert statement.status == StatementStatus.PREVIEWED
    assert not Account.objects.exists()
    assert b"GROCERY" not in bytes(StatementFile.objects.get().content)


def test_a_preview_says_what_would_happen(alice):
    summary = preview(alice).summary
    account = summary["accounts"][0]
    assert summary["institution"] == "First Bank"
    assert account["rows"] == {"new": 2, "changed": 0, "known": 0, "unreadable": 0, "ignored": 0}
    assert (account["mask"], account["balance"]) == ("••••2333", "1234.56")
    assert (account["period_start"], account["period_end"]) == ("2024-01-01", "2024-01-31")


def test_a_preview_never_holds_the_full_account_number(alice):
    assert "000111222333" not in str(preview(alice).summary)


def test_an_import_saves_the_rows_the_balance_and_its_date(alice):
    bring(alice)
    account = Account.objects.get()
    assert (account.balance, account.transactions.count()) == (Decimal("1234.56"), 2)
    assert account.balance_as_of.date().isoformat() == "2024-01-31"
    assert BalanceSnapshot.objects.get().as_of == account.balance_as_of


def test_an_imported_file_is_erased(alice):
    statement = bring(alice)
    assert (statement.status, statement.content) == (StatementStatus.IMPORTED, None)


def test_an_import_tells_its_start_and_its_end(alice):
    bring(alice)
    names = list(Event.objects.filter(category="import").values_list("name", flat=True))
    assert names[0] == "import.started"
    assert names[-1] == "import.completed"


def test_the_same_file_again_says_so_and_changes_nothing(alice):
    bring(alice)
    again = preview(alice)
    assert (again.status, StatementFile.objects.count()) == (StatementStatus.IMPORTED, 1)


def test_another_file_with_the_same_rows_adds_none(alice):
    bring(alice)
    bring(alice, bank_statement(*ROWS) + b"\n")
    step = SyncStep.objects.filter(kind="transactions").latest("created_at")
    assert (step.unchanged, Transaction.objects.count()) == (2, 2)


def test_the_next_statement_is_checked_against_the_balance_before(alice):
    bring(alice)
    rows = [stmttrn("-34.56", "20240210", "F3", "POWER")]
    february = bank_statement(*rows, balance="1200.00", as_of="20240229")
    check = preview(alice, february).summary["accounts"][0]["check"]
    assert (check["state"], check["breaks"]) == ("even", [])
    assert (check["first"], check["last"]) == ("2024-01-31", "2024-02-29")


def test_a_gap_before_the_next_statement_shows_as_a_difference(alice):
    bring(alice)
    april = bank_statement(
        stmttrn("-4.56", "20240410", "F9", "POWER"), balance="1000.00", as_of="20240430"
    )
    (found,) = preview(alice, april).summary["accounts"][0]["check"]["breaks"]
    assert (found["expected"], found["difference"]) == ("1230", "-230")
    assert (found["opening_day"], found["closing_day"]) == ("2024-01-31", "2024-04-30")


def test_an_older_statement_adds_rows_and_leaves_the_balance(alice):
    bring(alice)
    older = bank_statement(
        stmttrn("-1.00", "20231201", "F0", "OLD"), balance="5.00", as_of="20231231"
    )
    statement = bring(alice, older)
    assert statement.summary["accounts"][0]["is_older"]
    assert (Account.objects.get().balance, Transaction.objects.count()) == (Decimal("1234.56"), 3)


def test_an_unreadable_row_is_shown_kept_and_costs_no_other(alice):
    text = bank_statement(*ROWS, stmttrn("12..3", "20240104", "F3", "BROKEN"))
    assert preview(alice, text).summary["totals"]["unreadable"] == 1
    bring(alice, text)
    assert (Transaction.objects.count(), QuarantinedRecord.objects.count()) == (2, 1)


def test_rows_of_an_unknown_currency_are_all_in_quarantine(alice):
    statement = bring(alice, bank_statement(*ROWS, currency="XYZ"))
    assert statement.status == StatementStatus.IMPORTED
    assert (Account.objects.count(), QuarantinedRecord.objects.count()) == (0, 2)


def test_files_of_different_institutions_make_different_connections(alice):
    bring(alice)
    bring(alice, bank_statement(*ROWS, org="Second Bank", fid="777"))
    assert Connection.objects.count() == Account.objects.count() == 2


def test_a_chase_file_belongs_to_chase(alice):
    bring(alice, bank_statement(*ROWS, org="B1", fid="10898"))
    connection = Connection.objects.get()
    assert (connection.provider_slug, connection.institution_name) == ("chase_file", "Chase")


def test_two_people_import_the_same_file_each_for_themselves(alice, bob):
    bring(alice)
    bring(bob)
    assert Transaction.objects.for_user(alice).count() == 2
    assert Transaction.objects.for_user(bob).count() == 2


def test_confirming_twice_is_one_import(alice):
    statement = preview(alice)
    assert services.confirm(statement).pk == services.confirm(statement).pk
    assert Sync.objects.count() == 1


def test_delivered_twice_it_runs_once(alice):
    sync = services.confirm(preview(alice))
    run_import(str(sync.pk))
    run_import(str(sync.pk))
    assert Event.objects.filter(name="import.completed").count() == 1


def test_another_file_of_the_institution_waits_until_the_first_is_done(alice):
    services.confirm(preview(alice))
    second = preview(alice, bank_statement(*ROWS) + b"\n")
    with pytest.raises(SyncInProgress):
        services.confirm(second)
    second.refresh_from_db()
    assert second.status == StatementStatus.PREVIEWED


def test_a_discarded_preview_is_gone(alice):
    assert services.discard(preview(alice)) == StatementStatus.PREVIEWED
    assert not StatementFile.objects.exists()


def test_an_imported_file_cannot_be_discarded(alice):
    statement = bring(alice)
    assert services.discard(statement) is None
    assert StatementFile.objects.get() == statement


def test_a_file_that_is_no_statement_leaves_nothing(alice):
    with pytest.raises(StatementRefused, match="not_a_statement"):
        preview(alice, b"hello, I am a letter")
    assert not StatementFile.objects.exists()


def test_a_disabled_provider_takes_no_files(alice):
    ProviderSetting.objects.filter(slug="statement_file").update(enabled=False)
    with pytest.raises(StatementRefused, match="provider_disabled"):
        preview(alice)


def test_a_provider_disabled_since_the_preview_imports_nothing(alice):
    statement = preview(alice)
    ProviderSetting.objects.filter(slug="statement_file").update(enabled=False)
    with pytest.raises(SyncError, match="provider_disabled"):
        services.confirm(statement)
    statement.refresh_from_db()
    assert (statement.status, Connection.objects.count()) == (StatementStatus.PREVIEWED, 0)


def test_a_preview_nobody_confirmed_is_erased_after_a_day(alice):
    statement = preview(alice)
    StatementFile.objects.update(created_at=now() - timedelta(hours=25))
    clear()
    assert not StatementFile.objects.exists()
    with pytest.raises(StatementRefused, match="preview_expired"):
        services.confirm(statement)


def test_bytes_that_were_tampered_with_fail_the_import_in_words(alice):
    sync = services.confirm(preview(alice))
    StatementFile.objects.update(content=b"\x01\x02t1garbage")
    run_import(str(sync.pk))
    statement = StatementFile.objects.get()
    assert (statement.status, statement.error_code) == (
        StatementStatus.FAILED,
        "credentials_decryption_failed",
    )
    assert Event.objects.filter(name="import.failed").count() == 1


def test_an_import_that_gave_up_fails_its_statement(alice):
    sync = services.confirm(preview(alice))
    Sync.objects.update(attempt=99)
    run_import(str(sync.pk))
    assert StatementFile.objects.get().error_code == "gave_up"
    assert Sync.objects.get(pk=sync.pk).status == SyncStatus.FAILED


def test_a_failed_file_can_be_brought_again(alice):
    sync = services.confirm(preview(alice))
    StatementFile.objects.update(content=b"")
    run_import(str(sync.pk))
    assert bring(alice).status == StatementStatus.IMPORTED


def test_a_file_name_is_kept_as_text_without_surprises(alice):
    statement = preview(alice, name="../../<script>alert(1)</script>\x00.qfx")
    assert "\x00" not in statement.file_name


def test_a_preview_compares_with_the_accounts_of_its_own_connection_only(alice):
    make_account(alice, make_connection(alice))
    assert preview(alice).summary["accounts"][0]["is_new"]


def test_a_bank_that_spells_its_name_otherwise_makes_no_second_account(alice):
    bring(alice)
    bring(alice, bank_statement(*ROWS, org="First Bank, N.A."))
    assert (Connection.objects.count(), Account.objects.count()) == (1, 1)


def test_an_older_statement_in_another_currency_is_another_account(alice):
    bring(alice)
    bring(alice, bank_statement(*ROWS, currency="JPY", as_of="20231231"))
    currencies = Account.objects.order_by("currency").values_list("currency", "balance")
    assert list(currencies) == [("JPY", Decimal("1234.56")), ("USD", Decimal("1234.56"))]


def test_an_older_file_with_many_pending_rows_is_looked_through_at_once(alice):
    bring(alice)
    pending = "".join(
        f"<STMTTRNP><TRNTYPE>DEBIT<DTTRAN>20231201<TRNAMT>-{n}.00<NAME>P</STMTTRNP>"
        for n in range(1, 400)
    )
    text = bank_statement(*ROWS, as_of="20231231").replace(
        b"<LEDGERBAL>", f"<BANKTRANLISTP>{pending}</BANKTRANLISTP><LEDGERBAL>".encode()
    )
    account = preview(alice, text).summary["accounts"][0]
    assert (account["pending"], account["rows"]["ignored"]) == (399, 399)


@pytest.mark.parametrize(("first", "second"), [(b"", None), (None, b"")], ids=["less", "more"])
def test_a_file_that_does_not_say_whose_it_is_belongs_where_its_account_is(alice, first, second):
    for marks in (first, second):
        text = bank_statement(*ROWS)
        bring(alice, text if marks is None else text.replace(FIRST_BANK, marks))
    assert (Connection.objects.count(), Account.objects.count()) == (1, 1)


@pytest.mark.parametrize("keep_data", [True, False], ids=["kept", "deleted"])
def test_after_disconnecting_the_same_file_brings_everything_back_once(alice, keep_data):
    bring(alice)
    disconnect(Connection.objects.get(), keep_data=keep_data)
    assert bring(alice).status == StatementStatus.IMPORTED
    account = Account.objects.get()
    assert (account.is_active, Transaction.objects.count()) == (True, 2)
