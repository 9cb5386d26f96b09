"""A row that cannot be read is found from the dashboard, tried again, dismissed and taken back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.imports.texts import bank_statement, stmttrn

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

STATEMENT = bank_statement(
    stmttrn("-4.50", "20240102", "F1", "COFFEE"), stmttrn("-12..3", "20240103", "F2", "FUEL")
)


def test_from_the_dashboard_to_a_dismissed_row_and_back(person):
    anna = person(390).sign_up()
    anna.bring(STATEMENT)
    page = anna.page
    page.goto("/")
    anna.look("unreadable-told")
    page.get_by_role("link", name="Look at them").click()
    anna.look("unreadable")
    page.get_by_role("button", name="Try again", exact=True).click()
    expect(page.get_by_text("1 row is being tried again.")).to_be_visible()
    # Nothing was mended, so it waits again; the page says so by itself.
    expect(page.get_by_role("button", name="Try again", exact=True)).to_be_visible()
    expect(page.get_by_text("cannot be read without guessing")).to_be_visible()
    page.get_by_text("Dismiss…").click()
    page.get_by_label("Why does it need no more attention?").fill("A test of the bank's")
    page.get_by_role("button", name="Dismiss", exact=True).click()
    expect(page.get_by_text("Everything could be read")).to_be_visible()
    page.get_by_role("link", name="Dismissed").click()
    expect(page.get_by_text("“A test of the bank's”")).to_be_visible()
    anna.look("unreadable-dismissed")
    page.get_by_role("button", name="Take back").click()
    page.get_by_role("link", name="Open").click()
    expect(page.get_by_role("button", name="Try again", exact=True)).to_be_visible()
    assert anna.complaints == []
