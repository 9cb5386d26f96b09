"""Second factors: a code counts once and shortly, seeds are sealed, half a sign-in is none."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection as db_connection
from django.urls import reverse
from django.utils import timezone

from connections.models import Connection
from dashtam.vault import VaultError
from tests.dashtam.doors import (
    add_app,
    code_at,
    come_in,
    enter,
    half_way,
    letters,
    make_person,
    new_browser,
    prove,
    second_step,
    see_codes,
    told,
)
from tests.dashtam.sockets import closed_with, open_socket, runs_async
from tests.test_house import ADDRESSES

pytestmark = pytest.mark.django_db

NEW_RING = "n2:" + "bmV3LWtleS1mb3ItdGhlLXRlc3RzLTMyLWJ5dGVzISE="
SENSITIVE = [
    "/auth/2fa/totp/activate/",
    "/auth/2fa/webauthn/add/",
    "/auth/2fa/recovery-codes/generate/",
]


@pytest.fixture(autouse=True)
def fresh_limits():
    """Limits count by address, and every test has the same."""
    cache.clear()


@pytest.fixture
def clock():
    """A clock that stands still until it is moved, in the middle of a half minute."""
    now = timezone.now().replace(second=10, microsecond=0)
    with time_machine.travel(now, tick=False) as traveller:
        yield traveller


@pytest.fixture
def anna():
    return make_person()


@pytest.fixture
def home(anna, clock):
    """The browser in which anna set up her app."""
    return come_in(anna)


@pytest.fixture
def secret(home, clock):
    """The secret of anna's app, set up a while ago."""
    made = add_app(home)
    clock.shift(timedelta(minutes=5))
    return made


def stored():
    """Everything the database holds of second factors and sessions, as a thief would read it."""
    with db_connection.cursor() as cursor:
        cursor.execute("SELECT data FROM mfa_authenticator")
        return json.dumps([str(row[0]) for row in cursor.fetchall()])


def test_a_sign_in_asks_for_the_code_and_takes_it(anna, secret):
    client = half_way(anna)
    assert client.get("/").status_code == 302
    assert second_step(client, code_at(secret))
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("steps", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_clock_may_be_half_a_minute_off_and_no_more(anna, secret, steps, counts):
    assert second_step(half_way(anna), code_at(secret, steps)) is counts


@pytest.mark.parametrize("later", [0, 29, 31, 45])
def test_a_code_counts_once_for_as_long_as_it_is_valid(anna, secret, clock, later):
    code = code_at(secret, 1)
    assert second_step(half_way(anna), code)
    clock.shift(timedelta(seconds=later))
    cache.clear()  # as in another process
    assert not second_step(half_way(anna), code)


def test_a_code_from_before_the_last_one_is_refused(anna, secret):
    assert second_step(half_way(anna), code_at(secret, 1))
    assert not second_step(half_way(anna), code_at(secret))


@pytest.mark.django_db(transaction=True)
def test_the_code_that_set_up_the_app_is_used_up(anna, home):
    secret = add_app(home)
    assert not second_step(half_way(anna), code_at(secret))


def test_a_wrong_code_is_told_to_the_person(anna, secret):
    assert not second_step(half_way(anna), "000000")
    assert told(anna, "security.login.failed")[0]["device"] == "Firefox on Linux"


def test_codes_are_not_tried_for_ever(anna, secret):
    client = half_way(anna)
    assert not any(second_step(client, f"{n:06}") for n in range(6))
    assert not second_step(client, code_at(secret))


def test_a_recovery_code_lets_in_once(anna, home, secret):
    code = see_codes(home)[0]
    assert second_step(half_way(anna), code)
    assert not second_step(half_way(anna), code)
    assert "9 codes are left" in home.get("/auth/2fa/").content.decode()


def test_recovery_codes_are_shown_once(home):
    add_app(home)
    codes = see_codes(home)
    assert len(set(codes)) == 10
    assert see_codes(home) == []
    assert home.get("/auth/2fa/recovery-codes/download/").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_new_recovery_codes_end_the_old(anna, home, secret):
    old = see_codes(home)[0]
    prove(home)
    home.post("/auth/2fa/recovery-codes/generate/")
    assert not second_step(half_way(anna), old)
    assert second_step(half_way(anna), see_codes(home)[0])
    assert letters("New recovery codes were made") == [anna.email]


def test_no_seed_lies_open_in_the_database(home, clock):
    prove(home)
    page = home.get("/auth/2fa/totp/activate/").content.decode()
    waiting = page.split("<code>")[1][:32]
    assert waiting not in json.dumps(dict(home.session.items()))
    secret = add_app(home)
    assert secret not in stored()
    assert stored().count("v1.t1.") == 2


def test_a_seed_in_the_row_of_somebody_else_does_not_open(anna, secret):
    bert = make_person("bert@example.com")
    mine = Authenticator.objects.get(user=anna, type="totp")
    stolen = Authenticator.objects.create(user=bert, type="totp", data={**mine.data})
    with pytest.raises(VaultError):
        Authenticator.objects.get(pk=stolen.pk).wrap().validate_code(code_at(secret))


def test_seeds_move_to_a_new_key_and_still_count(anna, home, secret, settings):
    codes = see_codes(home)
    settings.DASHTAM_KEYS = f"{NEW_RING},{settings.DASHTAM_KEYS}"
    call_command("rotate_keys")
    settings.DASHTAM_KEYS = NEW_RING
    assert stored().count("v1.n2.") == 2
    assert second_step(half_way(anna), code_at(secret))
    assert second_step(half_way(anna), codes[0])


@pytest.mark.parametrize(("path", "name"), ADDRESSES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_half_a_sign_in_reaches_no_page(anna, secret, path, name, method):
    examples = {"uuid": "0192d1a0-0000-7000-8000-000000000000", "slug": "schwab"}
    values = [examples[kind] for kind in re.findall(r"<(\w+):", path)]
    answer = getattr(half_way(anna), method)(reverse(name, args=values))
    assert (answer.status_code, answer.url.split("?")[0]) == (302, "/auth/login/")


@pytest.mark.django_db(transaction=True)
def test_half_a_sign_in_gets_nothing_from_the_socket(anna, secret):
    @runs_async
    async def refusal(client):
        socket = open_socket(client)
        assert (await socket.connect())[0]
        code = await closed_with(socket)
        await socket.disconnect()
        return code

    assert refusal(half_way(anna)) == 4401


def test_half_a_sign_in_is_over_after_a_quarter_of_an_hour(anna, secret, clock):
    client = half_way(anna)
    clock.shift(timedelta(minutes=16))
    assert not second_step(client, code_at(secret))


@pytest.mark.parametrize("address", [*SENSITIVE, "/auth/2fa/totp/deactivate/"])
def test_what_is_sensitive_asks_for_the_password_again(home, clock, address):
    add_app(home)
    if address == "/auth/2fa/totp/activate/":
        home.post("/auth/2fa/totp/deactivate/")
    assert home.get(address).status_code == 200
    clock.shift(timedelta(minutes=15, seconds=1))
    for answer in (home.get(address), home.post(address)):
        assert answer.url.startswith("/auth/reauthenticate/")


@pytest.mark.parametrize("address", SENSITIVE)
def test_a_sign_in_alone_is_no_proof_for_what_is_sensitive(home, address):
    assert home.get(address).url.startswith("/auth/reauthenticate/")


def test_a_wrong_password_is_no_proof(home):
    assert "Incorrect password" in prove(home, "wrong").content.decode()
    assert home.get(SENSITIVE[0]).url.startswith("/auth/reauthenticate/")


def test_an_app_turned_off_is_told_and_its_codes_go(anna, home, secret):
    prove(home)
    home.post("/auth/2fa/totp/deactivate/")
    assert not Authenticator.objects.filter(user=anna).exists()
    assert letters("Your authenticator app was turned off") == [anna.email]


def test_deleting_what_a_connection_fetched_asks_for_the_password(home, anna, connection):
    Connection.objects.update(user=anna)
    address = f"/connections/{connection.pk}/disconnect/"
    answer = home.post(address, {"fetched": "delete"})
    assert answer.url.startswith("/auth/reauthenticate/")
    assert Connection.objects.exists()
    home.post(answer.url, {"password": "correct horse battery"})
    assert not Connection.objects.exists()


def test_nobody_gets_past_the_password_to_the_second_step(anna, secret):
    client = new_browser()
    assert enter(client, anna, "wrong").status_code == 200
    assert client.get("/auth/2fa/authenticate/").url == "/auth/login/"


def test_a_mail_server_that_is_away_undoes_no_change(anna, home, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    secret = add_app(home)
    assert second_step(half_way(anna), code_at(secret, 1))
