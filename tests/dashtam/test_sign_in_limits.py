"""Passwords are not to be guessed: neither one person's by many, nor many people's by one."""

import pytest
from django.core.cache import cache

from dashtam import settings as dashtam_settings
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db

TRIES_AT_A_PERSON = 5
TRIES_OF_A_CLIENT = 10


@pytest.fixture(autouse=True)
def nobody_has_tried():
    cache.clear()
    yield
    cache.clear()


def sign_in(client, user, password, **headers):
    """Whether that let them in (a code may be asked for next, since the address is unverified)."""
    response = client.post("/auth/login/", {"login": user.email, "password": password}, **headers)
    return response.status_code == 302


def test_the_right_password_is_right(client, alice):
    assert sign_in(client, alice, PASSWORD)


def test_after_some_wrong_ones_the_right_one_is_not_taken_either(client, alice):
    for _ in range(TRIES_AT_A_PERSON):
        assert not sign_in(client, alice, "wrong")
    assert not sign_in(client, alice, PASSWORD)


@pytest.mark.parametrize("claimed", ["", "10.0.0.{}, "])
def test_a_client_that_tries_many_people_is_stopped_whatever_address_it_claims(
    client, settings, claimed
):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for n in range(TRIES_OF_A_CLIENT):
        forwarded = f"{claimed.format(n)}198.51.100.7"
        assert not sign_in(client, make_user(), "wrong", HTTP_X_FORWARDED_FOR=forwarded)
    forwarded = f"{claimed.format(99)}198.51.100.7"
    assert not sign_in(client, make_user(), PASSWORD, HTTP_X_FORWARDED_FOR=forwarded)
    assert sign_in(client, make_user(), PASSWORD, HTTP_X_FORWARDED_FOR="198.51.100.8")


def test_without_a_proxy_the_header_is_nobodys_word(client, settings):
    assert dashtam_settings.ALLAUTH_TRUSTED_PROXY_COUNT == 0
    for n in range(TRIES_OF_A_CLIENT):
        sign_in(client, make_user(), "wrong", HTTP_X_FORWARDED_FOR=f"10.0.0.{n}")
    assert not sign_in(client, make_user(), PASSWORD, HTTP_X_FORWARDED_FOR="10.0.0.99")
