"""Whether a broker's cash follows from its transactions, by what the bank in the box tells."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.models import Account
from connections.models import Connection, Sync
from connections.services import sync_now
from connections.tasks import run_sync
from tests.connections.journeys import connect, keys, send_keys
from transactions.reconciling import CheckState, check

# A consent at Schwab's lasts seven days.
DAYS = 6


def connect_keys(browser, bank, *, person):
    """The way in with keys."""
    send_keys(browser, keys(bank, person=person))
    return Connection.objects.get()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way_in", [connect, connect_keys])
def test_a_brokers_cash_adds_up_by_what_the_bank_in_the_box_tells(bank, browser, way_in):
    bank.clock.advance(days=-DAYS)
    connection = way_in(browser, bank, person="nora")
    finish(Sync.objects.get())
    for _ in range(DAYS):
        bank.clock.advance(days=1)
        finish(sync_now(connection))
    date_by_the_banks_clock(connection)
    found = [check(account) for account in Account.objects.all()]
    assert {one.state for one in found} == {CheckState.EVEN}
    assert all(one.is_cash and (one.last - one.first).days == DAYS for one in found)


def finish(sync):
    """Deliver it as often as it goes back to the queue."""
    for _ in range(30):
        run_sync(str(sync.pk))
        sync.refresh_from_db()
        if sync.status not in {"queued", "running"}:
            return
    raise AssertionError("it never ends")


def date_by_the_banks_clock(connection):
    """The bank's clock stood back while ours did not: its balances are of its own days."""
    for account in connection.accounts.all():
        for place, snapshot in enumerate(account.snapshots.order_by("-captured_at")):
            snapshot.as_of -= timedelta(days=place)
            snapshot.save()
