"""The pages of taking an import back: what will happen, the history, and what was done."""

from __future__ import annotations

import re

import pytest

from connections.models import Sync
from connections.types import SyncStatus
from imports import undoing, views
from imports.models import StatementFile, Telling
from imports.services import run
from tests.imports.statements import bank_set, investment_set, ofx, position, row, security
from tests.imports.undo_property import bring, take_back
from transactions.models import Transaction, TransactionEdit

JANUARY = ofx(bank_set(row(), row(FITID="f2", TRNAMT="10.00", NAME="PAY")))
FEBRUARY = ofx(
    bank_set(
        row(NAME="COFFEE HOUSE"),
        row(FITID="f3", DTPOSTED="20240210"),
        row(FITID="f4", TRNAMT="1,2.3,4"),
        after="<LEDGERBAL><BALAMT>75.00<DTASOF>20240229</LEDGERBAL>",
    )
)
FUND = security("037833100", "APPLE", "AAPL")


@pytest.fixture
def browser(client, alice):
    """Alice's browser, signed in."""
    client.force_login(alice)
    return client


@pytest.fixture
def february(alice):
    bring(alice, JANUARY)
    return bring(alice, FEBRUARY)


def words(response):
    text = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", text)


def shares(units, day):
    text = investment_set(positions=position(UNITS=units, MKTVAL=f"{units}00.00")) + FUND
    return ofx(text.replace("20240115", day))


def test_the_page_says_what_will_happen_and_changes_nothing(browser, february):
    shown = words(browser.get(f"/imports/{february.pk}/undo/"))
    assert "Transactions that go 1 That stay 1 others show them too" in shown
    assert "That change back 1" in shown
    assert "Balance $100.50 as of Jan 31, 2024" in shown
    assert Transaction.objects.count() == 3


def test_it_says_which_holdings_return_and_of_when(browser, alice):
    bring(alice, shares("2", "20240115"))
    later = bring(alice, shares("5", "20240215"))
    shown = words(browser.get(f"/imports/{later.pk}/undo/"))
    assert "Holdings 1 as of Jan 15, 2024" in shown


def test_it_says_that_an_account_goes(browser, alice):
    only = bring(alice, JANUARY)
    assert "No other statement tells of this account" in words(
        browser.get(f"/imports/{only.pk}/undo/")
    )


def test_what_the_person_wrote_is_listed_before_it_goes(browser, alice, february):
    goes = Transaction.objects.get(provider_transaction_id="f3")
    TransactionEdit.objects.create(
        user=alice, transaction=goes, category="Fun", note="with Ann", description="Cafe"
    )
    shown = words(browser.get(f"/imports/{february.pk}/undo/"))
    assert "Look at these before they go" in shown
    assert "Cafe Feb 10, 2024" in shown
    assert "Fun · with Ann" in shown
    assert "Undo it all the same" in shown


def test_of_many_the_first_fifty_are_listed_and_all_counted(browser, alice):
    rows = (row(FITID=f"f{n}", TRNAMT=f"-{n}.00") for n in range(1, 61))
    only = bring(alice, ofx(bank_set(*rows)))
    edits = [
        TransactionEdit(user=alice, transaction=txn, note="mine")
        for txn in Transaction.objects.all()
    ]
    TransactionEdit.objects.bulk_create(edits)
    response = browser.get(f"/imports/{only.pk}/undo/")
    assert "60 transactions that go" in words(response)
    assert "The first 50 of 60 are shown." in words(response)


def test_an_import_of_before_says_honestly_what_is_not_known(browser, february):
    Telling.objects.all().delete()
    shown = words(browser.get(f"/imports/{february.pk}/undo/"))
    assert "imported before Dashtam kept what each file said" in shown


def test_a_click_takes_it_back_and_the_page_says_so(browser, february):
    response = browser.post(f"/imports/{february.pk}/undo/", follow=True)
    assert "Undoing…" in words(response)
    february.refresh_from_db()
    run(february.undo_sync_id)
    shown = words(browser.get(f"/imports/{february.pk}/"))
    assert "what the file had brought is gone again" in shown
    assert "Transactions added 1 Changed 1 Already known 0 Unreadable 1" in shown
    assert "by you" in shown


def test_taken_back_twice_it_is_refused_in_words(browser, february):
    take_back(february)
    response = browser.post(f"/imports/{february.pk}/undo/", follow=True)
    assert "This import was undone before. Nothing was changed." in words(response)
    assert browser.get(f"/imports/{february.pk}/undo/").status_code == 302


def test_while_another_file_is_imported_it_is_refused_in_words(browser, alice, february):
    february.sync.connection.syncs.create(user=alice, trigger="file_import")
    response = browser.post(f"/imports/{february.pk}/undo/", follow=True)
    assert "is being imported or undone at this moment" in words(response)
    assert "Undo this import…" in words(response)


def test_an_undo_that_failed_says_why_and_can_be_tried_again(browser, alice, february):
    sync = undoing.request(february, alice)
    Sync.objects.filter(pk=sync.pk).update(status=SyncStatus.FAILED, error_code="gave_up")
    shown = words(browser.get(f"/imports/{february.pk}/"))
    assert "It could not be undone, and nothing was changed." in shown
    assert "Undo this import…" in shown


def test_the_history_counts_dates_and_explains_every_import(browser, alice, february):
    take_back(february)
    StatementFile.objects.create(
        user=alice, file_name="lost.qfx", sha256="0" * 64, size_bytes=1, format="ofx1",
        status="failed", error_code="gave_up",
    )  # fmt: skip
    shown = words(browser.get("/imports/"))
    assert "2 new · 0 changed · 0 known" in shown
    assert "1 new · 1 changed · 0 known · 1 unreadable Undone" in shown
    assert "never came to its end" in shown


def test_the_history_is_cut_into_pages(browser, alice):
    StatementFile.objects.bulk_create(
        StatementFile(
            user=alice, file_name=f"{n}.qfx", sha256=f"{n:064}", size_bytes=1, status="imported"
        )
        for n in range(views.HISTORY_PAGE + 1)
    )
    first, second = browser.get("/imports/"), browser.get("/imports/?page=2")
    assert len(first.context["page"]) == views.HISTORY_PAGE
    assert [one.file_name for one in second.context["page"]] == ["0.qfx"]
