"""The judge is content with a good sync, and finds whatever is wrong with a bad one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db.models import F
from django.db.transaction import atomic, set_rollback
from django.utils.timezone import now

from accounts.models import Account, BalanceSnapshot, NetWorth
from connections.models import Connection, Sync, SyncStep
from dashtam.ids import uuid7
from dashtam.models import Event, Feed
from holdings.models import Holding
from tests.prove.judge import DOUBLED, LOST, WRONG, judge
from tests.prove.state import difference, fingerprint, state, state_hash
from transactions.models import Transaction

pytestmark = pytest.mark.django_db(transaction=True)


def lose_a_row():
    Transaction.objects.first().delete()


def add_a_row():
    row = Transaction.objects.first()
    row.pk, row.provider_transaction_id, row._state.adding = uuid7(), "another", True
    row.save()


def lose_an_account():
    Account.objects.all().delete()


def leave_a_sync():
    Sync.objects.update(status="running", lease_expires_at=now().replace(year=2020))


def add_a_position():
    held = Holding.objects.first()
    held.pk, held.provider_holding_id, held._state.adding = uuid7(), "another", True
    held.symbol = "ANOTHER"
    held.save()


def tell_twice():
    told = Event.objects.filter(name="sync.accounts.completed").first()
    feed = Feed.objects.get()
    feed.last_sequence += 1
    feed.save()
    told.pk, told.sequence, told._state.adding = None, feed.last_sequence, True
    told.save()


PLANTED = {
    "a transaction is lost": (lose_a_row, LOST, "transaction"),
    "a transaction is one too many": (add_a_row, DOUBLED, "transaction another"),
    "an amount is another": (
        lambda: Transaction.objects.update(amount=Decimal("1.23")), WRONG, "amount",
    ),
    "a date is another": (
        lambda: Transaction.objects.update(transaction_date="2020-02-02"), WRONG, "date",
    ),
    "a status is old": (lambda: Transaction.objects.update(status="pending"), WRONG, "status"),
    "an account is lost": (lose_an_account, LOST, "account"),
    "a balance is another": (
        lambda: Account.objects.update(balance=Decimal("1.23")), WRONG, "balance",
    ),
    "a position is lost": (lambda: Holding.objects.all().delete(), LOST, "position"),
    "a position is one too many": (add_a_position, DOUBLED, "position ANOTHER"),
    "a quantity is another": (lambda: Holding.objects.update(quantity="0.5"), WRONG, "position"),
    "a sync is nobody's": (leave_a_sync, WRONG, "nobody's"),
    "a step never ended": (lambda: SyncStep.objects.update(status="running"), WRONG, "step"),
    "credentials do not open": (
        lambda: Connection.objects.update(credentials="v1.t1.gone"), WRONG, "do not open",
    ),
    "nobody was told to sign in": (
        lambda: Connection.objects.update(status="expired"), WRONG, "was not told",
    ),
    "events have a gap": (
        lambda: Event.objects.filter(sequence=2).delete(), WRONG, "gaps",
    ),
    "an end was told twice": (tell_twice, DOUBLED, "told 2 times"),
    "net worth is another": (
        lambda: NetWorth.objects.update(value=Decimal("1.23")), WRONG, "net worth",
    ),
    "a balance has no history": (
        lambda: BalanceSnapshot.objects.all().delete(), LOST, "has no history",
    ),
}  # fmt: skip


def test_a_good_sync_leaves_nothing_to_find(read, bank):
    assert Transaction.objects.exists()
    assert judge(bank.truth()) == []


def test_whatever_is_wrong_is_found(read, bank):
    for planted, (plant, kind, words) in PLANTED.items():
        with atomic():
            plant()
            found = judge(bank.truth())
            set_rollback(True)
        assert any(one.kind == kind and words in one.words for one in found), (planted, found)


def test_a_state_says_nothing_of_ids_and_of_when_it_was_written(read):
    before, exactly = state(), fingerprint()
    Transaction.objects.update(updated_at=now())
    Account.objects.update(last_synced_at=now())
    assert difference(before, state()) == ""
    assert state_hash(before) == state_hash(state())
    assert fingerprint() != exactly


def test_a_state_says_everything_that_is_seen(read):
    before = state()
    Holding.objects.update(market_value=F("market_value") + F("market_value"))
    assert difference(before, state()).startswith("holdings")
    assert state_hash(before) != state_hash(state())
