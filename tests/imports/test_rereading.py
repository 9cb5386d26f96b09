"""A statement's unreadable row is read again after a fix, and belongs to its import since."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import partial

import pytest

from connections import retrying
from connections.models import QuarantinedRecord, Sync
from connections.types import Resolution, SyncStatus
from holdings.models import Holding
from imports import services
from imports.formats import ofx_values
from imports.formats.ofx_bank import Context
from imports.formats.ofx_values import RowRejectedError
from imports.formats.reader import read
from imports.mapping import Signs
from imports.models import StatementFile, Telling
from tests.imports.statements import card_set, investment_set, ofx, position, row, security
from tests.imports.texts import bank_statement, stmttrn
from tests.imports.undo_property import bring, differing, state_of, take_back
from transactions.models import Sighting, Transaction

pytestmark = pytest.mark.django_db

COFFEE = stmttrn("-4.50", "20240102", "F1", "COFFEE")
FUEL = stmttrn("-9.00", "20240105", "F2", "FUEL")
BROKEN_FUEL = FUEL.replace("-9.00", "-9!00")
JANUARY, BROKEN = bank_statement(COFFEE, FUEL), bank_statement(COFFEE, BROKEN_FUEL)
FEBRUARY = bank_statement(
    stmttrn("-4.50", "20240102", "F1", "COFFEE BERLIN"),
    stmttrn("-1.00", "20240203", "F3", "FEE"),
    balance="900.00",
    as_of="20240229",
)


@pytest.fixture
def mended(monkeypatch):
    """A reader that takes `!` for a decimal point; files are still read by the old one."""
    real = ofx_values.amount
    monkeypatch.setattr(
        ofx_values, "amount", lambda text, *rest: real(text.replace("!", "."), *rest)
    )


def retried():
    asked = retrying.retry(QuarantinedRecord.objects.all())
    for sync in asked.syncs:
        services.run(sync.pk)
        sync.refresh_from_db()
        assert sync.status == SyncStatus.SUCCEEDED, sync.error_code
    return asked


def amounts():
    return sorted(Transaction.objects.values_list("amount", flat=True))


def test_it_is_saved_under_the_import_that_brought_it(alice, mended):
    statement = bring(alice, BROKEN)
    assert amounts() == [Decimal("-4.5")]
    retried()
    assert amounts() == [Decimal("-9"), Decimal("-4.5")]
    kept = QuarantinedRecord.objects.get()
    assert (kept.resolution, kept.step.sync) == (Resolution.READ, statement.sync)
    assert set(Sighting.objects.values_list("sync", flat=True)) == {statement.sync_id}


def test_before_a_fix_it_waits_on(alice):
    bring(alice, BROKEN)
    retried()
    assert QuarantinedRecord.objects.get().is_open
    assert amounts() == [Decimal("-4.5")]
    assert Telling.objects.count() == 1


def test_tried_twice_nothing_is_saved_twice(alice, mended):
    bring(alice, BROKEN)
    retried()
    assert retried().rows == 0
    assert len(amounts()) == 2


def test_its_import_is_taken_back_with_it(alice, mended):
    statement = bring(alice, BROKEN)
    retried()
    take_back(statement)
    assert not Transaction.objects.exists()
    assert not Telling.objects.exists()


def test_it_stays_when_another_import_is_taken_back(alice, mended):
    bring(alice, BROKEN)
    february = bring(alice, FEBRUARY)
    retried()
    take_back(february)
    assert amounts() == [Decimal("-9"), Decimal("-4.5")]
    assert Transaction.objects.get(provider_transaction_id="F1").description == "COFFEE"


def test_another_import_that_shows_it_keeps_it(alice, mended):
    statement = bring(alice, BROKEN)
    retried()
    bring(alice, bank_statement(FUEL, balance="1.00", as_of="20240131"))
    take_back(statement)
    assert amounts() == [Decimal("-9")]


def test_what_another_import_brought_meanwhile_is_not_doubled(alice, mended):
    bring(alice, BROKEN)
    bring(alice, bank_statement(FUEL, balance="1.00", as_of="20240131"))
    retried()
    assert amounts() == [Decimal("-9"), Decimal("-4.5")]
    assert QuarantinedRecord.objects.get().resolution == Resolution.READ


@pytest.mark.parametrize("is_undone", [False, True])
def test_everything_is_as_if_it_had_been_readable(alice, bob, mended, is_undone):
    bring(alice, BROKEN)
    retried()
    later = bring(alice, FEBRUARY)
    if is_undone:
        take_back(later)
    bring(bob, JANUARY)
    if not is_undone:
        bring(bob, FEBRUARY)
    one, other = state_of(alice), state_of(bob)
    # Which file it was, and how the amount was written, are what they are.
    own = (*StatementFile.objects.values_list("sha256", flat=True), "amount_as_written")
    found = [where for where in differing(one, other) if not any(name in where for name in own)]
    assert found == []


def test_what_a_later_statement_said_of_it_stays(alice, mended):
    bring(alice, BROKEN)
    later = bring(alice, bank_statement(FUEL.replace("FUEL", "FUEL BERLIN"), as_of="20240229"))
    retried()
    assert Transaction.objects.get(provider_transaction_id="F2").description == "FUEL BERLIN"
    take_back(later)
    assert Transaction.objects.get(provider_transaction_id="F2").description == "FUEL"


def test_a_pending_row_that_it_settled_is_settled(alice, mended):
    pending = FUEL.replace("STMTTRN>", "STMTTRNP>").replace("DTPOSTED", "DTTRAN")
    listed = f"<BANKTRANLISTP>{pending}</BANKTRANLISTP><LEDGERBAL>".encode()
    bring(alice, bank_statement(COFFEE).replace(b"<LEDGERBAL>", listed))
    bring(alice, bank_statement(COFFEE, BROKEN_FUEL, as_of="20240229"))
    assert Transaction.objects.get(provider_transaction_id="F2").status == "pending"
    retried()
    assert Transaction.objects.get(provider_transaction_id="F2").status == "settled"


def test_equal_rows_are_each_saved(alice, mended):
    twice = stmttrn("-9!00", "20240105", "", "FUEL").replace("<FITID>", "<REFNUM>")
    bring(alice, bank_statement(COFFEE, twice, twice))
    first = QuarantinedRecord.objects.first()
    (sync,) = retrying.retry(QuarantinedRecord.objects.filter(pk=first.pk)).syncs
    services.run(sync.pk)
    assert amounts() == [Decimal("-9"), Decimal("-9"), Decimal("-4.5")]


def test_a_row_equal_to_one_that_was_read_is_saved_too(alice, mended):
    good, bad = (stmttrn(amount, "20240105", "", "FUEL") for amount in ("-9.00", "-9!00"))
    bring(alice, bank_statement(good, bad))
    retried()
    assert amounts() == [Decimal("-9"), Decimal("-9")]


def test_under_an_id_used_twice_no_row_takes_anothers_place(alice, mended):
    bring(
        alice,
        bank_statement(
            stmttrn("-9.00", "20240105", "R1", "COFFEE"),
            stmttrn("-9!00", "20240105", "R1", "BAKERY"),
        ),
    )
    retried()
    names = Transaction.objects.values_list("description", flat=True)
    assert sorted(names) == ["BAKERY", "COFFEE"]


def test_equal_rows_that_are_read_one_after_the_other_are_each_saved(alice, monkeypatch):
    rows = (stmttrn(amount, "20240105", "", "FUEL") for amount in ("-9!00", "-9?00"))
    bring(alice, bank_statement(*rows))
    real = ofx_values.amount
    for mark in "!?":
        lenient = partial(lambda mark, text, *rest: real(text.replace(mark, "."), *rest), mark)
        monkeypatch.setattr(ofx_values, "amount", lenient)
        retried()
    assert amounts() == [Decimal("-9"), Decimal("-9")]
    assert not QuarantinedRecord.objects.open().exists()


def test_a_cards_turned_signs_are_turned(alice, mended):
    data = ofx(card_set(row(TRNAMT="12.34"), row(FITID="f2", TRNAMT="7!00")))
    statement = services.preview_upload(alice, file_name="a.qfx", data=data)
    key = statement.summary["accounts"][0]["key"]
    services.turn_signs(statement, key, Signs(rows_turned=True))
    services.run(services.confirm(statement).pk)
    retried()
    assert amounts() == [Decimal("-12.34"), Decimal("-7")]


def test_a_position_is_held_from_then_on_and_goes_with_its_import(alice, mended):
    listed = position(MKTVAL="10!00") + position(unique_id="594918104", UNITS="2")
    statement = bring(alice, ofx(investment_set(positions=listed)))
    assert Holding.objects.count() == 1
    retried()
    assert Holding.objects.filter(is_active=True).count() == 2
    take_back(statement)
    assert not Holding.objects.exists()


def test_a_position_of_an_older_list_is_out_of_date(alice, mended):
    listed = investment_set(positions=position(MKTVAL="10!00"))
    bring(alice, ofx(listed))
    newer = investment_set(positions=position(unique_id="594918104"))
    bring(alice, ofx(newer.replace("20240115", "20240215")))
    retried()
    assert QuarantinedRecord.objects.get().resolution == Resolution.OUTDATED
    assert Holding.objects.count() == 1


def test_a_position_waits_again_when_the_newer_list_is_taken_back(alice, mended):
    bring(alice, ofx(investment_set(positions=position(MKTVAL="10!00"))))
    newer = investment_set(positions=position(unique_id="594918104"))
    newer = bring(alice, ofx(newer.replace("20240115", "20240215")))
    retried()
    take_back(newer)
    assert QuarantinedRecord.objects.get().is_open
    retried()
    assert Holding.objects.get(is_active=True).cusip == "037833100"


def test_a_second_line_of_a_position_does_not_take_the_firsts_place(alice, mended):
    listed = position(UNITS="3") + position(UNITS="4", MKTVAL="10!00")
    bring(alice, ofx(investment_set(positions=listed)))
    retried()
    kept = QuarantinedRecord.objects.get()
    assert (kept.is_open, kept.reason) == (True, "position_in_parts")
    assert Holding.objects.get().quantity == 3


def test_lines_of_a_position_that_are_read_together_add_up(alice, mended):
    lots = position(UNITS="3", MKTVAL="30!00") + position(UNITS="4", MKTVAL="40!00")
    bring(alice, ofx(investment_set(positions=lots + position(unique_id="594918104"))))
    retried()
    held = Holding.objects.get(cusip="037833100")
    assert (held.quantity, held.market_value) == (7, 70)
    assert not QuarantinedRecord.objects.open().exists()


def test_a_line_read_later_than_its_position_waits(alice, monkeypatch):
    lots = position(UNITS="3", MKTVAL="30!00") + position(UNITS="4", MKTVAL="40?00")
    bring(alice, ofx(investment_set(positions=lots + position(unique_id="594918104"))))
    real = ofx_values.amount
    for mark in "!?":
        lenient = partial(lambda mark, text, *rest: real(text.replace(mark, "."), *rest), mark)
        monkeypatch.setattr(ofx_values, "amount", lenient)
        retried()
    assert Holding.objects.get(cusip="037833100").quantity == 3
    assert QuarantinedRecord.objects.open().get().reason == "position_in_parts"


def test_what_was_kept_by_an_older_version_asks_for_the_file(alice, mended):
    bring(alice, BROKEN)
    kept = QuarantinedRecord.objects.get()
    kept.seal("<STMTTRN>…</STMTTRN>")
    kept.save()
    retried()
    kept.refresh_from_db()
    assert (kept.is_open, kept.reason) == (True, "file_needed")


def test_an_import_whose_words_were_not_kept_asks_for_the_file(alice, mended):
    bring(alice, BROKEN)
    Telling.objects.all().delete()
    retried()
    kept = QuarantinedRecord.objects.get()
    assert (kept.is_open, kept.reason) == (True, "file_needed")


def test_a_defect_is_told_and_everything_waits_on(alice, mended, monkeypatch):
    bring(alice, BROKEN)
    monkeypatch.setattr("imports.rereading.everything_told", lambda *_args: 1 / 0)
    (sync,) = retrying.retry(QuarantinedRecord.objects.all()).syncs
    services.run(sync.pk)
    sync.refresh_from_db()
    assert (sync.status, sync.error_code) == (SyncStatus.FAILED, "internal_error")
    assert QuarantinedRecord.objects.get().is_open


def test_it_says_in_the_list_of_syncs_what_it_was(client, alice, mended):
    client.force_login(alice)
    statement = bring(alice, BROKEN)
    retried()
    page = client.get(f"/connections/{statement.sync.connection_id}/syncs/").content.decode()
    assert "Unreadable rows tried again" in page
    take_back(bring(alice, FEBRUARY))
    page = client.get(f"/connections/{statement.sync.connection_id}/syncs/").content.decode()
    assert "An import taken back" in page
    assert Sync.objects.count() == 4


TEXTS = {
    "bank": bank_statement(COFFEE, FUEL),
    "comma": bank_statement(COFFEE.replace("-4.50", "-1.234,50"), FUEL.replace("-9.00", "-1.234")),
    "card": ofx(card_set(row(), row(FITID="f2", TRNTYPE="CREDIT", TRNAMT="3"))),
    "positions": ofx(
        investment_set(positions=position() + position(unique_id="594918104"))
        + security("037833100", "APPLE & SONS", "AAPL")
    ),
    "entities": ofx(card_set(row(NAME="A &amp; B &lt;x&gt;", MEMO="Müller"))),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_row_alone_says_what_it_says_in_its_statement(name, monkeypatch):
    today = date(2024, 6, 1)
    (honest,) = read(TEXTS[name], today).accounts

    def refuse(_context):
        raise RowRejectedError("row_unreadable")

    monkeypatch.setattr(Context, "require_currency", refuse)
    (refused,) = read(TEXTS[name], today).accounts
    monkeypatch.undo()
    alone = [read(one.source.encode(), today).accounts[0] for one in refused.rejected]
    assert [one for account in alone for one in account.transactions] == honest.transactions
    assert [one for account in alone for one in account.holdings] == honest.holdings
    assert alone


def test_a_row_that_is_too_long_cannot_be_read_alone():
    long = stmttrn("12..3", "20240105", "F9", "X" * 20_000)
    (account,) = read(bank_statement(COFFEE, long), date(2024, 6, 1)).accounts
    assert [one.source for one in account.rejected] == [""]
