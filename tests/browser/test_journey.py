"""From the sign-up to a number that changes by itself, as a person does it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.imports.statements import bank_set, investment_set, ofx, position, row, security

pytestmark = [pytest.mark.browser, pytest.mark.processes]

WIDTHS = (390, 1280)
JANUARY = ofx(bank_set(row(), row(FITID="f2", TRNAMT="10.00", NAME="PAYROLL", DTPOSTED="20240115")))
FEBRUARY = ofx(
    bank_set(
        row(FITID="f3", TRNAMT="-25.50", DTPOSTED="20240210", NAME="BOOKS"),
        row(FITID="f4", TRNAMT="1,2.3,4", DTPOSTED="20240211", NAME="BROKEN"),
        after="<LEDGERBAL><BALAMT>75.00<DTASOF>20240229</LEDGERBAL>",
    )
)
SHARES = ofx(investment_set(positions=position()) + security("037833100", "Apple Inc", "AAPL"))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_statement_becomes_a_live_net_worth(person, width):
    anna = person(width).sign_up()
    expect(anna.page.get_by_text("Bring your first statement")).to_be_visible()
    anna.look("dashboard-empty")
    other_tab = anna.new_tab()
    other_tab.goto("/")
    other_tab.evaluate("window.wasNotReloaded = true")
    anna.bring(JANUARY)
    expect(other_tab.locator("#net-worth")).to_have_text("$100.50")
    anna.bring(FEBRUARY)
    expect(other_tab.locator("#net-worth")).to_have_text("$75.00")
    assert other_tab.evaluate("window.wasNotReloaded")
    assert anna.complaints == []


@pytest.mark.once
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_without_barriers_in_both_themes(person, width):
    anna = person(width).sign_up(is_looking=True)
    for address in ("/accounts/", "/transactions/", "/imports/"):
        anna.page.goto(address)
        anna.look(f"empty{address.replace('/', '-')}")
    anna.bring(JANUARY)
    anna.look("imported")
    anna.choose(FEBRUARY)
    expect(anna.page.get_by_text("What is in this file")).to_be_visible()
    anna.look("preview")
    anna.bring(SHARES)
    look_around(anna)
    assert anna.complaints == []


def look_around(anna):
    """Every page a person with data can open."""
    for name, address in {
        "dashboard": "/",
        "accounts": "/accounts/",
        "transactions": "/transactions/",
        "wrong-filter": "/transactions/?amount_min=much",
        "imports": "/imports/",
        "settings": "/settings/",
        "email": "/auth/email/",
        "password": "/auth/password/change/",
    }.items():
        anna.page.goto(address)
        anna.look(name)
    for account in ("Checking", "Brokerage"):
        anna.page.goto("/accounts/")
        anna.page.get_by_role("link", name=account).first.click()
        expect(anna.page.get_by_role("heading", name="Latest transactions")).to_be_visible()
        anna.look(account.lower())


@pytest.mark.once
def test_strangers_pages_are_without_barriers(person):
    nobody = person(390)
    for name, address in {
        "sign-in": "/auth/login/",
        "reset": "/auth/password/reset/",
        "not-found": "/auth/nowhere/",
    }.items():
        nobody.page.goto(address)
        nobody.look(name)


def test_transactions_can_be_searched_from_the_account(person):
    anna = person().sign_up()
    anna.bring(JANUARY)
    anna.page.get_by_role("main").get_by_role("link", name="Checking").click()
    anna.page.get_by_role("link", name="All of this account").click()
    anna.page.get_by_label("Search", exact=True).fill("payroll")
    anna.page.get_by_role("button", name="Search").click()
    rows = anna.page.locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("+$10.00")


@pytest.mark.once
def test_it_works_without_javascript(person):
    anna = person(java_script_enabled=False).sign_up()
    anna.choose(JANUARY)
    anna.page.get_by_role("button", name="Import this").click()
    until_visible(anna, "Imported on", by_clicking="See how far it is")
    anna.page.goto("/")
    expect(anna.page.locator("#net-worth")).to_have_text("$100.50")


def until_visible(anna, text, *, by_clicking):
    """Follow a link to the same page until it says so."""
    for _ in range(100):
        if anna.page.get_by_text(text).count():
            return
        anna.page.get_by_role("link", name=by_clicking).click()
        anna.page.wait_for_timeout(200)
    raise AssertionError(anna.page.content())


@pytest.mark.once
def test_unreadable_rows_stay_visible_after_the_import(person):
    anna = person().sign_up()
    anna.bring(FEBRUARY)
    expect(anna.page.get_by_text("The amount “1,2.3,4” cannot be read")).to_be_visible()


def test_the_same_file_again_says_so(person):
    anna = person().sign_up()
    anna.bring(JANUARY)
    anna.choose(JANUARY)
    expect(anna.page.get_by_text("imported before. Nothing was changed.")).to_be_visible()


@pytest.mark.once
def test_a_wrong_file_is_told_in_place(somebody):
    somebody.choose(b"%PDF-1.7 pretending", name="statement.qfx")
    expect(somebody.page.get_by_role("alert")).to_contain_text("This is a PDF")
    somebody.look("refused")
    somebody.choose(JANUARY)
    expect(somebody.page.get_by_text("What is in this file")).to_be_visible()


@pytest.mark.once
def test_a_file_too_large_is_told_before_it_is_sent(somebody):
    somebody.folder.joinpath("big.qfx").write_bytes(bytes(27_000_000))
    somebody.page.goto("/imports/")
    somebody.page.get_by_label("Drop a statement here").set_input_files(somebody.folder / "big.qfx")
    expect(somebody.page.get_by_role("status")).to_contain_text("27 MB")
    expect(somebody.page.get_by_role("button", name="Look inside")).to_be_disabled()


@pytest.mark.once
def test_a_password_can_be_reset_by_code(person):
    anna = person().sign_up()
    anna.context.clear_cookies()
    anna.page.goto("/auth/password/reset/")
    anna.page.get_by_label("Email").fill(anna.email)
    anna.page.get_by_role("button", name="Send me a code").click()
    anna.page.get_by_label("Code").wait_for()
    anna.page.get_by_label("Code").fill(anna.code())
    anna.page.get_by_role("button", name="Confirm").click()
    expect(anna.page.get_by_role("heading", name="Change Password")).to_be_visible()


@pytest.mark.once
def test_the_keyboard_skips_to_the_content_and_opens_the_menu(person):
    anna = person().sign_up()
    anna.page.keyboard.press("Tab")
    anna.page.keyboard.press("Enter")
    assert anna.page.evaluate("document.activeElement.id") == "content"
    anna.page.locator(".menu summary").press("Enter")
    expect(anna.page.get_by_role("link", name="Settings")).to_be_visible()
    anna.page.keyboard.press("Escape")
    expect(anna.page.get_by_role("link", name="Settings")).to_be_hidden()
