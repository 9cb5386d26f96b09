"""Tokens are renewed in time, once, and what comes back is kept before anything else happens."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection as db_connection
from django.utils.timezone import now

from connections.connecting import open_provider, refresh
from connections.errors import NeedsReauthentication, Retryable, SyncError
from connections.models import Connection
from connections.reach import credentials_of
from connections.sandbox.faults import Fault
from connections.types import ConnectionStatus
from dashtam.models import Event
from dashtam.vault import Secret
from tests.connections.journeys import TOKENS, connect, token_requests

AT_ONCE = 20


@pytest.fixture
def made(browser, bank) -> Connection:
    """A connection at the provider's page, as it is in the database."""
    return Connection.objects.get(pk=connect(browser, bank).pk)


def make_old(made: Connection, **changed: str) -> None:
    """Let the access token end; `changed` replaces other credentials."""
    credentials = {name: Secret(text) for name, text in changed.items()}
    ended = Secret((now() - timedelta(seconds=1)).isoformat())
    made.seal({**made.open(), **credentials, "access_expires_at": ended})
    made.save()


def events_of(made: Connection) -> list[str]:
    names = Event.objects.filter(user_id=made.user_id).order_by("sequence")
    return list(names.values_list("name", flat=True))[1:]


def test_tokens_that_last_are_left_alone(made, bank):
    assert refresh(made) == made.open()
    assert token_requests(bank) == 1


def test_tokens_about_to_end_are_replaced_and_kept(made, bank):
    before = made.open()["access_token"]
    make_old(made)
    fresh = refresh(made)
    assert fresh["access_token"] != before
    assert Connection.objects.get().open() == fresh
    assert events_of(made) == ["provider.token.refreshed"]


def test_an_answer_without_a_refresh_token_keeps_the_old_one(made, bank):
    before = made.open()["refresh_token"]
    make_old(made)
    assert refresh(made)["refresh_token"] == before


def test_a_rotated_refresh_token_is_kept_at_once(made, bank):
    bank.rules.rotates = True
    for _round in range(3):
        make_old(made)
        refresh(made)
    assert (bank.login.refreshes, bank.login.reuses) == (3, 0)


def test_a_token_refused_before_its_time_is_renewed_and_asked_again(made, bank):
    bank.clock.advance(minutes=31)
    with open_provider(made) as reached:
        assert len(list(reached.accounts())) == 1
    assert bank.login.refreshes == 1


def test_a_refused_refresh_asks_the_person_to_sign_in_again(made, bank):
    make_old(made, refresh_token="R0.withdrawn@")
    with pytest.raises(NeedsReauthentication):
        refresh(made)
    assert (made.status, made.status_reason) == (ConnectionStatus.EXPIRED, "refresh_refused")
    assert events_of(made) == ["provider.token.failed", "provider.needs_reauthentication"]


def test_after_the_week_is_over_nobody_is_asked(made, bank):
    make_old(made)
    Connection.objects.update(credentials_expires_at=now() - timedelta(seconds=1))
    with pytest.raises(NeedsReauthentication):
        refresh(made)
    assert made.status_reason == "consent_ended"
    assert token_requests(bank) == 1


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.FORBIDDEN_HTML, Fault.DROPPED])
def test_an_outage_changes_nothing_and_is_tried_once(made, bank, fault):
    make_old(made)
    kept = made.credentials
    bank.faults.add(TOKENS, fault)
    with pytest.raises(Retryable):
        refresh(made)
    made.refresh_from_db()
    assert (made.status, made.credentials) == (ConnectionStatus.ACTIVE, kept)
    assert token_requests(bank) == 2


def test_a_refusal_after_a_refresh_nobody_saw_the_end_of_says_so(made, bank):
    make_old(made, refresh_token="R0.replaced@")
    Connection.objects.update(refresh_started_at=now() - timedelta(minutes=3))
    with pytest.raises(NeedsReauthentication):
        refresh(made)
    assert made.status_reason == "refresh_interrupted"


def test_an_app_that_is_not_known_is_the_operators_problem(made, bank, monkeypatch):
    make_old(made)
    monkeypatch.setattr("connections.reach.SANDBOX_CLIENT_SECRET", "another")
    with pytest.raises(SyncError, match="provider_not_configured"):
        refresh(made)
    assert made.status == ConnectionStatus.ACTIVE


def test_only_an_active_connection_is_refreshed(made, bank):
    make_old(made)
    Connection.objects.update(status=ConnectionStatus.EXPIRED)
    with pytest.raises(SyncError, match="connection_not_active"):
        refresh(made)


def test_credentials_moved_to_another_row_do_not_open(made, browser, bank):
    other = connect(browser, bank, person="nora")
    Connection.objects.filter(pk=made.pk).update(credentials=other.credentials)
    with pytest.raises(SyncError, match="credentials_decryption_failed"):
        credentials_of(Connection.objects.get(pk=made.pk))


def refresh_in_thread(pk) -> str:
    try:
        return refresh(Connection.objects.get(pk=pk))["access_token"].reveal()
    finally:
        db_connection.close()


@pytest.mark.django_db(transaction=True)
def test_of_twenty_at_once_one_asks_and_all_get_its_answer(made, bank):
    bank.rules.rotates = True
    make_old(made)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tokens = set(pool.map(refresh_in_thread, [made.pk] * AT_ONCE))
    assert len(tokens) == 1
    assert (bank.login.refreshes, bank.login.reuses) == (1, 0)
