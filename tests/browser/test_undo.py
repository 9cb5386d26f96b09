"""Taking an import back as a person does it: look, go on, see that it is gone."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.person import PATIENCE_MS
from tests.imports.statements import bank_set, ofx, row

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

JANUARY = ofx(bank_set(row(), row(FITID="f2", TRNAMT="10.00", NAME="PAYROLL", DTPOSTED="20240115")))
# The bank has used the number of its first row again: the row is marked to be checked.
FEBRUARY = ofx(
    bank_set(
        row(NAME="COFFEE HOUSE BERLIN"),
        row(TRNAMT="-25.50", DTPOSTED="20240210", NAME="BOOKS"),
        row(FITID="f4", TRNAMT="1,2.3,4", DTPOSTED="20240211", NAME="BROKEN"),
        after="<LEDGERBAL><BALAMT>75.00<DTASOF>20240229</LEDGERBAL>",
    )
)


@pytest.mark.parametrize("width", [390, 1280])
def test_an_import_is_taken_back_after_a_look_at_what_will_happen(person, width):
    anna = person(width).sign_up()
    anna.bring(JANUARY)
    anna.bring(FEBRUARY)
    anna.look("imported")
    anna.page.get_by_role("link", name="Undo this import").click()
    expect(anna.page.get_by_text("Look at these before they go")).to_be_visible()
    anna.look("undo")
    anna.page.get_by_role("button", name="Undo it all the same").click()
    expect(anna.page.get_by_text("Undone on")).to_be_visible(timeout=PATIENCE_MS)
    anna.look("undone")
    anna.page.goto("/imports/")
    anna.look("history")
    anna.page.goto("/")
    expect(anna.page.locator("#net-worth")).to_have_text("$100.50")
    assert anna.complaints == []
