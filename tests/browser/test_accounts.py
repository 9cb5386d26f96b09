"""What an account's page says of its days, its balances and its twin, as a person reads it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.imports.statements import BALANCE, CHECKING, bank_set, ofx, row

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

WIDTHS = (390, 1280)
JANUARY = bank_set(row(), row(FITID="f2", TRNAMT="112.84", NAME="PAYROLL", DTPOSTED="20240115"))


def statement(first, last, amount, balance, *, fid="77", number=CHECKING):
    """One month of First's checking account with one row on its fifth."""
    text = bank_set(
        row(FITID=f"f{first}", TRNAMT=amount, DTPOSTED=f"{first[:6]}05", NAME="BOOKS"),
        account=number,
        after=BALANCE.replace("100.50", balance).replace("20240131", last),
    )
    text = text.replace("<DTSTART>20240101<DTEND>20240131", f"<DTSTART>{first}<DTEND>{last}")
    return ofx(text).replace(b"<FID>77", f"<FID>{fid}".encode())


@pytest.mark.parametrize("width", WIDTHS)
def test_a_missing_statement_is_seen_in_the_calendar_and_in_the_balances(person, width):
    anna = person(width).sign_up()
    anna.bring(ofx(JANUARY))
    anna.bring(statement("20240201", "20240229", "-25.50", "75.00"))
    anna.page.get_by_role("link", name="Checking").click()
    expect(anna.page.get_by_text("difference $0.00")).to_be_visible()
    anna.look("account-even")
    anna.choose(statement("20240503", "20240610", "-5.00", "60.00"))
    expect(anna.page.get_by_text("Difference −$10.00")).to_be_visible()
    anna.look("preview-differs")
    anna.page.get_by_role("button", name="Import this").click()
    expect(anna.page.get_by_text("Imported on")).to_be_visible()
    anna.page.get_by_role("link", name="Checking").click()
    expect(anna.page.get_by_text("No data from Mar 1, 2024 to May 2, 2024.")).to_be_visible()
    anna.page.get_by_role("link", name="March 2024: no data").focus()
    anna.look("account-gap")
    anna.page.get_by_role("link", name="Look at these transactions").click()
    expect(anna.page.get_by_role("cell", name="May 5, 2024")).to_be_visible()
    assert anna.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_an_account_by_two_doors_is_joined_and_separated_again(person, width):
    anna = person(width).sign_up()
    anna.bring(ofx(JANUARY))
    anna.bring(statement("20240201", "20240229", "-25.50", "75.00", fid="78"))
    anna.page.goto("/")
    expect(anna.page.locator("#net-worth")).to_have_text("$175.50")
    expect(anna.page.get_by_text("Is this the same account?")).to_be_visible()
    anna.look("dashboard-twins")
    anna.page.get_by_role("button", name="Same account").click()
    expect(anna.page.get_by_text("Also known from your files")).to_be_visible()
    anna.look("account-joined")
    anna.page.get_by_role("button", name="Separate again").click()
    anna.page.goto("/accounts/")
    anna.look("accounts-twins")
    anna.page.get_by_role("button", name="No, these are two").click()
    expect(anna.page.get_by_text("Is this the same account?")).to_be_hidden()
    anna.page.goto("/")
    expect(anna.page.locator("#net-worth")).to_have_text("$175.50")
    assert anna.complaints == []
