"""What changes while a person signs in: disconnected, switched off, or signed in elsewhere."""

from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import Request, build_opener

import pytest

from accounts.models import Account
from connections import connecting, syncing
from connections.errors import SyncError
from connections.models import Connection, ProviderSetting, Sync
from connections.reach import BRAKE
from connections.sandbox.faults import Fault
from connections.types import ConnectionStatus, SyncStatus
from dashtam.models import Event
from dashtam.vault import Secret
from tests import factories
from tests.connections.journeys import (
    CALLBACK,
    KEYS,
    OAUTH,
    _Stay,
    agree,
    connect,
    keys,
    send_keys,
    set_out,
    token_requests,
)

pytestmark = pytest.mark.django_db(transaction=True)

ACCOUNTS = f"/{OAUTH}/trader/v1/accounts*"
FIRST, SECOND = "Individual", "Rollover IRA"


@pytest.fixture(autouse=True)
def _fresh_brake():
    BRAKE._states.clear()


@pytest.fixture
def pending(browser, bank) -> Connection:
    """Signed in, but the bank did not answer afterwards."""
    query = agree(bank, set_out(browser))
    bank.faults.add(ACCOUNTS, Fault.BAD_GATEWAY, times=3)
    browser.get(f"{CALLBACK}?{query}")
    bank.faults.clear()
    BRAKE._states.clear()
    return Connection.objects.get()


def meanwhile(monkeypatch, module, name, do):
    """Something else happens between the real call of a function and what follows it."""
    real = getattr(module, name)

    def called(*args):
        try:
            return real(*args)
        finally:
            do()

    monkeypatch.setattr(module, name, called)


def disconnecting(connection, *, keep_data=True):
    return lambda: connecting.disconnect(
        Connection.objects.get(pk=connection.pk), keep_data=keep_data
    )


def switch_off(slug):
    ProviderSetting.objects.update_or_create(slug=slug, defaults={"enabled": False})


def sync_all():
    for queued in Sync.objects.filter(status=SyncStatus.QUEUED):
        syncing.run(queued.pk)


def come_back(browser, query):
    return browser.get(f"{CALLBACK}?{query}", follow=True).content.decode()


def sign_in_with(browser, bank, *nicknames, reconnecting=None):
    """Nora agrees to show these of her accounts only; returns the connection they are under."""
    address = set_out(browser, reconnecting=reconnecting and reconnecting.pk)
    nora = bank.people.person("nora")
    ticked = [("account", one.hash_value) for one in nora.schwab if one.nickname in nicknames]
    form = [*parse_qsl(urlsplit(address).query), ("person", "nora"), ("decision", "allow")]
    request = Request(address.partition("?")[0], urlencode([*form, *ticked]).encode())  # noqa: S310
    with build_opener(_Stay).open(request) as response:
        query = urlsplit(response.headers["Location"]).query
    found = browser.get(f"{CALLBACK}?{query}", follow=True).context["connection"]
    sync_all()
    return found


def active_numbers():
    return sorted(
        Account.objects.filter(is_active=True).values_list("account_number_masked", flat=True)
    )


@pytest.mark.parametrize("is_refused", [True, False])
def test_a_disconnect_while_it_is_finished_stays(browser, bank, pending, is_refused, monkeypatch):
    if is_refused:
        bank.refuse_credentials()
    meanwhile(monkeypatch, connecting, "_prove", disconnecting(pending))
    shown = browser.post(f"/connections/{pending.pk}/complete/", follow=True)
    kept = Connection.objects.get()
    assert "disconnected" in shown.content.decode()
    assert (kept.status, kept.credentials) == (ConnectionStatus.DISCONNECTED, "")


@pytest.mark.parametrize("is_refused", [True, False])
def test_what_was_deleted_while_it_is_finished_stays_deleted(
    browser, bank, pending, is_refused, monkeypatch
):
    if is_refused:
        bank.refuse_credentials()
    meanwhile(monkeypatch, connecting, "_prove", disconnecting(pending, keep_data=False))
    shown = browser.post(f"/connections/{pending.pk}/complete/", follow=True)
    assert shown.status_code == 200
    assert not Connection.objects.exists()


def test_a_sandbox_sign_in_repairs_no_real_connection(browser, bank, alice):
    fields = {"provider_user_key": "", "is_sandbox": False, "status": ConnectionStatus.FAILED}
    real = factories.make_connection(alice, provider_slug=OAUTH, **fields)
    come_back(browser, agree(bank, set_out(browser, reconnecting=real.pk)))
    real.refresh_from_db()
    assert (real.status, real.credentials) == (ConnectionStatus.FAILED, "")
    assert Connection.objects.exclude(pk=real.pk).get().is_sandbox


@pytest.mark.parametrize("which", [0, 1])
def test_what_one_sign_in_shows_of_two_connections_comes_together(browser, bank, which):
    two = [sign_in_with(browser, bank, FIRST), sign_in_with(browser, bank, SECOND)]
    before, accounts = active_numbers(), set(Account.objects.values_list("pk", flat=True))
    home = sign_in_with(browser, bank, FIRST, SECOND, reconnecting=two[which])
    assert home.pk == two[which].pk
    assert active_numbers() == before
    assert set(home.accounts.values_list("pk", flat=True)) == accounts


def test_the_connection_it_came_from_is_told_to_be_disconnected(browser, bank, alice):
    other, home = sign_in_with(browser, bank, FIRST), sign_in_with(browser, bank, SECOND)
    sign_in_with(browser, bank, FIRST, SECOND, reconnecting=home)
    other.refresh_from_db()
    assert (other.status, other.credentials) == (ConnectionStatus.DISCONNECTED, "")
    told = Event.objects.get(user=alice, name="provider.disconnected")
    assert told.payload["connection_id"] == str(other.pk)


def test_an_account_that_both_have_is_counted_once(browser, bank, alice):
    other, home = sign_in_with(browser, bank, FIRST), sign_in_with(browser, bank, SECOND)
    twin = other.accounts.get()
    factories.make_account(alice, home, provider_account_id=twin.provider_account_id)
    sign_in_with(browser, bank, FIRST, SECOND, reconnecting=home)
    twin.refresh_from_db()
    assert (twin.connection_id, twin.is_active) == (other.pk, False)
    assert home.accounts.filter(is_active=True).count() == 2


def test_history_that_was_kept_goes_on(browser, bank):
    first = sign_in_with(browser, bank, FIRST)
    account = first.accounts.get()
    connecting.disconnect(first, keep_data=True)
    again = sign_in_with(browser, bank, FIRST)
    account.refresh_from_db()
    assert (account.connection_id, account.is_active) == (again.pk, True)
    assert Account.objects.count() == 1


def test_history_of_the_real_world_stays_there(browser, bank):
    first = sign_in_with(browser, bank, FIRST)
    account = first.accounts.get()
    connecting.disconnect(first, keep_data=True)
    Connection.objects.update(is_sandbox=False)
    sign_in_with(browser, bank, FIRST)
    account.refresh_from_db()
    assert (account.connection_id, account.is_active) == (first.pk, False)


def test_switched_off_on_the_way_no_token_is_asked_for(browser, bank):
    query = agree(bank, set_out(browser))
    switch_off(OAUTH)
    assert "switched off" in come_back(browser, query)
    assert (token_requests(bank), Connection.objects.count()) == (0, 0)


def test_switched_off_it_is_not_finished(browser, bank, pending):
    switch_off(OAUTH)
    asked = len(bank.requests)
    response = browser.post(f"/connections/{pending.pk}/complete/", follow=True)
    assert "switched off" in response.content.decode()
    assert len(bank.requests) == asked
    assert Connection.objects.get().status == ConnectionStatus.PENDING


def test_switched_off_after_the_proof_it_is_connected_and_says_so(browser, bank, monkeypatch):
    filled = keys(bank)
    meanwhile(monkeypatch, connecting, "_prove", lambda: switch_off(KEYS))
    response = send_keys(browser, filled)
    shown = browser.get(response.url).content.decode()
    assert "is connected" in shown
    assert "switched off" in shown
    assert not Sync.objects.exists()


def test_a_repair_of_what_was_disconnected_on_the_way_asks_for_nothing(browser, bank):
    made = connect(browser, bank)
    query = agree(bank, set_out(browser, reconnecting=made.pk))
    disconnecting(made)()
    assert "disconnected" in come_back(browser, query)
    assert token_requests(bank) == 1
    assert Connection.objects.get().status == ConnectionStatus.DISCONNECTED


def test_a_repair_of_what_is_disconnected_at_its_end_leaves_nothing(browser, bank, monkeypatch):
    made = connect(browser, bank)
    query = agree(bank, set_out(browser, reconnecting=made.pk))
    meanwhile(monkeypatch, connecting, "_prove", disconnecting(made))
    assert "disconnected" in come_back(browser, query)
    assert Connection.objects.get().status == ConnectionStatus.DISCONNECTED


def test_new_keys_are_not_expired_by_the_refusal_of_the_old(browser, bank, monkeypatch):
    send_keys(browser, keys(bank))
    made = Connection.objects.get()
    bank.refuse_credentials()
    new = keys(bank) | {"api_key": "PKNEW"}
    meanwhile(monkeypatch, syncing, "_sync", lambda: seal_anew(made, new))
    sync_all()
    made.refresh_from_db()
    assert made.status == ConnectionStatus.ACTIVE
    assert Sync.objects.get().error_code == "provider_authentication_failed"


def seal_anew(made, filled):
    signed_in = Connection.objects.get(pk=made.pk)
    signed_in.seal({**signed_in.open(), "api_key": Secret(filled["api_key"])})
    signed_in.save()


def test_a_refusal_of_keys_that_were_only_sealed_anew_counts(browser, bank, monkeypatch):
    send_keys(browser, keys(bank))
    made = Connection.objects.get()
    bank.refuse_credentials()
    meanwhile(monkeypatch, syncing, "_sync", lambda: seal_anew(made, keys(bank)))
    sync_all()
    made.refresh_from_db()
    assert made.status == ConnectionStatus.EXPIRED


def test_a_refusal_after_the_connection_was_deleted_ends_quietly(browser, bank, monkeypatch):
    send_keys(browser, keys(bank))
    made = Connection.objects.get()
    bank.refuse_credentials()
    meanwhile(monkeypatch, syncing, "_sync", disconnecting(made, keep_data=False))
    sync_all()
    assert not Connection.objects.exists()


def test_a_refresh_that_was_not_needed_any_more_leaves_no_mark(browser, bank):
    connect(browser, bank)
    stale = Connection.objects.get()
    used = stale.open()
    bank.clock.advance(seconds=5)
    connecting.refresh(Connection.objects.get(), refused=used)
    connecting.refresh(stale, refused=used)
    assert Connection.objects.get().refresh_started_at is None


def test_what_is_no_longer_pending_is_not_finished_again(pending):
    Connection.objects.update(status=ConnectionStatus.ACTIVE)
    with pytest.raises(SyncError, match="connection_not_active"):
        connecting.complete(pending)
