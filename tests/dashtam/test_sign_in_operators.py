"""The admin's door: the same as everybody's, and with a second factor where that is asked for."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.urls import reverse

from tests.dashtam.doors import add_app, code_at, come_in, half_way, make_person, prove, second_step
from tests.dashtam.passkeys import Passkey, add_passkey

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def strict(settings):
    """As on a public address."""
    cache.clear()
    settings.ADMIN_NEEDS_SECOND_FACTOR = True


@pytest.fixture
def operator():
    return make_person("op@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def browser(operator):
    """A browser in which the operator signed in with the password alone."""
    return come_in(operator)


def opens(client):
    return client.get("/admin/").status_code == 200


def test_a_stranger_is_led_to_the_sign_in(client):
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0] == "/auth/login/?next=/admin/"


def test_the_admins_own_form_takes_no_password(browser, client, operator):
    form = {"username": operator.email, "password": "correct horse battery"}
    assert client.post("/admin/login/", form).url.startswith("/auth/login/")
    assert browser.post("/admin/login/", form).status_code == 403
    assert not opens(client)


def test_a_password_alone_opens_nothing_and_says_what_to_do(browser):
    answer = browser.get("/admin/", follow=True)
    assert answer.status_code == 403
    page = answer.content.decode()
    assert "needs a second factor" in page
    assert reverse("mfa_activate_totp") in page


def test_setting_up_an_app_opens_it_at_once(browser):
    add_app(browser)
    assert opens(browser)


def test_setting_up_a_passkey_opens_it_at_once(browser):
    prove(browser)
    add_passkey(browser, Passkey())
    assert opens(browser)


def test_a_sign_in_with_the_second_step_opens_it(browser, operator):
    secret = add_app(browser)
    client = half_way(operator)
    assert second_step(client, code_at(secret, 1))
    assert opens(client)


def test_a_session_from_before_the_factor_has_to_show_it(browser, operator):
    older = come_in(operator)
    secret = add_app(browser)
    asked = older.get("/admin/", follow=True).redirect_chain[-1][0]
    assert asked == "/auth/2fa/reauthenticate/?next=%2Fadmin%2F"
    form = {"code": code_at(secret, 1), "next": "/admin/"}
    assert older.post("/auth/2fa/reauthenticate/", form).url == "/admin/"
    assert opens(older)


def test_without_the_factor_it_closes_again(browser):
    add_app(browser)
    browser.post("/auth/2fa/totp/deactivate/")
    assert not opens(browser)


def test_no_page_of_the_admin_is_forgotten(browser):
    for name in ("admin:dashtam_user_changelist", "admin:dashtam_event_changelist", "admin:jsi18n"):
        answer = browser.get(reverse(name))
        assert answer.status_code == 302, name


def test_the_password_is_changed_where_it_is_told(browser):
    add_app(browser)
    assert browser.get("/admin/password_change/").url == "/auth/password/change/"


def test_a_factor_can_be_taken_away_but_not_read(browser, operator):
    add_app(browser)
    made = Authenticator.objects.get(type="totp")
    address = reverse("admin:mfa_authenticator_change", args=[made.pk])
    assert "v1.t1." not in browser.get(address).content.decode()
    browser.post(reverse("admin:mfa_authenticator_delete", args=[made.pk]), {"post": "yes"})
    assert not Authenticator.objects.filter(pk=made.pk).exists()


def test_the_list_of_sessions_shows_no_key(browser):
    add_app(browser)
    page = browser.get(reverse("admin:usersessions_usersession_changelist")).content.decode()
    assert "Firefox" in page
    assert browser.session.session_key not in page


def test_a_person_who_is_no_operator_is_turned_away():
    anna = come_in(make_person())
    assert anna.get("/admin/", follow=True).status_code == 403


def test_on_ones_own_machine_a_password_is_enough(browser, settings):
    settings.ADMIN_NEEDS_SECOND_FACTOR = False
    assert opens(browser)
