"""The import pages: choose, look, confirm, watch; and every way a file can be refused."""

from __future__ import annotations

import gzip
import html
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from connections.models import Connection, ProviderSetting
from connections.types import ConnectionStatus
from imports.formats.reader import MAX_BYTES
from imports.formats.types import NOTICES
from imports.models import StatementFile
from imports.services import confirm
from imports.tasks import run_import
from imports.types import StatementStatus
from tests import factories
from tests.imports.statements import bank_set, card_set, ofx, row
from transactions.models import Transaction

STATEMENT = ofx(bank_set(row(), row(FITID="f2", TRNAMT="10.00", NAME="PAY")))


@pytest.fixture
def browser(client, alice):
    """Alice's browser, signed in."""
    client.force_login(alice)
    return client


def choose(browser, data=STATEMENT, name="january.qfx", **headers):
    upload = SimpleUploadedFile(name, data)
    return browser.post("/imports/", {"statement": upload}, headers=headers)


def words(response):
    text = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", text)


def preview(browser, data=STATEMENT):
    return StatementFile.objects.get(pk=choose(browser, data)["Location"].split("/")[2])


def bring(browser, data=STATEMENT):
    statement = preview(browser, data)
    browser.post(f"/imports/{statement.pk}/confirm/")
    statement.refresh_from_db()
    run_import(str(statement.sync_id))
    return statement


def test_a_file_leads_to_its_preview(browser):
    response = choose(browser)
    shown = words(browser.get(response["Location"]))
    assert "First" in shown
    assert "••••2333 New account" in shown
    assert "Resulting balance $100.50 as of Jan 31, 2024" in shown
    assert "2 new" in shown


def test_looking_saves_nothing(browser):
    browser.get(choose(browser)["Location"])
    assert not Transaction.objects.exists()


def test_a_confirmed_file_shows_its_progress_and_then_what_became_of_it(browser):
    statement = preview(browser)
    page = browser.post(f"/imports/{statement.pk}/confirm/", follow=True)
    assert "0 of 2 rows saved" in words(page)
    statement.refresh_from_db()
    run_import(str(statement.sync_id))
    shown = words(browser.get(f"/imports/{statement.pk}/"))
    assert "Transactions added 2" in shown
    assert "$100.50" in shown


def test_the_live_part_of_a_running_import_asks_for_itself(browser):
    statement = preview(browser)
    confirm(statement)
    part = browser.get(f"/imports/{statement.pk}/", headers={"HX-Request": "true"})
    assert 'hx-trigger="live:import from:body, every 5s"' in part.content.decode()
    assert b"<html" not in part.content


def test_without_javascript_a_running_import_can_be_looked_at_again(browser):
    statement = preview(browser)
    confirm(statement)
    shown = browser.get(f"/imports/{statement.pk}/").content.decode()
    assert re.search(rf'<noscript><p><a [^>]*href="/imports/{statement.pk}/"', shown)


def test_the_same_file_again_says_so_and_changes_nothing(browser):
    statement = bring(browser)
    response = choose(browser)
    assert response["Location"] == f"/imports/{statement.pk}/"
    assert "imported before. Nothing was changed." in words(browser.get(response["Location"]))
    assert Transaction.objects.count() == 2


def test_a_file_that_knows_nothing_new_says_so(browser):
    bring(browser)
    again = preview(browser, ofx(bank_set(row())))
    assert "known already" in words(browser.get(f"/imports/{again.pk}/"))


def test_a_balance_that_does_not_add_up_is_told(browser):
    bring(browser)
    later = "<LEDGERBAL><BALAMT>90.00<DTASOF>20240229</LEDGERBAL>"
    file = ofx(bank_set(row(FITID="f9", DTPOSTED="20240215", TRNAMT="-5.00"), after=later))
    shown = words(browser.get(f"/imports/{preview(browser, file).pk}/"))
    assert "Difference −$5.50 after Jan 31, 2024" in shown
    assert "$100.50 and the transactions until Feb 29, 2024 make $95.50, but the balance" in shown


def test_a_balance_that_adds_up_is_told(browser):
    bring(browser)
    later = "<LEDGERBAL><BALAMT>95.50<DTASOF>20240229</LEDGERBAL>"
    file = ofx(bank_set(row(FITID="f9", DTPOSTED="20240215", TRNAMT="-5.00"), after=later))
    assert "Checked from Jan 31, 2024 to Feb 29, 2024: difference $0.00" in words(
        browser.get(f"/imports/{preview(browser, file).pk}/")
    )


def test_an_older_statement_leaves_the_balance(browser):
    bring(browser)
    older = "<LEDGERBAL><BALAMT>1.00<DTASOF>20231231</LEDGERBAL>"
    file = ofx(bank_set(row(FITID="f0", DTPOSTED="20231215"), after=older))
    assert "older than the balance we know" in words(
        browser.get(f"/imports/{preview(browser, file).pk}/")
    )


def test_unreadable_rows_are_shown_with_a_reason_before_and_after(browser):
    statement = bring(browser, ofx(bank_set(row(), row(FITID="f2", TRNAMT="1,2.3,4"))))
    before = words(browser.get(f"/imports/{preview(browser, ofx(bank_set(row(TRNAMT='x')))).pk}/"))
    after = words(browser.get(f"/imports/{statement.pk}/"))
    assert "cannot be read without guessing" in before
    assert "The amount “1,2.3,4” cannot be read without guessing" in after
    assert "Unreadable 1" in after


@pytest.mark.parametrize("code", NOTICES)
def test_every_notice_has_a_sentence_on_the_preview(browser, code):
    statement = preview(browser)
    statement.summary["notices"] = [code]
    statement.save()
    shown = html.unescape(words(browser.get(f"/imports/{statement.pk}/")))
    assert NOTICES[code] in shown


def test_a_preview_can_be_discarded(browser):
    statement = preview(browser)
    response = browser.post(f"/imports/{statement.pk}/discard/", follow=True)
    assert "Nothing was imported" in words(response)
    assert not StatementFile.objects.exists()


def test_a_failed_import_says_what_stays_and_how_to_complete_it(browser):
    statement = preview(browser)
    StatementFile.objects.update(status="failed", error_code="internal_error")
    shown = words(browser.get(f"/imports/{statement.pk}/"))
    assert "What was saved before the failure stays." in shown
    assert "Choose the same file again to complete it" in shown


def test_a_failed_import_leaves_the_list_without_a_false_word(browser):
    statement = preview(browser)
    StatementFile.objects.update(status="failed", error_code="internal_error")
    response = browser.post(f"/imports/{statement.pk}/discard/", follow=True)
    assert "What it had saved stays." in words(response)
    assert "Nothing was imported" not in words(response)
    assert not StatementFile.objects.exists()


def test_an_import_under_way_is_not_said_to_be_discarded(browser):
    statement = preview(browser)
    confirm(statement)
    response = browser.post(f"/imports/{statement.pk}/discard/", follow=True)
    assert "was not removed: its import has begun" in words(response)
    assert StatementFile.objects.get().status == StatementStatus.IMPORTING


def test_a_provider_switched_off_since_the_preview_is_told(browser):
    statement = preview(browser)
    ProviderSetting.objects.update(enabled=False)
    response = browser.post(f"/imports/{statement.pk}/confirm/", follow=True)
    assert "Importing files of this kind is switched off" in words(response)
    assert "Import this" in words(response)


def test_a_connection_that_is_not_active_is_told(browser):
    bring(browser)
    Connection.objects.update(status=ConnectionStatus.EXPIRED)
    statement = preview(browser, ofx(bank_set(row(FITID="f9"))))
    response = browser.post(f"/imports/{statement.pk}/confirm/", follow=True)
    assert "connection to this institution is not active" in words(response)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\x01\x02t1garbage", "could not be opened again"), (b"letter", "not a bank statement")],
)
def test_signs_of_a_file_that_cannot_be_read_again_are_told(browser, content, said):
    statement = preview(browser, ofx(card_set(row())))
    if said.startswith("not"):
        statement.seal(content)
        content = statement.content
    StatementFile.objects.update(content=content)
    turned = {"account": statement.summary["accounts"][0]["key"]}
    response = browser.post(f"/imports/{statement.pk}/signs/", turned, follow=True)
    assert said in words(response)


def test_a_preview_that_lost_its_file_cannot_be_confirmed(browser):
    statement = preview(browser)
    StatementFile.objects.update(content=None)
    response = browser.post(f"/imports/{statement.pk}/confirm/", follow=True)
    assert "Choose the file again" in words(response)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"status": "failed", "error_code": "truncated"}, "cut off before its end"),
        ({"status": "failed", "error_code": "internal_error"}, "Something went wrong on our side"),
        ({"status": "failed", "error_code": "too_large"}, "larger than"),
        ({"status": "failed", "error_code": "gave_up"}, "begun several times"),
        ({"status": "undone"}, "This import was undone"),
    ],
)
def test_every_end_of_an_import_has_words(browser, status, said):
    statement = preview(browser)
    StatementFile.objects.update(**status)
    assert said in words(browser.get(f"/imports/{statement.pk}/"))


REFUSED = {
    "empty": (b"", 415, "This file is empty"),
    "text": (b"dear diary", 415, "not a bank statement"),
    "html": (b"<!doctype html><html><body>Session expired", 415, "web page"),
    "zip": (b"PK\x03\x04" + bytes(40), 415, "packed archive"),
    "gzip": (gzip.compress(b"x"), 415, "packed archive"),
    "pdf": (b"%PDF-1.7\n", 415, "This is a PDF"),
    "cut": (STATEMENT[: len(STATEMENT) // 2], 422, "cut off"),
    "bomb": (
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><OFX></OFX>',
        422,
        "declarations",
    ),
    "large": (bytes(MAX_BYTES + 1), 413, "larger than 25 MB"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_file_is_told_why_and_leaves_nothing(browser, name):
    data, status, said = REFUSED[name]
    response = choose(browser, data)
    assert (response.status_code, said in words(response)) == (status, True)
    assert "Nothing was saved." in words(response)
    assert not StatementFile.objects.exists()


def test_a_refusal_reaches_htmx_as_the_same_form(browser):
    response = choose(browser, b"dear diary", **{"HX-Request": "true"})
    assert response.status_code == 415
    assert b'id="drop"' in response.content


def test_htmx_is_sent_to_the_preview(browser):
    response = choose(browser, **{"HX-Request": "true"})
    assert response["HX-Redirect"] == f"/imports/{StatementFile.objects.get().pk}/"


def test_no_file_at_all_is_told(browser):
    response = browser.post("/imports/", {})
    assert response.status_code == 422
    assert "Choose a statement file first." in words(response)


def test_a_name_with_path_and_script_is_only_a_name(browser):
    response = choose(browser, name="../../<script>alert(1)</script>.qfx")
    shown = browser.get(response["Location"]).content.decode()
    assert "<script>alert" not in shown
    assert "/" not in StatementFile.objects.get().file_name


def test_files_so_far_are_listed(browser):
    bring(browser)
    shown = words(browser.get("/imports/"))
    assert "january.qfx" in shown
    assert "Imported" in shown


def test_bob_finds_none_of_alices_files(client, browser, alice):
    statement = preview(browser)
    client.force_login(factories.make_user("bob@example.com"))
    assert client.get(f"/imports/{statement.pk}/").status_code == 404
    for action in ("confirm", "discard"):
        assert client.post(f"/imports/{statement.pk}/{action}/").status_code == 404
    assert StatementFile.objects.get().status == StatementStatus.PREVIEWED
