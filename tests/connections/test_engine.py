"""Several accounts at a time, in parts that outlive an interruption, and only what was asked."""

from __future__ import annotations

import threading
from datetime import date, timedelta

import pytest
from django.db import OperationalError
from django.utils.timezone import now
from django_q.models import OrmQ

from accounts.models import Account, BalanceSnapshot
from connections import arriving, commands, reading, saving, syncing
from connections.errors import RecentlySynced, SyncError, SyncInProgress
from connections.models import MAX_ATTEMPTS, Connection, QuarantinedRecord, Sync
from connections.sandbox.faults import Fault
from connections.scheduling import EVERY
from connections.services import sync_now
from connections.tasks import run_sync
from connections.types import Scope, StepKind, StepStatus, SyncStatus
from dashtam.models import Event
from holdings.models import Holding
from tests.connections.journeys import connect
from tests.factories import pending, row
from transactions import services
from transactions.matching import from_provider
from transactions.models import Transaction
from transactions.services import save_transactions

# A token is refreshed in a transaction of its own, which a test's transaction would forbid.
pytestmark = pytest.mark.django_db(transaction=True)

ROWS = "*/transactions*"
LIST = "*/trader/v1/accounts"


@pytest.fixture
def nora(browser, bank):
    """Nora's connection with its three accounts; its first sync waits on the queue."""
    return connect(browser, bank, person="nora")


@pytest.fixture
def read(nora):
    """Nora's connection, read once."""
    finish(Sync.objects.get())
    nora.refresh_from_db()
    return nora


def finish(sync):
    """Deliver it as often as it goes back to the queue."""
    for _ in range(30):
        run_sync(str(sync.pk))
        sync.refresh_from_db()
        if sync.status not in (SyncStatus.QUEUED, SyncStatus.RUNNING):
            return sync
    raise AssertionError("it never ends")


def again(connection, **scope):
    sync = sync_now(connection)
    if scope:
        Sync.objects.filter(pk=sync.pk).update(scope=Scope(**scope).as_json())
    return finish(sync)


def told(bank, *people):
    """What the bank knows of these people: {account: ids of its transactions}."""
    truth = bank.truth(complete=True)["schwab"]
    accounts = [one.hash_value for name in people for one in bank.people.person(name).schwab]
    return {account: set(truth[account]["transactions"]) for account in accounts}


def saved():
    found = {account.provider_account_id: set() for account in Account.objects.all()}
    rows = Transaction.objects.values_list(
        "account__provider_account_id", "provider_transaction_id"
    )
    count = 0
    for account, key in rows:
        found[account].add(key)
        count += 1
    assert count == sum(len(keys) for keys in found.values())
    return found


def asked_days(bank):
    """Each question for transactions, as (from, to)."""
    return [
        (query["startDate"][:10], query["endDate"][:10])
        for query in (dict(one.query) for one in bank.requests)
        if "startDate" in query
    ]


def events(name):
    return [one.payload for one in Event.objects.filter(name=name).order_by("sequence")]


def test_a_first_sync_brings_all_that_the_provider_keeps_of_every_account(read, bank):
    assert saved() == told(bank, "nora")
    assert all(Account.objects.values_list("is_history_complete", flat=True))


def test_the_newest_days_are_read_before_the_history(nora, bank):
    finish(Sync.objects.get())
    first = asked_days(bank)[0]
    assert date.fromisoformat(first[1]) >= now().date()


def test_accounts_are_read_at_the_same_time(nora, bank, monkeypatch):
    together = threading.Barrier(3, timeout=30)
    real = reading._current

    def meet(*args):
        together.wait()
        return real(*args)

    monkeypatch.setattr(reading, "_current", meet)
    assert finish(Sync.objects.get()).status == SyncStatus.SUCCEEDED


def test_no_more_accounts_are_read_at_a_time_than_allowed(nora, bank, monkeypatch):
    monkeypatch.setattr(reading, "AT_ONCE", 1)
    busy, most = [], []
    real = reading._current

    def watch(source, task):
        busy.append(task)
        most.append(len(busy))
        try:
            return real(source, task)
        finally:
            busy.remove(task)

    monkeypatch.setattr(reading, "_current", watch)
    finish(Sync.objects.get())
    assert most == [1, 1, 1]


def test_a_run_that_takes_too_long_goes_on_where_it_stopped(nora, bank, monkeypatch):
    monkeypatch.setattr(syncing, "STOPS_AFTER_SECONDS", 0)
    monkeypatch.setattr(reading, "AT_ONCE", 1)
    sync = Sync.objects.get()
    OrmQ.objects.all().delete()
    run_sync(str(sync.pk))
    sync.refresh_from_db()
    assert (sync.status, OrmQ.objects.count()) == (SyncStatus.QUEUED, 1)
    part = sum(len(keys) for keys in saved().values())
    assert finish(sync).status == SyncStatus.SUCCEEDED
    assert saved() == told(bank, "nora")
    assert part < Transaction.objects.count()


def test_a_part_of_history_that_is_in_is_not_asked_for_again(nora, bank, monkeypatch):
    monkeypatch.setattr(syncing, "STOPS_AFTER_SECONDS", 0)
    finish(Sync.objects.get())
    asked = [one for one in bank.requests if "startDate" in dict(one.query)]
    assert len(asked) == len({(one.path, one.query) for one in asked})


def test_going_on_is_no_crash(nora, bank, monkeypatch):
    real = reading.Desk.read

    def stop_at_once(self, *args):
        self.stop()
        real(self, *args)

    monkeypatch.setattr(reading.Desk, "read", stop_at_once)
    sync = Sync.objects.get()
    for _ in range(MAX_ATTEMPTS + 2):
        run_sync(str(sync.pk))
    sync.refresh_from_db()
    assert sync.fence == MAX_ATTEMPTS + 2
    assert (sync.status, sync.error_code) == (SyncStatus.QUEUED, "")


def test_a_history_that_cannot_be_read_leaves_the_newest_rows_and_is_read_the_next_time(nora, bank):
    bank.faults.add(ROWS, Fault.MALFORMED, times=None, at=4)
    sync = finish(Sync.objects.get())
    assert sync.status == SyncStatus.PARTIAL
    assert Account.objects.filter(balance__isnull=False).count() == 3
    bank.faults.clear()
    assert again(nora).status == SyncStatus.SUCCEEDED
    assert saved() == told(bank, "nora")


class Killed(BaseException):
    """Stands for a worker that dies."""


def die(*_args, **_kwargs):
    raise Killed


def test_unreadable_rows_of_a_history_are_kept_once_however_often_it_is_read(
    nora, bank, monkeypatch
):
    bank.faults.add(ROWS, Fault.LIE_YEAR, times=None)
    real = arriving.Arrivals._save_last
    calls = []

    def die_late(self, *args):
        real(self, *args)
        calls.append(1)
        if len(calls) == 2:
            raise Killed

    monkeypatch.setattr(arriving.Arrivals, "_save_last", die_late)
    sync = Sync.objects.get()
    with pytest.raises(Killed):
        run_sync(str(sync.pk))
    Sync.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    finish(sync)
    kept = QuarantinedRecord.objects.filter(step__sync=sync).values_list("step", "provider_id")
    assert len(kept) == len(set(kept)) > 0


def test_a_defect_in_one_account_leaves_the_others_saved(nora, bank, monkeypatch):
    real = reading._current
    broken = bank.people.person("nora").schwab[0].hash_value

    def fall(source, task):
        if task.account.provider_account_id == broken:
            raise ZeroDivisionError
        return real(source, task)

    monkeypatch.setattr(reading, "_current", fall)
    sync = finish(Sync.objects.get())
    assert sync.status == SyncStatus.PARTIAL
    assert {step.error_code for step in sync.steps.filter(status="failed")} == {"internal_error"}
    assert sync.steps.filter(kind="transactions", status="succeeded").count() == 2


def test_every_account_shows_how_far_it_is(read):
    steps = Sync.objects.get().steps
    for kind in (StepKind.TRANSACTIONS, StepKind.HOLDINGS):
        found = steps.filter(kind=kind)
        assert found.count() == 3
        assert set(found.values_list("status", flat=True)) == {StepStatus.SUCCEEDED}


def test_progress_names_the_account(read):
    accounts = {str(pk) for pk in Account.objects.values_list("pk", flat=True)}
    progress = events("sync.transactions.progress")
    assert progress
    assert {one["account_id"] for one in progress} <= accounts


def test_a_refused_token_in_the_middle_is_renewed_once_for_all(read, bank):
    bank.clock.advance(seconds=1700)
    before = len([one for one in bank.requests if one.path.endswith("/oauth/token")])
    bank.faults.add(ROWS, Fault.UNAUTHORIZED_LIST, times=3)
    assert again(read).status == SyncStatus.SUCCEEDED
    after = len([one for one in bank.requests if one.path.endswith("/oauth/token")])
    assert 0 < after - before <= 3


def test_one_account_that_asks_to_wait_is_tried_again_soon_but_not_before(read, bank):
    bank.faults.add(ROWS, Fault.RATE_LIMITED, times=None, retry_after="600")
    assert again(read).status == SyncStatus.PARTIAL
    read.refresh_from_db()
    wait = read.next_sync_at - now()
    assert timedelta(minutes=9) < wait < timedelta(minutes=15)
    assert read.failure_count == 1


def test_a_sync_that_worked_forgets_the_failures(read, bank):
    Connection.objects.update(failure_count=3)
    again(read)
    read.refresh_from_db()
    assert read.failure_count == 0
    assert read.next_sync_at - now() > EVERY * 0.8


def test_an_account_missing_twice_is_told_and_stays(read, bank):
    bank.faults.add(LIST, Fault.MISSING_ACCOUNT, times=None)
    again(read)
    assert not Account.objects.exclude(missing_since=None).exists()
    again(read)
    missing = Account.objects.exclude(missing_since=None).get()
    assert missing.is_active
    bank.faults.clear()
    again(read)
    missing.refresh_from_db()
    assert (missing.missing_since, missing.absences) == (None, 0)


def test_an_empty_list_of_accounts_takes_nothing_away(read, bank):
    bank.faults.add(LIST, Fault.EMPTY_LIST, times=None)
    for _ in range(3):
        assert again(read).error_code == "no_accounts"
    assert Account.objects.filter(is_active=True, absences=0).count() == 3


def test_accounts_alone_are_read_and_nothing_else(read, bank):
    before = len(bank.requests)
    balances = set(Account.objects.values_list("pk", "balance"))
    Account.objects.update(balance=1)
    sync = finish(commands.sync_accounts(read.user, read.pk, force=True))
    assert sync.status == SyncStatus.SUCCEEDED
    assert not [one for one in bank.requests[before:] if "transactions" in one.path]
    assert set(Account.objects.values_list("pk", "balance")) == balances
    assert set(BalanceSnapshot.objects.filter(sync=sync).values_list("source", flat=True)) == {
        "account_sync"
    }
    assert {step.kind for step in sync.steps.all()} == {"accounts"}


def test_holdings_of_one_account_alone_are_read(read, bank):
    holder = Holding.objects.first().account
    Holding.objects.filter(account=holder).delete()
    others = Holding.objects.count()
    sync = finish(commands.sync_holdings(read.user, holder.pk, force=True))
    assert [step.kind for step in sync.steps.all()] == ["holdings"]
    assert holder.holdings.exists()
    assert Holding.objects.exclude(account=holder).count() == others
    assert events("sync.holdings.started")[-1]["account_id"] == str(holder.pk)


def test_days_asked_for_win_and_leave_the_usual_reading_alone(read, bank):
    account = Account.objects.get(provider_account_id=next(iter(told(bank, "nora"))))
    through = account.transactions_through
    wanted = account.transactions.order_by("-transaction_date")[20].transaction_date
    of_day = account.transactions.filter(transaction_date=wanted)
    count = of_day.count()
    of_day.delete()
    sync = finish(
        commands.sync_transactions(
            read.user, read.pk, start_date=wanted, end_date=wanted, account_id=account.pk
        )
    )
    assert sync.status == SyncStatus.SUCCEEDED
    assert account.transactions.filter(transaction_date=wanted).count() == count > 0
    account.refresh_from_db()
    assert account.transactions_through == through


def test_a_part_leaves_the_schedule_and_the_connections_last_sync_alone(read):
    before = (read.last_sync_at, read.next_sync_at)
    finish(commands.sync_accounts(read.user, read.pk, force=True))
    read.refresh_from_db()
    assert (read.last_sync_at, read.next_sync_at) == before


@pytest.mark.parametrize("command", ["everything", "accounts", "transactions", "holdings"])
def test_what_was_read_moments_ago_is_skipped_unless_forced(read, command):
    account = Account.objects.order_by("pk").first()
    ask = {
        "everything": lambda **how: commands.sync_connection(read.user, read.pk, **how),
        "accounts": lambda **how: commands.sync_accounts(read.user, read.pk, **how),
        "transactions": lambda **how: commands.sync_transactions(read.user, read.pk, **how),
        "holdings": lambda **how: commands.sync_holdings(read.user, account.pk, **how),
    }[command]
    count = Sync.objects.count()
    with pytest.raises(RecentlySynced) as skipped:
        ask()
    assert 0 < skipped.value.seconds <= 300
    assert Sync.objects.count() == count
    assert events("sync.accounts.skipped")[-1]["seconds"] == skipped.value.seconds
    assert ask(force=True).status == SyncStatus.QUEUED


def test_asking_for_less_than_what_is_under_way_gets_that_one(nora):
    waiting = Sync.objects.get()
    assert commands.sync_accounts(nora.user, nora.pk).pk == waiting.pk
    assert commands.sync_connection(nora.user, nora.pk).pk == waiting.pk


def test_asking_for_something_else_is_refused_with_what_is_under_way(read):
    waiting = commands.sync_accounts(read.user, read.pk, force=True)
    with pytest.raises(SyncInProgress) as refused:
        commands.sync_connection(read.user, read.pk, force=True)
    assert refused.value.sync_id == waiting.pk
    assert events("sync.accounts.failed")[-1]["error_code"] == "sync_in_progress"


def test_what_belongs_to_somebody_else_does_not_exist(read, bob):
    account = Account.objects.first()
    for ask, code in (
        (lambda: commands.sync_connection(bob, read.pk), "connection_not_found"),
        (lambda: commands.sync_accounts(bob, read.pk), "connection_not_found"),
        (lambda: commands.sync_transactions(bob, read.pk), "connection_not_found"),
        (lambda: commands.sync_holdings(bob, account.pk), "account_not_found"),
    ):
        with pytest.raises(SyncError, match=code):
            ask()


def test_an_account_of_another_connection_is_refused(read, account):
    with pytest.raises(SyncError, match="account_not_owned_by_connection"):
        commands.sync_transactions(read.user, read.pk, account_id=account.pk)


def test_days_that_end_before_they_start_are_refused(read):
    with pytest.raises(SyncError, match="bad_dates"):
        commands.sync_transactions(
            read.user, read.pk, start_date=date(2026, 5, 2), end_date=date(2026, 5, 1)
        )


def test_transactions_of_a_connection_without_accounts_are_refused(nora):
    Sync.objects.update(status=SyncStatus.FAILED)
    with pytest.raises(SyncError, match="no_accounts"):
        commands.sync_transactions(nora.user, nora.pk)


def test_an_account_without_any_row_is_not_read_from_the_beginning_each_time(read, bank):
    empty = Account.objects.exclude(pk__in=Transaction.objects.values("account")).get()
    before = len(asked_days(bank))
    again(read)
    days = asked_days(bank)[before:]
    assert empty.transactions_through
    assert len(days) == 3
    assert min(day for day, _ in days) > str(now().date() - timedelta(days=120))


def test_a_database_that_goes_away_ends_nothing_and_the_sync_is_done_later(nora, bank, monkeypatch):
    real = arriving.Arrivals._save_last
    calls = []

    def go_away(self, *args):
        calls.append(1)
        if len(calls) == 3:
            raise OperationalError("server closed the connection unexpectedly")
        real(self, *args)

    monkeypatch.setattr(arriving.Arrivals, "_save_last", go_away)
    sync = Sync.objects.get()
    with pytest.raises(OperationalError):
        run_sync(str(sync.pk))
    Sync.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    assert finish(sync).status == SyncStatus.SUCCEEDED
    assert saved() == told(bank, "nora")
    assert set(sync.steps.values_list("status", flat=True)) == {StepStatus.SUCCEEDED}


def test_what_failed_before_a_crash_is_tried_again(nora, bank, monkeypatch):
    bank.faults.add(ROWS, Fault.MALFORMED, times=1)
    real = syncing.finish
    calls = iter([die])
    monkeypatch.setattr(syncing, "finish", lambda *a, **k: next(calls, real)(*a, **k))
    sync = Sync.objects.get()
    with pytest.raises(Killed):
        run_sync(str(sync.pk))
    assert sync.steps.filter(status=StepStatus.FAILED).count() == 1
    Sync.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    assert finish(sync).status == SyncStatus.SUCCEEDED
    assert saved() == told(bank, "nora")


def test_several_candidates_before_a_crash_are_several_after_it(read, bank, monkeypatch):
    """The second of two equal newcomers is not taken for the pending row it could not be before.

    Nor when another account is read before this one after the crash.
    """
    monkeypatch.setattr(reading, "AT_ONCE", 1)
    real = arriving.Arrivals.tasks
    account = Account.objects.get(provider_account_id=next(iter(told(bank, "nora"))))
    twins = list(account.transactions.order_by("-transaction_date", "-id")[:2])
    day = twins[0].transaction_date
    gone = pending("-20.00", day, provider_transaction_id="p1")
    save_transactions(account, from_provider([gone]), sync_id=Sync.objects.get().pk)
    new = [row("-20.00", day, provider_transaction_id=f"n{n}") for n in (1, 2)]
    filler = [row("-1.00", day, provider_transaction_id=f"f{n}") for n in range(600)]
    monkeypatch.setattr(reading, "_rows", lambda *a: [new[0], *filler, new[1]])
    monkeypatch.setattr(saving.AccountSaving, "_end", die)
    sync = sync_now(read)
    with pytest.raises(Killed):
        run_sync(str(sync.pk))
    monkeypatch.undo()
    monkeypatch.setattr(reading, "AT_ONCE", 1)
    monkeypatch.setattr(reading, "_rows", lambda *a: [new[0], *filler, new[1]])
    monkeypatch.setattr(arriving.Arrivals, "tasks", lambda *a: real(*a)[::-1])
    Sync.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    finish(sync)
    states = dict(
        account.transactions.filter(provider_transaction_id__in=["p1", "n1", "n2"]).values_list(
            "provider_transaction_id", "status"
        )
    )
    assert states == {"p1": "cancelled", "n1": "settled", "n2": "settled"}


def test_a_crash_between_the_chunks_of_an_account_loses_none_of_it(nora, bank, monkeypatch):
    monkeypatch.setattr(reading, "AT_ONCE", 1)
    monkeypatch.setattr(services, "CHUNK", 1)
    real = saving.AccountSaving._save_rows
    calls = []

    def die_in_the_second_account(self, *args):
        real(self, *args)
        calls.append(self.account.pk)
        if len(set(calls)) == 2 and calls.count(self.account.pk) == 2:
            raise Killed

    monkeypatch.setattr(saving.AccountSaving, "_save_rows", die_in_the_second_account)
    sync = Sync.objects.get()
    with pytest.raises(Killed):
        run_sync(str(sync.pk))
    monkeypatch.undo()
    Sync.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    assert finish(sync).status == SyncStatus.SUCCEEDED
    assert saved() == told(bank, "nora")
    assert not sync.steps.exclude(status=StepStatus.SUCCEEDED).exists()


def test_days_in_the_middle_settle_nothing_that_is_pending_after_them(read, monkeypatch):
    account = Account.objects.filter(transactions__isnull=False).first()
    today = now().date()
    waiting = pending("-20.00", today - timedelta(days=1), provider_transaction_id="p1")
    save_transactions(account, from_provider([waiting]), sync_id=Sync.objects.get().pk)
    alike = row("-20.00", today - timedelta(days=4), provider_transaction_id="n1")
    monkeypatch.setattr(reading, "_rows", lambda *a: [alike])
    days = {"start_date": today - timedelta(days=9), "end_date": today - timedelta(days=3)}
    finish(commands.sync_transactions(read.user, read.pk, account_id=account.pk, **days))
    states = account.transactions.filter(provider_transaction_id__in=["p1", "n1"])
    assert dict(states.values_list("provider_transaction_id", "status")) == {
        "p1": "pending",
        "n1": "settled",
    }


def test_what_a_failed_sync_was_reading_has_failed_too(read, bank):
    bank.refuse_credentials()
    sync = again(read)
    assert sync.status == SyncStatus.FAILED
    assert not sync.steps.unfinished().exists()


def test_the_next_reading_begins_where_the_rows_end(read):
    for account in Account.objects.filter(transactions__isnull=False).distinct():
        newest = account.transactions.order_by("-transaction_date").first()
        assert account.transactions_through == newest.transaction_date
