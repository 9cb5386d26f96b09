"""Disconnecting: the sign-in is destroyed; the data stay as history or go, as the person says."""

import pytest

from accounts.models import Account
from connections.connecting import refresh
from connections.errors import SyncError
from connections.models import Connection, Sync
from connections.types import ConnectionStatus
from dashtam.models import Event
from tests import factories
from tests.dashtam.doors import prove


@pytest.fixture
def connected(alice) -> Connection:
    """Alice's connection with sealed credentials, an account, and a sync under way."""
    made = factories.make_connection(alice, credentials="v1.t1.sealed", next_sync_at=None)
    factories.make_account(alice, made)
    factories.make_sync(made)
    return made


def disconnect(browser, made, what):
    prove(browser)
    return browser.post(f"/connections/{made.pk}/disconnect/", {"fetched": what}, follow=True)


def test_keeping_leaves_inactive_accounts_and_no_credentials(browser, connected):
    disconnect(browser, connected, "keep")
    connected.refresh_from_db()
    assert connected.status == ConnectionStatus.DISCONNECTED
    assert (connected.credentials, connected.provider_user_key) == ("", "")
    assert Account.objects.get().is_active is False


def test_keeping_stops_a_sync_that_is_under_way(browser, connected):
    disconnect(browser, connected, "keep")
    assert Sync.objects.get().error_code == "connection_not_active"


def test_deleting_leaves_no_row(browser, connected):
    disconnect(browser, connected, "delete")
    assert not Connection.objects.exists()
    assert not Account.objects.exists()


@pytest.mark.parametrize("what", ["keep", "delete"])
def test_it_is_told_with_the_new_net_worth(browser, connected, what, alice):
    disconnect(browser, connected, what)
    names = set(Event.objects.filter(user=alice).values_list("name", flat=True))
    assert "provider.disconnected" in names


def test_without_a_choice_nothing_happens(browser, connected):
    response = disconnect(browser, connected, "perhaps")
    assert "Choose what should become of the data." in response.content.decode()
    connected.refresh_from_db()
    assert connected.status == ConnectionStatus.ACTIVE


def test_there_is_no_way_back_from_it(browser, connected):
    disconnect(browser, connected, "keep")
    assert browser.post(f"/connections/{connected.pk}/reconnect/").status_code == 404
    assert disconnect(browser, connected, "delete").status_code == 404


def test_what_was_destroyed_is_not_refreshed(browser, connected):
    disconnect(browser, connected, "keep")
    connected.refresh_from_db()
    with pytest.raises(SyncError, match="credentials_decryption_failed"):
        refresh(connected)
