"""Single sign-on: the server is believed about its own people, and takes over nobody's account."""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.core.cache import cache

from dashtam.models import User
from tests.dashtam.doors import (
    add_app,
    code_at,
    come_in,
    letters,
    make_person,
    new_browser,
    prove,
    second_step,
)
from tests.test_house import source_files

pytestmark = pytest.mark.django_db

SERVER = "https://id.example.com"
START = "/auth/oidc/sso/login/"
BACK = "/auth/oidc/sso/login/callback/"
KNOWN = {
    "issuer": SERVER,
    "authorization_endpoint": f"{SERVER}/authorize",
    "token_endpoint": f"{SERVER}/token",
    "userinfo_endpoint": f"{SERVER}/userinfo",
    "jwks_uri": f"{SERVER}/keys",
}
CARLA = {"sub": "c-1", "email": "carla@example.com", "email_verified": True}


@pytest.fixture(autouse=True)
def configured(settings):
    """The operator named a server."""
    cache.clear()
    settings.OIDC_NAME = "Example ID"
    settings.OIDC_SERVER_URL = SERVER
    settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = "dashtam", "a client's secret"


@pytest.fixture
def server():
    """The operator's server; nothing else on the network answers."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        wire.get(f"{SERVER}/.well-known/openid-configuration", json=KNOWN)
        wire.post(f"{SERVER}/token", json={"access_token": "at", "token_type": "Bearer"})
        yield wire


def leave(client, address=START, **data):
    """Press the button; return what the browser is sent to the server with."""
    answer = client.post(address, data)
    there = answer["Refresh"].partition("url=")[2]
    assert there.startswith(f"{SERVER}/authorize?")
    return {key: values[0] for key, values in parse_qs(urlsplit(there).query).items()}


def come_back(client, server, person, **sent):
    """Return from the server as this person."""
    server.get(f"{SERVER}/userinfo", json=person)
    state = leave(client)["state"]
    return client.get(BACK, {"code": "a-code", "state": state, **sent})


def is_in(client):
    return client.get("/").status_code == 200


def test_the_button_is_there_only_when_a_server_is(db, settings):
    assert "Sign in with Example ID" in new_browser().get("/auth/login/").content.decode()
    settings.OIDC_SERVER_URL = ""
    assert "Sign in with Example ID" not in new_browser().get("/auth/login/").content.decode()
    assert new_browser().post(START).status_code == 404
    assert new_browser().get(BACK).status_code == 404


def test_a_new_person_comes_in_without_a_password(server):
    client = new_browser()
    come_back(client, server, CARLA)
    assert is_in(client)
    assert not User.objects.get(email="carla@example.com").has_usable_password()
    assert not SocialToken.objects.exists()


def test_the_second_time_it_is_the_same_person(server):
    for _time in range(2):
        client = new_browser()
        come_back(client, server, CARLA)
        assert is_in(client)
    assert User.objects.count() == 1


def test_the_code_is_bound_to_the_browser_that_asked(server):
    client = new_browser()
    sent = leave(client)
    assert sent["code_challenge_method"] == "S256"
    server.get(f"{SERVER}/userinfo", json=CARLA)
    client.get(BACK, {"code": "a-code", "state": sent["state"]})
    body = parse_qs(next(c.request.body for c in server.calls if c.request.url.endswith("/token")))
    digest = hashlib.sha256(body["code_verifier"][0].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == sent["code_challenge"]


@pytest.mark.parametrize("state", ["", "foreign", "used"])
def test_an_answer_that_nobody_asked_for_sends_no_token_request(server, state):
    client = new_browser()
    real = leave(client)["state"]
    server.get(f"{SERVER}/userinfo", json=CARLA)
    if state == "used":
        client.get(BACK, {"code": "a-code", "state": real})
        client.post("/auth/logout/")
        server.calls.reset()
    sent = {"": {}, "foreign": {"state": leave(new_browser())["state"]}, "used": {"state": real}}
    answer = client.get(BACK, {"code": "a-code", **sent[state]})
    assert "did not work" in answer.content.decode()
    assert not [call for call in server.calls if call.request.url.endswith("/token")]
    assert not is_in(client)


@pytest.mark.parametrize("verified", [True, False, None, "true", "false"])
def test_nobody_gets_into_an_account_that_is_here_by_its_address(server, verified):
    anna = make_person()
    client = new_browser()
    come_back(client, server, {"sub": "x", "email": anna.email, "email_verified": verified})
    assert not is_in(client)
    assert not SocialAccount.objects.exists()
    assert User.objects.count() == 1


@pytest.mark.parametrize("verified", [False, None, "false", "true", 1])
def test_an_address_that_is_not_plainly_confirmed_gets_our_own_code(server, verified):
    client = new_browser()
    answer = come_back(client, server, {**CARLA, "email_verified": verified})
    assert answer.url == "/auth/confirm-email/"
    assert not is_in(client)
    assert not EmailAddress.objects.filter(verified=True).exists()
    assert letters("Confirm your e-mail address") == ["carla@example.com"]


def test_sign_up_that_is_closed_is_closed_here_too(server, settings):
    settings.SIGN_UP_OPEN = False
    answer = come_back(new_browser(), server, CARLA)
    assert "takes no new accounts" in answer.content.decode()
    assert not User.objects.exists()


@pytest.fixture
def linked(server):
    """Anna's browser, after she linked her account."""
    anna = make_person()
    home = come_in(anna)
    prove(home)
    sent = leave(home, f"{START}?process=connect", process="connect")
    server.get(f"{SERVER}/userinfo", json={**CARLA, "sub": "a-1"})
    home.get(BACK, {"code": "a-code", "state": sent["state"]})
    assert SocialAccount.objects.get().user == anna
    return home


def test_who_signed_in_here_may_link_and_then_comes_in_from_there(server, linked):
    client = new_browser()
    come_back(client, server, {**CARLA, "sub": "a-1"})
    assert client.get("/").context["user"].email == "anna@example.com"
    assert letters("Single sign-on was linked") == ["anna@example.com"]


def test_linking_asks_for_the_password_first(server):
    home = come_in(make_person())
    sent = leave(home, f"{START}?process=connect", process="connect")
    server.get(f"{SERVER}/userinfo", json=CARLA)
    answer = home.get(BACK, {"code": "a-code", "state": sent["state"]})
    assert answer.url == "/auth/reauthenticate/"
    assert not SocialAccount.objects.exists()
    prove(home)
    assert SocialAccount.objects.exists()


def test_what_is_linked_can_be_unlinked(linked):
    assert "Linked with Example ID" in linked.get("/auth/3rdparty/").content.decode()
    form = {"account": SocialAccount.objects.get().pk}
    linked.post("/auth/3rdparty/", form)
    assert not SocialAccount.objects.exists()
    assert "Link with Example ID" in linked.get("/auth/3rdparty/").content.decode()
    assert letters("Single sign-on was unlinked") == ["anna@example.com"]


@pytest.mark.django_db(transaction=True)
def test_the_second_step_is_asked_for_here_all_the_same(server, linked):
    secret = add_app(linked)
    client = new_browser()
    answer = come_back(client, server, {**CARLA, "sub": "a-1"})
    assert answer.url == "/auth/2fa/authenticate/"
    assert not is_in(client)
    assert second_step(client, code_at(secret, 1))


def test_a_page_of_another_site_starts_nothing(server):
    client = new_browser(enforce_csrf_checks=True)
    assert client.post(START).status_code == 403
    assert "Refresh" not in client.get(START).headers


def break_off(server):
    server.replace(
        "GET", f"{SERVER}/.well-known/openid-configuration", body=requests.ConnectionError("away")
    )


def answer_nonsense(server):
    server.replace("GET", f"{SERVER}/.well-known/openid-configuration", json={"issuer": SERVER})


def lead_away(server):
    away = {"Location": "https://evil.example/"}
    server.replace(
        "GET", f"{SERVER}/.well-known/openid-configuration", status=302, headers=away, json=[]
    )


def name_an_open_address(server):
    open_token = {**KNOWN, "token_endpoint": "http://id.example.com/token"}
    server.replace("GET", f"{SERVER}/.well-known/openid-configuration", json=open_token)


@pytest.mark.parametrize("broken", [break_off, answer_nonsense, lead_away])
def test_a_server_that_is_away_or_talks_nonsense_is_told_in_words(server, broken):
    broken(server)
    answer = new_browser().post(START)
    assert "did not work" in answer.content.decode()
    assert answer.status_code == 502


def test_a_secret_is_sent_to_no_address_that_is_not_encrypted(server):
    client = new_browser()
    name_an_open_address(server)
    answer = come_back(client, server, CARLA)
    assert "did not work" in answer.content.decode()
    assert not [call for call in server.calls if call.request.url.startswith("http:")]


@pytest.mark.parametrize("person", [{}, {"email": "x@example.com"}, [], None, "text"])
def test_a_person_without_a_number_is_nobody(server, person):
    client = new_browser()
    answer = come_back(client, server, person)
    assert "did not work" in answer.content.decode()
    assert not User.objects.exists()


def test_turning_back_there_is_told_so(server):
    client = new_browser()
    state = leave(client)["state"]
    answer = client.get(BACK, {"error": "access_denied", "state": state}, follow=True)
    assert "You turned back" in answer.content.decode()


def test_requests_is_used_for_this_alone():
    pattern = re.compile(r"^\s*(import|from) requests", re.MULTILINE)
    users = [path for path in source_files() if pattern.search(path.read_text())]
    assert [path.name for path in users] == ["single_sign_on.py"]
