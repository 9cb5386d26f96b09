"""Connecting at the provider's own page, and what becomes of it when things go otherwise."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from connections.connecting import open_provider
from connections.models import Connection, OAuthState
from connections.sandbox.faults import Fault
from connections.types import ConnectionStatus
from dashtam.models import Event
from tests import factories
from tests.connections.journeys import (
    CALLBACK,
    OAUTH,
    TOKENS,
    agree,
    connect,
    set_out,
    token_requests,
)

ACCOUNTS = f"/{OAUTH}/trader/v1/accounts*"


def come_back(browser, query):
    return browser.get(f"{CALLBACK}?{query}", follow=True).content.decode()


def test_who_agrees_is_connected(browser, bank, alice):
    made = connect(browser, bank)
    assert made.status == ConnectionStatus.ACTIVE
    assert made.credentials_expires_at
    assert made.credentials_expires_at > now() + timedelta(days=6)
    assert [event.name for event in Event.objects.filter(user=alice)] == ["provider.connected"]


def test_what_was_agreed_to_can_be_read(browser, bank):
    made = connect(browser, bank, person="nora")
    with open_provider(made) as reached:
        assert len(list(reached.accounts())) == 3


def test_the_address_asks_for_a_code_to_the_registered_place(browser, bank):
    address = set_out(browser)
    assert address.startswith(f"{bank.url}/{OAUTH}/v1/oauth/authorize?response_type=code&")
    assert "redirect_uri=http%3A%2F%2Flocalhost%3A8000%2Foauth%2Fschwab%2Fcallback&" in address


def test_the_page_that_leads_away_is_no_redirect(browser, bank):
    response = browser.post(f"/connections/add/{OAUTH}/")
    assert response.status_code == 200
    assert response["Refresh"] == f"0; url={response.context['address']}"


def test_looking_at_the_page_opens_no_way_back(browser, bank):
    browser.get(f"/connections/add/{OAUTH}/")
    assert not OAuthState.objects.exists()


def test_who_says_no_is_told_so_kindly(browser, bank):
    query = agree(bank, set_out(browser), decision="deny")
    response = browser.get(f"{CALLBACK}?{query}")
    assert response.status_code == 400
    assert "You said no" in response.content.decode()


def test_a_bank_that_is_down_at_the_exchange_leaves_nothing(browser, bank):
    query = agree(bank, set_out(browser))
    bank.faults.add(TOKENS, Fault.UNAVAILABLE)
    assert "does not answer" in come_back(browser, query)
    assert token_requests(bank) == 1
    assert not Connection.objects.exists()


def test_a_code_the_bank_refuses_is_said(browser, bank):
    query = agree(bank, set_out(browser))
    bank.clock.advance(minutes=1)
    assert "Start again" in come_back(browser, query)
    assert not Connection.objects.exists()


def test_tokens_are_kept_before_anything_else_is_asked(browser, bank):
    query = agree(bank, set_out(browser))
    bank.faults.add(ACCOUNTS, Fault.UNAVAILABLE, times=3)
    assert "does not answer" in come_back(browser, query)
    kept = Connection.objects.get()
    assert kept.status == ConnectionStatus.PENDING
    assert set(kept.open()) >= {"access_token", "refresh_token"}


def test_what_was_left_unfinished_is_finished_without_signing_in_again(browser, bank):
    query = agree(bank, set_out(browser))
    bank.faults.add(ACCOUNTS, Fault.UNAVAILABLE, times=3)
    come_back(browser, query)
    pending = Connection.objects.get()
    browser.post(f"/connections/{pending.pk}/complete/")
    assert Connection.objects.get().status == ConnectionStatus.ACTIVE


def test_an_attempt_to_finish_that_fails_too_changes_nothing(browser, bank):
    query = agree(bank, set_out(browser))
    bank.faults.add(ACCOUNTS, Fault.UNAVAILABLE, times=6)
    come_back(browser, query)
    pending = Connection.objects.get()
    response = browser.post(f"/connections/{pending.pk}/complete/", follow=True)
    assert "does not answer" in response.content.decode()
    assert Connection.objects.get().status == ConnectionStatus.PENDING


def test_tokens_that_open_nothing_are_a_failed_connection(browser, bank):
    query = agree(bank, set_out(browser))
    bank.faults.add(ACCOUNTS, Fault.UNAUTHORIZED)
    assert "did not accept this sign-in" in come_back(browser, query)
    assert Connection.objects.get().status == ConnectionStatus.FAILED


def test_signing_in_again_repairs_in_place(browser, bank):
    made = connect(browser, bank)
    Connection.objects.update(status="expired", status_reason="consent_ended")
    query = agree(bank, set_out(browser, reconnecting=made.pk))
    come_back(browser, query)
    assert Connection.objects.get().pk == made.pk
    assert Connection.objects.get().status == ConnectionStatus.ACTIVE


def test_signing_in_as_somebody_else_leaves_the_first_login_alone(browser, bank):
    made = connect(browser, bank)
    kept = Connection.objects.get().credentials
    come_back(browser, agree(bank, set_out(browser, reconnecting=made.pk), person="nora"))
    assert Connection.objects.count() == 2
    assert Connection.objects.get(pk=made.pk).credentials == kept


def test_a_refused_repair_leaves_no_second_connection(browser, bank):
    made = connect(browser, bank)
    query = agree(bank, set_out(browser, reconnecting=made.pk))
    bank.faults.add(ACCOUNTS, Fault.UNAUTHORIZED)
    come_back(browser, query)
    assert Connection.objects.get().pk == made.pk


def test_connecting_the_same_login_again_makes_no_second_connection(browser, bank):
    first = connect(browser, bank)
    assert connect(browser, bank).pk == first.pk
    assert Connection.objects.count() == 1


def test_a_login_is_known_by_the_accounts_it_shares_too(browser, bank, alice):
    first = connect(browser, bank, person="nora")
    shared = bank.people.person("nora").schwab[1].hash_value
    factories.make_account(alice, first, provider_account_id=shared)
    Connection.objects.update(provider_user_key="from another choice of accounts")
    assert connect(browser, bank, person="nora").pk == first.pk


@pytest.mark.parametrize("slug", ["nobody", "alpaca", "manual"])
def test_there_is_no_way_back_from_what_has_no_page(browser, bank, slug):
    assert browser.get(f"/oauth/{slug}/callback?state=s&code=c").status_code == 404


def test_a_way_back_is_only_read(browser, bank):
    assert browser.post(CALLBACK).status_code == 405
    assert browser.head(CALLBACK).status_code == 405


def test_states_that_ran_out_are_cleared_away(browser, bank):
    set_out(browser)
    OAuthState.objects.update(expires_at=now() - timedelta(minutes=1))
    set_out(browser)
    assert OAuthState.objects.count() == 1
