"""Every way back that is not exactly the one that was opened is 400, and asks for no token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.test import Client
from django.utils.timezone import now

from connections.models import Connection, OAuthState
from tests.connections.journeys import CALLBACK, OAUTH, agree, set_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from connections.sandbox.bank import Bank
    from dashtam.models import User

STRICT_CALLBACK = "/oauth/strict_bank/callback"


@dataclass
class Way:
    """Alice has agreed at her bank; `query` is what she would come back with."""

    browser: Client
    bank: Bank
    alice: User
    bob: User
    query: dict[str, str]

    def back(self, browser: Client | None = None, callback: str = CALLBACK, **changed: str) -> Any:
        """Come back with the query, changed."""
        query = {**self.query, **changed}
        return (browser or self.browser).get(f"{callback}?{urlencode(query)}")


def missing_state(way: Way) -> Any:
    del way.query["state"]
    return way.back()


def foreign_state(way: Way) -> Any:
    return way.back(state="A" * 43)


def replayed_state(way: Way) -> Any:
    way.back(error="access_denied")
    return way.back()


def expired_state(way: Way) -> Any:
    OAuthState.objects.update(expires_at=now() - timedelta(seconds=1))
    return way.back()


def other_provider(way: Way) -> Any:
    return way.back(callback=STRICT_CALLBACK, iss="https://strict.test")


def other_user(way: Way) -> Any:
    browser = Client()
    browser.force_login(way.bob)
    return way.back(browser)


def other_browser(way: Way) -> Any:
    browser = Client()
    browser.force_login(way.alice)
    return way.back(browser)


def signed_out_browser(way: Way) -> Any:
    return way.back(Client())


def attackers_code_in_alices_browser(way: Way) -> Any:
    browser = Client()
    browser.force_login(way.bob)
    theirs = agree(way.bank, set_out(browser), person="nora")
    return way.browser.get(f"{CALLBACK}?{theirs}")


def error_response(way: Way) -> Any:
    return way.back(error="access_denied")


def missing_code(way: Way) -> Any:
    del way.query["code"]
    return way.back()


def repeated_parameter(way: Way) -> Any:
    return way.browser.get(f"{CALLBACK}?{urlencode(way.query)}&code=other")


def unexpected_issuer(way: Way) -> Any:
    return way.back(iss="https://attacker.test")


def strictly(way: Way, **query: str) -> Any:
    address = way.browser.post("/connections/add/strict_bank/").context["address"]
    state = dict(parse_qsl(urlsplit(address).query))["state"]
    return way.browser.get(f"{STRICT_CALLBACK}?{urlencode({'state': state, 'code': 'c', **query})}")


def missing_issuer(way: Way) -> Any:
    return strictly(way)


def wrong_issuer(way: Way) -> Any:
    return strictly(way, iss="https://strict.test.attacker.test")


ATTACKS = [
    missing_state,
    foreign_state,
    replayed_state,
    expired_state,
    other_provider,
    other_user,
    other_browser,
    signed_out_browser,
    attackers_code_in_alices_browser,
    error_response,
    missing_code,
    repeated_parameter,
    unexpected_issuer,
    missing_issuer,
    wrong_issuer,
]


def tokens_asked(bank: Bank) -> list[str]:
    return [one.path for one in bank.requests if one.path.endswith("/token")]


@pytest.fixture
def way(browser, bank, alice, bob, strict) -> Way:
    query = dict(parse_qsl(agree(bank, set_out(browser))))
    return Way(browser, bank, alice, bob, query)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_it_is_refused_and_no_token_is_asked_for(way: Way, attack: Callable[[Way], Any]):
    assert attack(way).status_code == 400
    assert tokens_asked(way.bank) == []
    assert not Connection.objects.exists()


def test_a_code_that_was_used_is_not_asked_about_again(way):
    way.back()
    again = dict(parse_qsl(agree(way.bank, set_out(way.browser))))
    assert way.back(state=again["state"]).status_code == 400
    assert len(tokens_asked(way.bank)) == 1


@pytest.mark.parametrize("verifier", ["", "v1.t1.AAAA", "of another"])
def test_without_its_own_verifier_no_token_is_asked_for(way, strict, verifier):
    strictly(way)
    other = OAuthState.objects.get(provider_slug=OAUTH).verifier
    address = way.browser.post("/connections/add/strict_bank/").context["address"]
    swapped = {"of another": other}.get(verifier, verifier)
    OAuthState.objects.filter(provider_slug=strict.slug).update(verifier=swapped)
    state = dict(parse_qsl(urlsplit(address).query))["state"]
    query = urlencode({"state": state, "code": "c", "iss": "https://strict.test"})
    assert way.browser.get(f"{STRICT_CALLBACK}?{query}").status_code == 400
    assert tokens_asked(way.bank) == []


def test_two_returns_at_once_ask_once(way):
    state = OAuthState.objects.get()
    assert OAuthState.objects.take(state, "mark") is True
    assert OAuthState.objects.take(state, "another") is False


def test_the_honest_way_is_let_through(way):
    assert way.back().status_code == 302
    assert len(tokens_asked(way.bank)) == 1


def test_neither_state_nor_code_nor_verifier_is_stored_in_the_clear(way):
    way.back()
    row = OAuthState.objects.values().get()
    assert way.query["state"] not in str(row)
    assert way.query["code"] not in str(row)


def test_the_provider_is_told_the_challenge_and_never_the_verifier(way, strict):
    address = way.browser.post("/connections/add/strict_bank/").context["address"]
    asked = dict(parse_qsl(urlsplit(address).query))
    row = OAuthState.objects.get(provider_slug=strict.slug)
    assert asked["code_challenge_method"] == "S256"
    assert row.open().reveal() not in address
