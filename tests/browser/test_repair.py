"""A connection breaks and is repaired in place, while somebody watches."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect

from connections.sandbox.faults import Fault
from tests.browser.person import agree

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from connections.sandbox.bank import Bank
    from tests.browser.person import Person
    from tests.processes import Up

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def server(sandbox: Up) -> Up:
    """Dashtam with the bank in the box."""
    return sandbox


def steer(bank: Bank, name: str, **body: object) -> None:
    """Turn one of the bank's controls, as a demonstration does."""
    asked = Request(  # noqa: S310 - the bank in the box
        f"{bank.url}/_sim/{name}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(asked) as answer:  # noqa: S310
        assert answer.status == 200


def watch(anna: Person, address: str) -> Page:
    """One more tab, which will know whether it was ever loaded anew."""
    tab = anna.new_tab()
    tab.goto(address)
    tab.evaluate("window.wasNotReloaded = true")
    return tab


def accounts_of(page: Page) -> list[str | None]:
    links = page.locator("#connection a[href^='/accounts/']").all()
    return [link.get_attribute("href") for link in links]


def sign_in_again(anna: Person) -> None:
    anna.page.get_by_role("link", name="Sign in again", exact=True).click()
    anna.page.get_by_role("button", name="Continue to Charles Schwab").click()
    anna.page.get_by_role("button", name="Allow").click()
    expect(anna.page.get_by_text("Charles Schwab is connected.")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_broken_consent_is_told_live_and_repaired_in_place(person, bank, width):
    anna = person(width).sign_up()
    dashboard = watch(anna, "/")
    agree(anna)
    expect(anna.page.get_by_text("Everything was read")).to_be_visible()
    expect(dashboard.locator("#net-worth")).to_contain_text("$")
    anna.look("healthy")
    worth, before = dashboard.locator("#net-worth").inner_text(), accounts_of(anna.page)
    watching = watch(anna, anna.page.url)

    steer(bank, "faults", path="*/accounts*", fault="revoked_consent")
    anna.page.get_by_role("button", name="Sync anyway").click()
    for tab in (watching, dashboard):
        told = tab.get_by_text("no longer accepts the sign-in. Sign in again to go on.")
        expect(told.first).to_be_visible()
    expect(watching.locator("#badges")).to_contain_text("Sign in again")
    expect(anna.page.locator("#badges")).to_contain_text("Sign in again")
    anna.look("broken")

    sign_in_again(anna)
    expect(watching.locator("#badges")).to_contain_text("Connected")
    newest = watching.locator("#connection .list-why", has_text="transactions").first
    expect(newest).to_contain_text(re.compile(r"transactions from 3 accounts: 0 created"))
    expect(dashboard.locator("#attention")).not_to_contain_text("Charles Schwab")
    assert accounts_of(watching) == before
    assert before
    expect(dashboard.locator("#net-worth")).to_have_text(worth)
    anna.page.goto("/connections/")
    expect(anna.page.locator(".list > li")).to_have_count(1)
    assert watching.evaluate("window.wasNotReloaded")
    assert dashboard.evaluate("window.wasNotReloaded")
    assert anna.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_each_account_is_seen_being_read(person, bank, width):
    bank.faults.add("*/transactions*", Fault.SLOW, times=2, seconds=4)
    anna = person(width).sign_up()
    agree(anna)
    anna.page.evaluate("window.wasNotReloaded = true")
    expect(anna.page.locator(".reading")).to_contain_text("of 3 accounts read")
    expect(anna.page.get_by_text("reading ·").first).to_be_visible()
    anna.look("reading")
    expect(anna.page.locator(".reading")).to_contain_text("Everything was read")
    assert anna.page.evaluate("window.wasNotReloaded")
    bank.faults.clear()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_of_syncs_are_without_barriers(person, bank, width):
    anna = person(width).sign_up()
    agree(anna)
    expect(anna.page.get_by_text("Everything was read")).to_be_visible()
    anna.page.get_by_text("Read only a part").click()
    anna.look("part")
    bank.faults.add("*/transactions*", Fault.MALFORMED, times=None)
    anna.page.get_by_role("button", name="Read transactions").click()
    if anna.page.get_by_role("button", name="Read anyway").count():
        anna.look("part-anyway")
        anna.page.get_by_role("button", name="Read anyway").click()
    expect(anna.page.get_by_text("answered something that cannot be read").first).to_be_visible()
    bank.faults.clear()
    anna.look("partial")
    anna.page.get_by_role("link", name="All syncs").click()
    anna.look("syncs")
    anna.page.locator(".list a").last.click()
    expect(anna.page.get_by_role("heading", name="Account by account")).to_be_visible()
    anna.look("sync")
