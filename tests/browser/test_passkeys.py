"""Passkeys and second factors in Chromium, with an authenticator that the browser plays."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.person import PASSWORD
from tests.dashtam.doors import code_at

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.once]

WIDTHS = (390, 1280)
BUILT_IN = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def give_authenticator(person, **other):
    """Give the person's tab a fingerprint reader; return the debugger and its id."""
    debugger = person.context.new_cdp_session(person.page)
    debugger.send("WebAuthn.enable")
    options = {"options": {**BUILT_IN, **other}}
    made = debugger.send("WebAuthn.addVirtualAuthenticator", options)
    return debugger, made["authenticatorId"]


def prove(person):
    """Type the password once more, when that is asked for."""
    expect(person.page.get_by_role("heading", name="Is it you?")).to_be_visible()
    person.page.get_by_label("Password").fill(PASSWORD)
    person.page.get_by_role("button", name="Confirm").click()


def add_passkey(person, look=str):
    """Add a passkey from the settings."""
    person.page.goto("/settings/")
    person.page.get_by_role("link", name="Passkeys").click()
    look("passkeys-none")
    person.page.get_by_role("link", name="Add a passkey").click()
    look("prove")
    prove(person)
    look("passkey-add")
    person.page.get_by_label("Name").fill("My laptop")
    person.page.get_by_role("button", name="Go on").click()
    expect(person.page.get_by_text("shown this once")).to_be_visible()


def sign_out(person):
    person.page.goto("/auth/logout/")
    person.page.get_by_role("main").get_by_role("button", name="Sign out").click()


def enter_by_passkey(person):
    person.page.get_by_role("button", name="Sign in with a passkey").click()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_passkey_is_added_and_signs_in_alone(person, width):
    anna = person(width).sign_up()
    give_authenticator(anna)
    add_passkey(anna, anna.look)
    anna.look("recovery-codes")
    anna.page.goto("/auth/2fa/webauthn/")
    anna.look("passkeys")
    sign_out(anna)
    anna.look("sign-in-passkey")
    enter_by_passkey(anna)
    expect(anna.page.get_by_text("Bring your first statement")).to_be_visible()
    assert anna.complaints == []


def test_somebody_signs_up_with_a_passkey_alone(person):
    anna = person(390)
    give_authenticator(anna)
    anna.page.goto("/auth/signup/")
    anna.page.get_by_role("link", name="Use a passkey, without a password").click()
    anna.look("sign-up-passkey")
    anna.page.get_by_label("Email").fill(anna.email)
    anna.page.get_by_role("button", name="Go on").click()
    anna.page.get_by_label("Code").fill(anna.code())
    anna.page.get_by_role("button", name="Confirm").click()
    anna.page.get_by_role("button", name="Make the passkey").wait_for()
    anna.look("sign-up-make-passkey")
    anna.page.get_by_label("Name").press("Enter")
    expect(anna.page.get_by_text("Bring your first statement")).to_be_visible()
    sign_out(anna)
    enter_by_passkey(anna)
    expect(anna.page.get_by_text("Bring your first statement")).to_be_visible()
    assert anna.complaints == []


def test_without_a_password_the_passkey_is_asked_for_again(person):
    anna = person().sign_up()
    give_authenticator(anna)
    add_passkey(anna)
    sign_out(anna)
    enter_by_passkey(anna)
    expect(anna.page.get_by_text("Bring your first statement")).to_be_visible()
    anna.page.goto("/auth/2fa/totp/activate/")
    anna.page.get_by_role("link", name="Use a passkey").click()
    anna.look("prove-passkey")
    anna.page.get_by_role("button", name="Use a passkey").click()
    expect(anna.page.get_by_role("heading", name="Set up an app")).to_be_visible()
    assert anna.complaints == []


def test_a_passkey_that_is_refused_is_told_in_words(person):
    anna = person()
    debugger, authenticator = give_authenticator(anna)
    anna.page.goto("/auth/login/")
    verified = {"authenticatorId": authenticator, "isUserVerified": False}
    debugger.send("WebAuthn.setUserVerified", verified)
    enter_by_passkey(anna)
    expect(anna.page.get_by_role("alert")).to_contain_text("the passkey was not used")
    anna.look("passkey-refused")
    expect(anna.page).to_have_url(re.compile("/auth/login/$"))
    assert anna.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_an_app_is_set_up_and_asked_for(person, width):
    anna = person(width).sign_up()
    anna.page.goto("/auth/2fa/")
    anna.look("two-factor-off")
    anna.page.get_by_role("link", name="Set up an app").click()
    prove(anna)
    anna.page.get_by_text("Cannot scan?").click()
    anna.look("app")
    secret = anna.page.locator(".secret code").inner_text()
    anna.page.get_by_label("Code from the app").fill(code_at(secret))
    anna.page.get_by_role("button", name="Turn on").click()
    codes = anna.page.locator(".recovery-codes code").all_inner_texts()
    assert len(codes) == 10
    with anna.page.expect_download() as saved:
        anna.page.get_by_role("link", name="Save as a file").click()
    assert saved.value.path().read_text().split() == codes
    anna.page.get_by_role("link", name="I have them").click()
    anna.look("two-factor-on")
    sign_out(anna)
    anna.sign_in()
    anna.look("second-step")
    anna.page.get_by_label("Code").fill(codes[0])
    anna.page.get_by_role("button", name="Sign in", exact=True).click()
    expect(anna.page.get_by_text("Bring your first statement")).to_be_visible()
    assert anna.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_device_that_is_signed_out_leaves_its_page(person, width):
    anna = person(width).sign_up()
    elsewhere = person(width)
    elsewhere.email = anna.email
    elsewhere.page.goto("/auth/login/")
    elsewhere.sign_in()
    elsewhere.page.wait_for_url("**/")
    anna.page.goto("/settings/devices/")
    anna.look("devices")
    anna.page.get_by_role("button", name="Sign out Chrome").click()
    expect(anna.page.get_by_text("is signed out.")).to_be_visible()
    elsewhere.page.wait_for_url("**/auth/login/**")
    anna.page.goto("/settings/")
    anna.look("settings")
    for name in ("email", "password/change"):
        anna.page.goto(f"/auth/{name}/")
        anna.look(name.replace("/", "-"))
