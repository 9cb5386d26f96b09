"""Passkeys: they let in from our pages only, and prove somebody who has no password."""

from __future__ import annotations

import json

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from fido2.webauthn import AuthenticatorData

from dashtam.models import User
from tests.dashtam import passkeys
from tests.dashtam.doors import (
    add_app,
    come_in,
    half_way,
    letters,
    make_person,
    new_browser,
    prove,
    told,
)
from tests.dashtam.passkeys import (
    Passkey,
    add_passkey,
    ask_for_passkey,
    enter_by_passkey,
    options_of,
)

pytestmark = pytest.mark.django_db

FOREIGN = [
    "http://evil.example", "https://localhost", "http://localhost:8001", "http://sub.localhost",
    "http://localhost.evil.example", "null", "",
]  # fmt: skip


@pytest.fixture(autouse=True)
def fresh_limits():
    """Limits count by address, and every test has the same."""
    cache.clear()


@pytest.fixture
def anna():
    return make_person()


@pytest.fixture
def home(anna):
    """A browser in which anna proved herself."""
    client = come_in(anna)
    prove(client)
    return client


@pytest.fixture
def passkey(home):
    """Anna's passkey."""
    made = Passkey()
    assert add_passkey(home, made).url == "/auth/2fa/recovery-codes/"
    return made


def is_in(client):
    return client.get("/").status_code == 200


def test_a_passkey_lets_in_without_saying_who_one_is(anna, passkey):
    client = new_browser()
    assert enter_by_passkey(client, passkey).url == "/"
    assert client.get("/").context["user"] == anna


def test_it_leads_where_the_person_wanted_to_go(passkey):
    client = new_browser()
    credential = passkey.get(ask_for_passkey(client))
    form = {"credential": credential, "next": "/imports/"}
    assert client.post("/auth/2fa/webauthn/login/", form).url == "/imports/"


def test_it_leads_to_no_other_site(passkey):
    client = new_browser()
    credential = passkey.get(ask_for_passkey(client))
    form = {"credential": credential, "next": "https://evil.example/"}
    assert client.post("/auth/2fa/webauthn/login/", form).url == "/"


@pytest.mark.parametrize("origin", FOREIGN)
def test_an_answer_from_another_page_lets_nobody_in(passkey, origin):
    client = new_browser()
    enter_by_passkey(client, passkey, origin=origin)
    assert not is_in(client)


def test_an_answer_from_within_a_foreign_frame_lets_nobody_in(passkey):
    client = new_browser()
    enter_by_passkey(client, passkey, cross_origin=True)
    assert not is_in(client)


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_passkey_made_on_another_page_is_not_kept(home, origin):
    assert add_passkey(home, Passkey(), origin=origin).status_code == 200
    assert not Authenticator.objects.exists()


def test_an_answer_counts_once_and_in_its_own_session_only(passkey):
    client, thief = new_browser(), new_browser()
    credential = passkey.get(ask_for_passkey(client))
    ask_for_passkey(thief)
    thief.post("/auth/2fa/webauthn/login/", {"credential": credential})
    assert not is_in(thief)
    client.post("/auth/2fa/webauthn/login/", {"credential": credential})
    assert is_in(client)
    client.post("/auth/logout/")
    client.post("/auth/2fa/webauthn/login/", {"credential": credential})
    assert not is_in(client)


def test_a_passkey_that_nobody_has_lets_nobody_in(anna, passkey):
    stranger = Passkey()
    stranger.user_handle = passkey.user_handle
    client = new_browser()
    enter_by_passkey(client, stranger)
    assert not is_in(client)


@pytest.mark.parametrize(
    "credential", ["", "x", "null", "[]", "{}", "7", '{"response": 1}', '{"response": {}}',
    json.dumps({"id": "AA", "rawId": "AA", "response": {"clientDataJSON": "!!"}}),
    json.dumps({"id": "AA", "rawId": "AA", "response": {"clientDataJSON": "e30", "userHandle": 3}}),
])  # fmt: skip
def test_what_is_no_answer_is_refused(passkey, credential):
    client = new_browser()
    ask_for_passkey(client)
    answer = client.post("/auth/2fa/webauthn/login/", {"credential": credential})
    assert answer.url == "/auth/login/"
    assert not is_in(client)


def test_it_is_the_second_step_after_a_password(anna, passkey):
    client = half_way(anna)
    page = client.get("/auth/2fa/authenticate/").content.decode()
    credential = passkey.get(options_of(page, "request_options"))
    client.post("/auth/2fa/authenticate/", {"credential": credential})
    assert is_in(client)


def test_somebody_elses_passkey_is_no_second_step(anna, passkey):
    bert = make_person("bert@example.com")
    his, browser = Passkey(), come_in(bert)
    prove(browser)
    add_passkey(browser, his)
    client = half_way(anna)
    page = client.get("/auth/2fa/authenticate/").content.decode()
    credential = his.get(options_of(page, "request_options"))
    client.post("/auth/2fa/authenticate/", {"credential": credential})
    assert not is_in(client)


def test_who_is_switched_off_is_not_let_in(anna, passkey):
    User.objects.update(is_active=False)
    client = new_browser()
    assert enter_by_passkey(client, passkey).url == "/auth/inactive/"
    assert not is_in(client)


def test_without_a_password_a_passkey_is_the_proof(anna, home, passkey):
    anna.set_unusable_password()
    anna.save()
    client = new_browser()
    enter_by_passkey(client, passkey)
    asked = client.get("/auth/2fa/totp/activate/")
    assert asked.url.startswith("/auth/2fa/webauthn/reauthenticate/")
    page = client.get(asked.url).content.decode()
    credential = passkey.get(options_of(page, "request_options"))
    client.post("/auth/2fa/webauthn/reauthenticate/", {"credential": credential})
    assert client.get("/auth/2fa/totp/activate/").status_code == 200


def test_a_passkey_is_renamed_and_removed(anna, home, passkey):
    pk = Authenticator.objects.get(type="webauthn").pk
    home.post(f"/auth/2fa/webauthn/keys/{pk}/edit/", {"name": "Blue key"})
    assert "Blue key" in home.get("/auth/2fa/webauthn/").content.decode()
    home.post(f"/auth/2fa/webauthn/keys/{pk}/remove/")
    assert not Authenticator.objects.exists()
    assert letters("A passkey was added") == letters("A passkey was removed") == [anna.email]


@pytest.mark.parametrize("act", ["edit", "remove"])
def test_bert_finds_no_passkey_of_annas(passkey, act):
    bert = come_in(make_person("bert@example.com"))
    prove(bert)
    pk = Authenticator.objects.get(type="webauthn").pk
    for method in (bert.get, bert.post):
        assert method(f"/auth/2fa/webauthn/keys/{pk}/{act}/", {"name": "x"}).status_code == 404
    assert Authenticator.objects.get(pk=pk).wrap().name == "My key"


def test_a_person_with_an_app_may_still_come_by_passkey_alone(home, passkey, anna):
    home.post("/auth/2fa/recovery-codes/generate/")
    Authenticator.objects.filter(type="recovery_codes").delete()
    add_app(home)
    client = new_browser()
    enter_by_passkey(client, passkey)
    assert is_in(client)


@pytest.fixture
def newcomer(db, mailoutbox):
    """A browser whose person gave an address and entered its code."""
    client = new_browser()
    client.post("/auth/signup/passkey/", {"email": "new@example.com"})
    code = mailoutbox[-1].body.split("left open:")[1].split()[0]
    answer = client.post("/auth/confirm-email/", {"code": code})
    assert answer.url == "/auth/2fa/webauthn/signup/"
    return client


def test_somebody_signs_up_with_a_passkey_and_no_password(newcomer):
    page = newcomer.get("/auth/2fa/webauthn/signup/").content.decode()
    passkey = Passkey()
    credential = passkey.create(options_of(page, "creation_options"))
    newcomer.post("/auth/2fa/webauthn/signup/", {"name": "", "credential": credential})
    user = User.objects.get(email="new@example.com")
    assert is_in(newcomer)
    assert not user.has_usable_password()
    client = new_browser()
    enter_by_passkey(client, passkey)
    assert is_in(client)
    assert len(told(user, "security.session.new")) == 2


def test_before_the_passkey_is_made_nobody_is_in(newcomer):
    assert not is_in(newcomer)


def test_sign_up_by_passkey_is_closed_with_the_other(db, settings):
    settings.SIGN_UP_OPEN = False
    page = new_browser().get("/auth/signup/passkey/").content.decode()
    assert "takes no new accounts" in page


def key_as_second_step(client):
    """A security key that says that it is there, and not who holds it."""
    key = Passkey()
    page = client.get("/auth/2fa/webauthn/add/").content.decode()
    credential = key.create(options_of(page, "creation_options"))
    client.post("/auth/2fa/webauthn/add/", {"name": "Key", "credential": credential})
    return key


def test_a_found_key_does_not_answer_the_question_of_anothers_second_step(anna, monkeypatch):
    monkeypatch.setattr(passkeys, "FLAGS", AuthenticatorData.FLAG.UP)
    homes = [come_in(person) for person in (anna, make_person("thief@example.com"))]
    for home in homes:
        prove(home)
    found, _own = map(key_as_second_step, homes)
    thief = half_way(User.objects.get(email="thief@example.com"))
    page = thief.get("/auth/2fa/authenticate/").content.decode()
    answer = found.get(options_of(page, "request_options"))
    # The half sign-in is let go; what was asked stays in the session.
    thief.post("/auth/logout/")
    thief.post("/auth/2fa/webauthn/login/", {"credential": answer})
    assert thief.get("/").status_code == 302
