"""Connecting a bank as a newcomer does it: at its own page, with keys, and when it goes wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.person import agree, go_to_consent
from tests.connections.journeys import keys
from tests.processes import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Request

    from connections.sandbox.bank import Bank
    from tests.browser.person import Person
    from tests.processes import Up

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def server(sandbox: Up) -> Up:
    """Dashtam with the bank in the box."""
    return sandbox


def send_keys(anna: Person, bank: Bank, *, secret: str = "") -> None:
    mine = keys(bank)
    anna.page.goto("/connections/add/alpaca/")
    anna.page.get_by_label("API key").fill(mine["api_key"])
    anna.page.get_by_label("API secret").fill(secret or mine["api_secret"])
    anna.page.get_by_role("button", name="Check and connect").click()


def without_status_lines(anna: Person) -> list[str]:
    """What the console complained about, beside the statuses that were to be expected."""
    return [said for said in anna.complaints if "the server responded with a status of" not in said]


@pytest.mark.parametrize("width", WIDTHS)
def test_from_nothing_to_connected_at_the_banks_own_page(person, width):
    anna = person(width).sign_up()
    anna.page.get_by_role("link", name="Connections").click()
    anna.look("connections-empty")
    anna.page.get_by_role("link", name="Add a connection").click()
    anna.look("catalogue")
    anna.page.get_by_role("link", name=re.compile("Charles Schwab")).click()
    anna.look("connect-oauth")
    agree(anna)
    anna.look("connected")
    anna.page.goto("/connections/")
    anna.look("connections")
    assert anna.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_wrong_keys_are_said_and_right_ones_connect(person, bank, width):
    anna = person(width).sign_up()
    send_keys(anna, bank, secret="mistyped")
    expect(anna.page.get_by_text("Alpaca does not accept these keys")).to_be_visible()
    anna.look("keys-wrong")
    send_keys(anna, bank)
    expect(anna.page.get_by_text("Alpaca is connected.")).to_be_visible()
    assert without_status_lines(anna) == []


def test_who_says_no_reads_that_nothing_was_connected(person):
    anna = person(390).sign_up()
    go_to_consent(anna)
    anna.page.get_by_role("button", name="Deny").click()
    expect(anna.page.get_by_text("You said no at Charles Schwab")).to_be_visible()
    anna.look("denied")
    assert without_status_lines(anna) == []


def test_the_same_way_back_works_neither_twice_nor_for_another(person):
    anna, ben = person(1280).sign_up(), person(1280).sign_up()
    seen: list[Request] = []
    anna.page.on("request", lambda asked: seen.append(asked))
    agree(anna)
    way_back = next(one.url for one in seen if "/callback?" in one.url)
    for somebody in (anna, ben, person(1280)):
        somebody.page.goto(way_back)
        expect(somebody.page.get_by_text("Charles Schwab was not connected")).to_be_visible()
        somebody.look("refused")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_in_between_are_without_barriers(person, width):
    anna = person(width).sign_up()
    anna.page.goto("/connections/add/nobody/")
    anna.look("unknown")
    anna.page.route("**/oauth/authorize**", lambda route: route.fulfill(status=204))
    anna.page.goto("/connections/add/schwab/")
    anna.page.get_by_role("button", name="Continue to Charles Schwab").click()
    expect(anna.page.get_by_role("link", name="Go there now")).to_be_visible()
    anna.look("leave")


def test_without_scripts_everything_works(person):
    anna = person(1280, java_script_enabled=False)
    anna.sign_up()
    agree(anna)
    anna.page.get_by_role("link", name="Sign in again").click()
    anna.page.get_by_role("button", name="Continue to Charles Schwab").click()
    anna.page.get_by_role("button", name="Allow").click()
    expect(anna.page.get_by_text("Charles Schwab is connected.")).to_be_visible()
    page = anna.page
    wait_until(lambda: page.reload() and page.get_by_text("Everything was read").count(), "read")
    page.get_by_role("button", name="Sync anyway").click()
    wait_until(lambda: page.reload() and page.get_by_text("You asked for it").count(), "asked")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_end_is_asked_about_by_keyboard_too(person, width):
    anna = person(width).sign_up()
    agree(anna)
    anna.page.get_by_role("button", name="Disconnect…").focus()
    anna.page.keyboard.press("Enter")
    expect(anna.page.get_by_role("dialog")).to_be_visible()
    anna.look("disconnect")
    anna.page.keyboard.press("Escape")
    expect(anna.page.get_by_role("dialog")).to_be_hidden()
    anna.page.get_by_role("button", name="Disconnect…").click()
    anna.page.get_by_role("button", name="Disconnect", exact=True).click()
    expect(anna.page.get_by_text("Charles Schwab is disconnected.")).to_be_visible()
    anna.look("disconnected")
    assert anna.complaints == []
