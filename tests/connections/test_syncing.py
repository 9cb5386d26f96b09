"""A connection is read and saved: the first time by itself, again on request."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Account
from connections import saving
from connections.errors import SyncError
from connections.models import Connection, Sync
from connections.sandbox.faults import Fault
from connections.services import sync_now
from connections.tasks import run_sync
from connections.types import ConnectionStatus, SyncStatus
from dashtam.models import Event
from holdings.models import Holding
from tests.connections.journeys import connect
from transactions.models import Transaction

# A token is refreshed in a transaction of its own, which a test's transaction would forbid.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connected(browser, bank):
    """Sam's connection, just made; its first sync waits on the queue."""
    return connect(browser, bank)


def sync_once(connection):
    sync = sync_now(connection)
    run_sync(str(sync.pk))
    sync.refresh_from_db()
    return sync


def test_connecting_queues_the_first_sync(connected):
    assert Sync.objects.get().trigger == "initial"


def test_the_first_sync_brings_accounts_transactions_and_holdings(connected):
    assert sync_once(connected).status == SyncStatus.SUCCEEDED
    assert Account.objects.filter(balance__isnull=False).exists()
    assert Transaction.objects.exists()
    assert Holding.objects.exists()


def test_what_is_saved_is_what_the_bank_says(connected, bank):
    sync_once(connected)
    told = bank.people.person("sam")
    assert Account.objects.count() == len(told.schwab)


def test_the_same_again_writes_no_transaction(connected):
    sync_once(connected)
    before = list(Transaction.objects.order_by("pk").values_list("pk", "updated_at"))
    sync_once(connected)
    assert list(Transaction.objects.order_by("pk").values_list("pk", "updated_at")) == before


def test_net_worth_is_told_once_at_the_end(connected):
    sync_once(connected)
    assert Event.objects.filter(name="portfolio.networth.updated").count() == 1


def test_a_key_that_is_refused_asks_the_person_to_sign_in_again(connected, bank):
    bank.refuse_credentials()
    sync = sync_once(connected)
    connected.refresh_from_db()
    assert (sync.status, sync.error_code) == ("failed", "provider_authentication_failed")
    assert connected.status == ConnectionStatus.EXPIRED


def test_a_pending_row_from_before_the_days_asked_for_is_left_alone(connected):
    sync_once(connected)
    old = Transaction.objects.order_by("transaction_date").first()
    Transaction.objects.filter(pk=old.pk).update(status="pending", provider_transaction_id="old")
    sync_once(connected)
    old.refresh_from_db()
    assert old.status == "pending"


def test_a_connection_ended_meanwhile_is_not_queued(connected):
    Connection.objects.update(status=ConnectionStatus.DISCONNECTED)
    with pytest.raises(SyncError, match="connection_not_active"):
        sync_now(connected)


class Killed(BaseException):
    """Stands for a worker that dies."""


def die(*_args, **_kwargs):
    raise Killed


def saved_ids():
    return sorted(Transaction.objects.values_list("provider_transaction_id", flat=True))


def truth_ids(bank, person="sam"):
    accounts = {one.hash_value for one in bank.people.person(person).schwab}
    told = bank.truth(complete=True)["schwab"]
    return sorted(key for name in accounts for key in told[name]["transactions"])


def test_after_a_crash_everything_is_saved_once(connected, bank, monkeypatch):
    sync = Sync.objects.get()
    monkeypatch.setattr(saving.AccountSaving, "_end", die)
    with pytest.raises(Killed):
        run_sync(str(sync.pk))
    monkeypatch.undo()
    Sync.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    run_sync(str(sync.pk))
    assert saved_ids() == truth_ids(bank)
    assert Sync.objects.get().status == SyncStatus.SUCCEEDED


def test_an_outage_ends_the_sync_and_leaves_the_connection_active(connected, bank):
    bank.faults.add("*/trader/v1/accounts*", Fault.UNAVAILABLE, times=None)
    sync = sync_once(connected)
    connected.refresh_from_db()
    assert (sync.status, sync.error_code) == ("failed", "provider_unavailable")
    assert connected.status == ConnectionStatus.ACTIVE


def test_one_account_that_cannot_be_read_leaves_the_rest_saved(connected, bank):
    bank.faults.add("*/transactions*", Fault.MALFORMED, times=None)
    sync = sync_once(connected)
    assert sync.status == SyncStatus.PARTIAL
    assert Account.objects.filter(balance__isnull=False).exists()
    assert sync.steps.filter(status="failed", error_code="provider_invalid_response").exists()


def test_a_sync_of_a_switched_off_connection_says_so_and_reads_nothing(connected):
    Sync.objects.update(lease_expires_at=now() - timedelta(minutes=5))
    Connection.objects.update(credentials="v1.t9.gone")
    assert sync_once(connected).error_code == "credentials_decryption_failed"
    assert not Account.objects.exists()


def test_on_the_page_it_is_read_again_at_the_press_of_a_button(browser, connected):
    run_sync(str(Sync.objects.get().pk))
    for _ in range(2):
        browser.post(reverse("connections:sync", args=[connected.pk]), {"force": "1"})
    assert Sync.objects.filter(trigger="manual").count() == 1


def test_files_are_not_read_by_a_button(browser, account):
    assert (
        browser.post(reverse("connections:sync", args=[account.connection_id])).status_code == 404
    )


def test_the_sums_of_the_accounts_are_the_net_worth(connected):
    sync_once(connected)
    told = Event.objects.get(name="portfolio.networth.updated").payload["new_net_worth"]
    assert Decimal(told) == sum(Account.objects.values_list("balance", flat=True))
