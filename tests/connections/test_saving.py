"""What one sync brought is saved in fenced chunks, once, and told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError

from accounts.models import Account, BalanceSnapshot
from accounts.types import AccountType, AssetType, Counts, Rejected
from connections import saving
from connections.errors import Fenced
from connections.fetched import Fetched
from connections.models import QuarantinedRecord, Sync, SyncStep
from connections.quarantine import quarantine_without_account
from connections.saving import Progress, finish, save_all
from connections.types import StepKind, SyncStatus, SyncTrigger
from dashtam.models import Event
from holdings.models import Holding
from holdings.types import HoldingData
from tests.factories import account_data, make_sync, many, pending, row
from transactions.matching import from_file
from transactions.models import Transaction

pytestmark = pytest.mark.django_db


def fetched(*rows, **fields):
    account = fields.pop("account", account_data())
    return Fetched(account=account, transactions=from_file(rows), **fields)


def bring(sync, *brought):
    save_all(sync, brought, Progress(lambda rows: []))
    finish(sync, also=lambda steps: [])
    return sync


def event_names():
    return list(Event.objects.order_by("sequence").values_list("name", flat=True))


def test_a_sync_saves_account_rows_balance_and_history(sync):
    bring(sync, fetched(*many(3)))
    account = Account.objects.get()
    assert (account.balance, account.transactions.count()) == (100, 3)
    assert BalanceSnapshot.objects.get().sync_id == sync.pk


def test_a_finished_sync_says_what_became_of_every_row(sync):
    bring(sync, fetched(*many(3)))
    step = SyncStep.objects.get(kind=StepKind.TRANSACTIONS)
    assert (step.fetched, step.created) == (3, 3)
    assert Sync.objects.get().status == SyncStatus.SUCCEEDED


def test_what_happened_is_told_in_order_net_worth_last(sync):
    bring(sync, fetched(*many(1)))
    assert event_names() == [
        "sync.accounts.started",
        "sync.transactions.started",
        "portfolio.balance.updated",
        "sync.accounts.completed",
        "sync.transactions.completed",
        "portfolio.networth.updated",
    ]


def test_a_new_accounts_balance_is_told_from_nothing(sync):
    bring(sync, fetched())
    payload = Event.objects.get(name="portfolio.balance.updated").payload
    assert (payload["previous_balance"], payload["new_balance"], payload["delta"]) == (
        "0",
        "100",
        "100",
    )


def test_an_unchanged_replay_tells_no_new_balance(sync, connection):
    bring(sync, fetched(*many(3)))
    bring(make_sync(connection), fetched(*many(3)))
    assert event_names().count("portfolio.balance.updated") == 1
    assert event_names().count("portfolio.networth.updated") == 1


def test_more_rows_than_a_chunk_take_as_many_statements_per_chunk(
    sync, django_assert_max_num_queries, monkeypatch
):
    monkeypatch.setattr(saving, "PAUSE_SECONDS", 0)
    with django_assert_max_num_queries(260):  # SQLite cuts an INSERT of 500 rows into 14
        bring(sync, fetched(*many(1500)))
    assert Transaction.objects.count() == 1500


def test_a_worker_that_lost_its_sync_writes_nothing_more(sync):
    Sync.objects.filter(pk=sync.pk).update(fence=sync.fence + 1)
    with pytest.raises(Fenced):
        bring(sync, fetched(*many(3)))
    assert not Account.objects.exists()


class Killed(BaseException):
    """Stands for a worker that dies."""


def test_an_attempt_after_a_crash_goes_on_where_the_last_chunk_was_saved(sync):
    def die(rows):
        raise Killed

    rows = many(1100)
    calls = iter([lambda r: [], die])
    with pytest.raises(Killed):
        save_all(sync, [fetched(*rows)], Progress(lambda r: next(calls)(r)))
    again = Sync.objects.get()
    bring(again, fetched(*rows))
    step = SyncStep.objects.get(kind=StepKind.TRANSACTIONS)
    assert (step.fetched, step.created, step.unchanged) == (1100, 1100, 0)


def test_an_attempt_after_a_crash_does_not_save_finished_accounts_again(sync):
    two = [fetched(*many(2)), fetched(*many(2), account=account_data(provider_account_id="a2"))]
    save_all(sync, two[:1], Progress(lambda rows: []))
    counted = []
    Account.objects.create(
        user=sync.user,
        connection=sync.connection,
        provider_account_id="a2",
        account_type="checking",
        currency="USD",
    )
    save_all(sync, two, Progress(lambda rows: counted.append(rows) or []))
    assert counted == [4]


def test_unreadable_rows_are_kept_sealed_with_their_reason(sync):
    rejected = Rejected(
        reason="amount_unreadable", payload="<STMTTRN><TRNAMT>abc<ACCTID>12345678", provider_id="F1"
    )
    bring(sync, fetched(*many(2), rejected=[rejected]))
    kept = QuarantinedRecord.objects.get()
    assert (kept.step.fetched, kept.step.quarantined) == (3, 1)
    assert "abc" in kept.redacted
    assert "12345678" not in kept.redacted + kept.payload


def test_rows_of_an_account_that_cannot_be_saved_are_kept_once(sync):
    rejected = [Rejected(reason="currency_unknown")]
    save_all(sync, [], Progress(lambda rows: []))
    quarantine_without_account(sync, rejected)
    quarantine_without_account(sync, rejected)
    finish(sync, also=lambda steps: [])
    assert QuarantinedRecord.objects.count() == 1


HOLDING = HoldingData(
    provider_holding_id="CUSIP:1",
    quantity=Decimal(10),
    currency="USD",
    asset_type=AssetType.EQUITY,
    market_value=Decimal(1500),
)


def test_holdings_are_saved_and_told(sync):
    bring(sync, fetched(holdings=[HOLDING], ignored=1))
    step = SyncStep.objects.get(kind=StepKind.HOLDINGS)
    assert (step.fetched, step.created, step.ignored) == (2, 1, 1)
    assert Event.objects.get(name="portfolio.holdings.updated").payload["created_count"] == 1


def test_an_older_statement_leaves_holdings_and_pending_rows_alone(sync, connection):
    bring(sync, fetched(pending(), holdings=[HOLDING], has_all_pending=True))
    older = account_data(balance_as_of=datetime(2023, 12, 31, tzinfo=UTC))
    old = fetched(pending("-77.00"), account=older, holdings=[], has_all_pending=True)
    bring(make_sync(connection), old)
    assert [txn.status for txn in Transaction.objects.all()] == ["pending"]
    assert Holding.objects.get().is_active


def test_a_position_that_could_not_be_read_is_not_taken_for_sold(sync, connection):
    bring(sync, fetched(holdings=[HOLDING]))
    other = replace(HOLDING, provider_holding_id="CUSIP:2")
    unread = Rejected(reason="quantity_missing", is_holding=True)
    bring(make_sync(connection), fetched(holdings=[other], rejected=[unread]))
    assert Holding.objects.filter(is_active=True).count() == 2


def test_a_pending_row_that_could_not_be_read_is_not_taken_for_dropped(sync, connection):
    bring(sync, fetched(pending(), has_all_pending=True))
    unread = Rejected(reason="amount_unreadable")
    bring(make_sync(connection), fetched(has_all_pending=True, rejected=[unread]))
    assert Transaction.objects.get().status == "pending"


def test_a_card_with_money_owed_lowers_net_worth(sync):
    card = account_data(account_type=AccountType.CREDIT_CARD, balance=Decimal("-250.75"))
    bring(sync, fetched(row(), account=card))
    payload = Event.objects.get(name="portfolio.networth.updated").payload
    assert payload["new_net_worth"] == "-250.75"


def test_the_database_refuses_a_step_that_does_not_account_for_every_row(sync):

    with pytest.raises(IntegrityError):
        SyncStep.objects.create(user=sync.user, sync=sync, kind=StepKind.ACCOUNTS, fetched=1)


def test_counts_add_up_field_by_field():
    assert Counts(fetched=1, created=1) + Counts(fetched=2, unchanged=2) == Counts(
        fetched=3, created=1, unchanged=2
    )


def test_what_is_known_word_for_word_takes_no_chunk_of_its_own(connection):
    bring(make_sync(connection, trigger=SyncTrigger.MANUAL), fetched(*many(1200)))
    again = make_sync(connection, trigger=SyncTrigger.MANUAL)
    bring(again, fetched(*many(1200), row("-1.00", name="NEW")))
    step = again.steps.get(kind=StepKind.TRANSACTIONS)
    assert (step.fetched, step.created, step.unchanged) == (1201, 1, 1200)
    assert step.pages == 2


def test_a_worker_that_lost_its_sync_counts_nothing_it_knew(connection):
    bring(make_sync(connection, trigger=SyncTrigger.MANUAL), fetched(*many(3)))
    again = make_sync(connection, trigger=SyncTrigger.MANUAL)
    again.resume_point = {"accounts_done": 0, "rows_done": 0}
    Sync.objects.filter(pk=again.pk).update(fence=again.fence + 1)
    with pytest.raises(Fenced):
        bring(again, fetched(*many(3)))
    assert not again.steps.exists()
