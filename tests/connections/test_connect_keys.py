"""Connecting with keys: they are tried before they are kept, and say what is wrong with them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection as db_connection
from django.db.transaction import atomic

from connections.connecting import connect_by_key, open_provider
from connections.errors import SyncError
from connections.models import Connection, ProviderSetting
from connections.provider import provider
from connections.sandbox.faults import Fault
from connections.types import ConnectionStatus
from dashtam.models import Event
from dashtam.vault import Secret
from tests.connections.journeys import KEYS, keys, send_keys

AT_ONCE = 6
ACCOUNT = f"/{KEYS}/*/v2/account"


def words_of(response):
    return response.content.decode()


def test_right_keys_make_an_active_connection(browser, bank, alice):
    response = send_keys(browser, keys(bank))
    made = Connection.objects.for_user(alice).get()
    assert response.url == f"/connections/{made.pk}/"
    assert (made.status, made.environment) == (ConnectionStatus.ACTIVE, "paper")
    assert made.is_sandbox
    assert Event.objects.get(user=alice).name == "provider.connected"


def test_what_was_sealed_opens_again_and_reads(browser, bank, alice):
    send_keys(browser, keys(bank, person="nora", environment="live"))
    with open_provider(Connection.objects.get()) as reached:
        assert len(list(reached.accounts())) == 1


def test_wrong_keys_save_nothing(browser, bank):
    response = send_keys(browser, keys(bank) | {"api_secret": "wrong"})
    assert response.status_code == 422
    assert "does not accept these keys" in words_of(response)
    assert not Connection.objects.exists()


def test_keys_of_the_other_environment_are_told_apart(browser, bank):
    response = send_keys(browser, keys(bank, person="nora") | {"environment": "live"})
    assert "they belong to “Paper”" in words_of(response)
    assert not Connection.objects.exists()


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.DROPPED])
def test_a_bank_that_is_down_is_said_and_saves_nothing(browser, bank, fault):
    bank.faults.add(ACCOUNT, fault, times=3)
    response = send_keys(browser, keys(bank))
    assert "does not answer at the moment" in words_of(response)
    assert not Connection.objects.exists()


def test_a_bank_that_asks_to_wait_is_said(browser, bank):
    bank.faults.add(ACCOUNT, Fault.RATE_LIMITED)
    assert "asks us to wait" in words_of(send_keys(browser, keys(bank)))


def test_an_answer_that_is_no_json_is_said(browser, bank):
    bank.faults.add(ACCOUNT, Fault.MALFORMED)
    assert "cannot be read" in words_of(send_keys(browser, keys(bank)))


@pytest.mark.parametrize("text", ["a\nb", "ключ", "a\x00b"])
def test_what_no_header_can_carry_is_refused_before_any_call(browser, bank, text):
    response = send_keys(browser, keys(bank) | {"api_secret": f"x{text}x"})
    assert response.status_code == 422
    assert not bank.requests


def test_a_refused_form_sends_no_key_back(browser, bank):
    wrong = keys(bank) | {"api_key": "PKTYPEDWRONG", "api_secret": "typedwrong"}
    shown = words_of(send_keys(browser, wrong))
    assert "PKTYPEDWRONG" not in shown
    assert "typedwrong" not in shown


def test_the_same_login_again_is_the_same_connection(browser, bank):
    first = send_keys(browser, keys(bank)).url
    assert send_keys(browser, keys(bank)).url == first
    assert Connection.objects.count() == 1


def test_another_login_is_another_connection(browser, bank):
    send_keys(browser, keys(bank))
    send_keys(browser, keys(bank, person="nora"))
    assert Connection.objects.count() == 2


def test_two_people_may_have_the_same_login(browser, bank, alice, bob):
    send_keys(browser, keys(bank))
    browser.force_login(bob)
    send_keys(browser, keys(bank))
    assert Connection.objects.for_user(bob).count() == 1


def test_new_keys_repair_an_expired_connection_in_place(browser, bank):
    send_keys(browser, keys(bank))
    broken = Connection.objects.get()
    Connection.objects.update(status="expired", status_reason="credentials_refused")
    response = browser.post(f"/connections/{broken.pk}/reconnect/", keys(bank))
    assert response.url == f"/connections/{broken.pk}/"
    assert Connection.objects.get().status == ConnectionStatus.ACTIVE


def connect_in_thread(user, credentials) -> str:
    try:
        return str(connect_by_key(user, provider(KEYS), credentials, environment="paper").pk)
    finally:
        db_connection.close()


@pytest.mark.django_db(transaction=True)
def test_the_same_login_many_times_at_once_is_one_connection(bank, alice):
    filled = keys(bank)
    credentials = {name: Secret(filled[name]) for name in ("api_key", "api_secret")}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = [pool.submit(connect_in_thread, alice, credentials) for _n in range(AT_ONCE)]
    assert {one.result() for one in made} == {str(Connection.objects.get().pk)}


def test_a_switched_off_provider_is_not_asked(browser, bank):
    ProviderSetting.objects.update_or_create(slug=KEYS, defaults={"enabled": False})
    assert browser.get(f"/connections/add/{KEYS}/").status_code == 403
    assert send_keys(browser, keys(bank)).status_code == 403
    assert not bank.requests


def test_what_the_sandbox_gave_goes_nowhere_else(browser, bank, settings):
    send_keys(browser, keys(bank))
    settings.SANDBOX = False
    with (
        pytest.raises(SyncError, match="credentials_invalid"),
        open_provider(Connection.objects.get()),
    ):
        pass


def test_no_provider_is_called_while_a_transaction_is_open(alice, bank):
    filled = keys(bank)
    credentials = {name: Secret(filled[name]) for name in ("api_key", "api_secret")}
    with pytest.raises(RuntimeError, match="transaction"), atomic():
        connect_by_key(alice, provider(KEYS), credentials, environment="paper")
