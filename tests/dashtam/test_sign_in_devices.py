"""Devices: where somebody is signed in, ending that from elsewhere, and what is told of it."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from django.db import connection as db_connection
from django.http import HttpResponse
from django.utils import timezone

from dashtam import live
from dashtam.devices import LISTED, DevicesMiddleware, device_words, failed
from dashtam.events import last_sequence
from tests.dashtam.doors import (
    IPHONE,
    come_in,
    enter,
    letters,
    make_person,
    new_browser,
    prove,
    told,
)
from tests.dashtam.sockets import closed_with, following, in_database, runs_async, tell
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "another long sentence"
NEW_DEVICE = "A new device signed in"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"


@pytest.fixture(autouse=True)
def fresh_limits():
    """Limits count by address, and every test has the same."""
    cache.clear()


@pytest.fixture
def anna():
    return make_person()


@pytest.fixture
def home(anna):
    """The browser anna sits in front of."""
    return come_in(anna)


@pytest.fixture
def phone(anna, home):
    """Anna's phone, signed in as well."""
    return come_in(anna, IPHONE)


@pytest.fixture
def quick(monkeypatch):
    """Sessions are checked often, so that tests do not wait for the clock."""
    monkeypatch.setattr(live, "SESSION_CHECK_SECONDS", 0.1)


def is_in(client):
    return client.get("/").status_code == 200


def row_of(client):
    return UserSession.objects.get(session_key=client.session.session_key)


def end(client, other):
    return client.post("/settings/devices/end/", {"session": row_of(other).pk})


def change_password(client):
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    answer = client.post("/auth/password/change/", form)
    assert answer.status_code == 302, answer.content


def test_the_list_names_every_device_and_this_one(home, phone):
    page = home.get("/settings/devices/").content.decode()
    assert page.index("Firefox on Linux") < page.index("Safari on iPhone")
    assert page.count("This device") == 1
    assert "127.0.0.1" in page


def test_no_page_shows_what_signs_in(home, phone):
    page = home.get("/settings/devices/").content.decode()
    keys = (home.session.session_key, phone.session.session_key)
    assert not [key for key in keys if key in page]


def test_one_device_is_signed_out_from_another(anna, home, phone):
    ended = row_of(phone)
    assert end(home, phone).url == "/settings/devices/"
    assert (is_in(home), is_in(phone)) == (True, False)
    (payload,) = told(anna, "security.session.revoked")
    assert payload["device"] == "Safari on iPhone"
    assert ended.session_key not in str(payload)


def test_all_others_are_signed_out_at_once(anna, home, phone):
    tablet = come_in(anna, CHROME)
    home.post("/settings/devices/end-others/")
    assert [is_in(one) for one in (home, phone, tablet)] == [True, False, False]
    assert len(told(anna, "security.session.revoked")) == 2


@pytest.mark.parametrize("number", ["", "x", "-1", "9" * 40, "9" * 5000, "0"])
def test_a_device_that_is_none_is_not_found(home, number):
    assert home.post("/settings/devices/end/", {"session": number}).status_code == 404


def test_bert_cannot_sign_anna_out(home):
    bert = come_in(make_person("bert@example.com"))
    assert end(bert, home).status_code == 404
    bert.post("/settings/devices/end-others/")
    assert is_in(home)


@runs_async
async def code_after(client, since, ending):
    """The code the socket closes with, and nothing before it."""
    async with following(client, since) as socket:
        await in_database(ending)()
        return await closed_with(socket)


def deactivate(user):
    user.is_active = False
    user.save()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["one", "others", "password", "itself", "deactivated"])
def test_ending_a_session_closes_its_socket(anna, home, phone, quick, how):
    ways = {
        "one": lambda: end(home, phone),
        "others": lambda: home.post("/settings/devices/end-others/"),
        "password": lambda: change_password(home),
        "itself": lambda: phone.post("/auth/logout/"),
        "deactivated": lambda: deactivate(anna),
    }

    def end_and_tell():
        ways[how]()
        tell(anna)

    assert code_after(phone, last_sequence(anna.pk), end_and_tell) == 4401
    assert not is_in(phone)


@pytest.mark.django_db(transaction=True)
def test_a_changed_password_keeps_this_device_and_ends_the_others(anna, home, phone):
    change_password(home)
    assert (is_in(home), is_in(phone)) == (True, False)
    assert [one["device"] for one in told(anna, "security.session.revoked")] == ["Safari on iPhone"]
    assert told(anna, "security.password.changed")[0]["device"] == "Firefox on Linux"
    assert letters("Your password was changed") == [anna.email]
    assert home.get("/settings/devices/").content.decode().count('class="list-item"') == 1


def test_a_new_device_gets_a_letter_and_a_known_one_does_not(anna, home):
    assert letters(NEW_DEVICE) == [anna.email]
    home.post("/auth/logout/")
    enter(home, anna)
    assert is_in(home)
    assert letters(NEW_DEVICE) == [anna.email]
    come_in(anna, IPHONE)
    assert len(letters(NEW_DEVICE)) == 2
    assert len(told(anna, "security.session.new")) == 3


def test_a_device_known_to_one_person_is_new_to_another(home):
    bert = make_person("bert@example.com")
    home.post("/auth/logout/")
    enter(home, bert)
    assert letters(NEW_DEVICE)[-1] == bert.email


def test_a_made_up_cookie_makes_no_device_known(anna):
    client = new_browser()
    client.cookies["known"] = "W10:forged:signature"
    enter(client, anna)
    assert letters(NEW_DEVICE) == [anna.email]


def test_last_seen_moves_but_not_with_every_page(home):
    start = row_of(home).last_seen_at
    with time_machine.travel(timezone.now() + timedelta(minutes=10)):
        cache.clear()
        home.get("/")
        first = row_of(home).last_seen_at
        home.get("/")
    assert first > start
    assert row_of(home).last_seen_at == first


def test_a_session_from_before_the_list_is_on_it_after_one_page(home, phone):
    row_of(phone).delete()
    session = phone.session
    del session[LISTED]
    session.save()
    phone.get("/")
    assert "Safari on iPhone" in home.get("/settings/devices/").content.decode()


def test_a_page_costs_no_statement_for_the_list_of_devices(home, django_assert_num_queries):
    home.get("/settings/")
    with django_assert_num_queries(3):  # the session, the person, the feed's last number
        home.get("/settings/")


def test_a_failed_sign_in_is_told_to_whom_it_concerns(anna, client):
    enter(new_browser(), anna, "wrong")
    (payload,) = told(anna, "security.login.failed")
    assert (payload["device"], payload["ip"]) == ("Firefox on Linux", "127.0.0.1")


def test_it_is_written_after_the_answer_so_that_its_time_tells_nothing(anna, rf):
    def wrong_password(request):
        failed(request, anna)
        return HttpResponse()

    request = rf.post("/auth/login/")
    request.user, request.session = AnonymousUser(), SessionStore()
    response = DevicesMiddleware(wrong_password)(request)
    assert told(anna, "security.login.failed") == []
    for finish in response._resource_closers:
        finish()
    assert len(told(anna, "security.login.failed")) == 1


def test_a_failed_sign_in_for_nobody_goes_to_the_log_without_the_address(db, caplog):
    caplog.set_level(logging.INFO)
    new_browser().post("/auth/login/", {"login": "nobody@example.com", "password": "wrong"})
    assert "A sign-in failed for an address that nobody here has." in caplog.text
    assert "nobody@example.com" not in caplog.text


def test_the_answer_to_a_failed_sign_in_does_not_tell_who_is_here(anna):
    texts = set()
    for email in (anna.email, "nobody@example.com"):
        page = new_browser().post("/auth/login/", {"login": email, "password": "wrong"})
        errors = page.context["form"].errors.as_json()
        texts.add((page.status_code, errors))
    assert len(texts) == 1


@pytest.mark.django_db(transaction=True)
def test_many_clients_with_forged_addresses_get_no_more_tries_than_one(anna):
    def try_five(client_number):
        forged = {"x-forwarded-for": f"203.0.113.{client_number}"}
        client = new_browser()
        pages = [
            client.post(
                "/auth/login/", {"login": anna.email, "password": f"wrong{n}"}, headers=forged
            )
            for n in range(5)
        ]
        db_connection.close()
        return sum("not correct" in page.content.decode() for page in pages)

    with ThreadPoolExecutor(8) as pool:
        tried = sum(pool.map(try_five, range(8)))
    assert 1 <= tried <= 5
    assert len(told(anna, "security.login.failed")) == tried


def test_an_address_changes_only_with_its_code_and_both_are_told(anna, home, mailoutbox):
    assert home.post("/auth/email/", {"action_add": "", "email": "new@example.com"}).url.startswith(
        "/auth/reauthenticate/"
    )
    prove(home)
    home.post("/auth/email/", {"action_add": "", "email": "new@example.com"})
    anna.refresh_from_db()
    assert anna.email == "anna@example.com"
    code = mailoutbox[-1].body.split("left open:")[1].split()[0]
    home.post("/auth/confirm-email/", {"code": code})
    anna.refresh_from_db()
    assert anna.email == "new@example.com"
    assert letters("Your e-mail address was changed") == ["anna@example.com"]


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (CHROME, "Chrome on Windows"),
        (CHROME + " Edg/140.0", "Edge on Windows"),
        (IPHONE, "Safari on iPhone"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown device"),
        ("<script>alert(1)</script>", "Unknown device"),
    ],
)
def test_a_device_has_a_name_people_know(user_agent, words):
    assert device_words(user_agent) == words
