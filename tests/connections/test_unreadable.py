"""A row that could not be read waits, is tried again, is dismissed, or is over by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Account
from connections import recognition, retrying
from connections.commands import sync_accounts
from connections.connecting import disconnect
from connections.errors import SyncInProgress
from connections.models import Connection, QuarantinedRecord, Sync, SyncStep
from connections.providers import schwab
from connections.quarantine import redact
from connections.services import ask, sync_now
from connections.tasks import run_sync
from connections.types import Resolution, StepKind, SyncStatus, SyncWork
from dashtam.models import Event
from holdings.models import Holding
from tests.connections.journeys import connect
from tests.factories import make_account, make_connection, make_user
from transactions.models import Transaction
from transactions.types import TransactionStatus

# A token is refreshed in a transaction of its own, which a test's transaction would forbid.
pytestmark = pytest.mark.django_db(transaction=True)

PAGE = reverse("connections:unreadable")


@pytest.fixture
def broken(monkeypatch):
    """Makes Schwab's module unable to read some rows: those whose id the function takes."""

    def give(name, is_broken):
        real = getattr(schwab, name)

        def read(row, *rest):
            if is_broken(row):
                raise row.unreadable("type")
            return real(row, *rest)

        monkeypatch.setattr(schwab, name, read)

    give.undo = monkeypatch.undo
    yield give
    monkeypatch.undo()


@pytest.fixture
def some_broken(broken):
    """Every seventh transaction."""
    broken("transaction_from", lambda row: int(row.identifier("activityId")) % 7 == 0)


@pytest.fixture
def nora(browser, bank, some_broken):
    """Nora's connection, read once by a module that cannot read all of her rows."""
    connection = connect(browser, bank, person="nora")
    run_sync(str(Sync.objects.get().pk))
    return connection


def again(connection):
    sync = sync_now(connection)
    run_sync(str(sync.pk))
    sync.refresh_from_db()
    return sync


def tried(rows=None):
    asked = retrying.retry(QuarantinedRecord.objects.all() if rows is None else rows)
    for sync in asked.syncs:
        run_sync(str(sync.pk))
        sync.refresh_from_db()
        assert sync.status == SyncStatus.SUCCEEDED
    return asked


def still_open():
    return QuarantinedRecord.objects.open()


def told(bank):
    truth = bank.truth(complete=True)["schwab"]
    accounts = [one.hash_value for one in bank.people.person("nora").schwab]
    return {(account, key) for account in accounts for key in truth[account]["transactions"]}


def saved():
    return set(
        Transaction.objects.values_list("account__provider_account_id", "provider_transaction_id")
    )


def test_after_a_fix_every_row_is_saved_once_without_asking_the_provider(nora, bank, monkeypatch):
    missing = told(bank) - saved()
    assert len(missing) == still_open().count() > 10
    monkeypatch.undo()
    asked = len(bank.requests)
    assert tried().rows == len(missing)
    assert saved() == told(bank)
    assert len(bank.requests) == asked
    assert not still_open().exists()
    sync = Sync.objects.latest("requested_at")
    steps = list(sync.steps.all())
    assert (
        sum(step.created for step in steps) == sum(step.fetched for step in steps) == len(missing)
    )
    nora.refresh_from_db()
    assert sync.work == SyncWork.RETRY
    assert nora.last_sync_at < sync.requested_at


def test_before_a_fix_they_wait_on(nora):
    before = set(still_open().values_list("pk", "reason"))
    count = Transaction.objects.count()
    tried()
    assert set(still_open().values_list("pk", "reason")) == before
    assert Transaction.objects.count() == count


def test_another_reason_is_told_after_a_try(nora, monkeypatch):
    QuarantinedRecord.objects.update(reason="date_missing", params={})
    tried()
    assert set(still_open().values_list("reason", flat=True)) == {"row_unreadable"}


def test_a_row_told_again_is_shown_once_with_how_often(nora):
    first = set(still_open().values_list("provider_id", flat=True))
    again(nora)
    assert set(still_open().values_list("provider_id", flat=True)) == first
    assert still_open().count() == len(first)
    twice = still_open().filter(times_told=2)
    earlier = QuarantinedRecord.objects.filter(resolution=Resolution.REPEATED)
    assert 0 < twice.count() == earlier.count() < len(first)
    assert {(row.payload, row.redacted) for row in earlier} == {("", "")}
    assert min(row.created_at - row.first_told_at for row in twice).total_seconds() > 0


def test_every_step_keeps_as_many_rows_as_it_counts(nora):
    again(nora)
    for step in SyncStep.objects.all():
        assert step.quarantine.count() == step.quarantined


def test_a_row_that_the_next_sync_reads_is_over_by_itself(nora, bank, monkeypatch):
    recent = set(QuarantinedRecord.objects.values_list("pk", flat=True))
    monkeypatch.undo()
    again(nora)
    over = QuarantinedRecord.objects.filter(resolution=Resolution.READ)
    assert {row.pk for row in over} < recent
    assert over.exists()
    assert all(
        Transaction.objects.filter(provider_transaction_id=row.provider_id).exists() for row in over
    )


def test_what_was_dismissed_stays_so_when_it_is_told_again_and_can_be_taken_back(nora):
    assert retrying.dismiss(QuarantinedRecord.objects.all(), "Known to the bank") > 0
    again(nora)
    assert not still_open().exists()
    dismissed = QuarantinedRecord.objects.filter(resolution=Resolution.DISMISSED)
    assert set(dismissed.values_list("note", flat=True)) == {"Known to the bank"}
    count = dismissed.count()
    assert retrying.reopen(QuarantinedRecord.objects.all()) == count
    assert still_open().filter(note="").count() == count


def test_what_was_dismissed_and_says_something_else_now_waits_again(nora):
    retrying.dismiss(QuarantinedRecord.objects.all(), "Known")
    QuarantinedRecord.objects.update(redacted="as it was")
    again(nora)
    assert still_open().exists()


def test_a_dismissed_row_is_not_tried(nora, monkeypatch):
    retrying.dismiss(QuarantinedRecord.objects.all(), "Known")
    monkeypatch.undo()
    assert tried() == retrying.Asked(syncs=[], rows=0, busy=[])


def test_what_the_provider_told_since_is_not_overwritten(nora, monkeypatch):
    row = still_open().select_related("step__account").first()
    newer = Transaction.objects.filter(account=row.step.account).first()
    newer.pk, newer._state.adding = None, True
    newer.provider_transaction_id, newer.description = row.provider_id, "As it is now"
    newer.status = TransactionStatus.SETTLED
    newer.save()
    monkeypatch.undo()
    tried()
    newer.refresh_from_db()
    assert newer.description == "As it is now"
    row.refresh_from_db()
    assert row.resolution == Resolution.READ


@pytest.fixture
def changed(browser, bank, monkeypatch):
    """Nora's newest settled row, and whether the module reads how it was corrected since."""
    connection = connect(browser, bank, person="nora")
    run_sync(str(Sync.objects.get().pk))
    settled = Transaction.objects.filter(status=TransactionStatus.SETTLED)
    stored = settled.order_by("-transaction_date").first()
    stored.is_read = False
    real = schwab.transaction_from

    def read(row, *rest):
        said = real(row, *rest)
        if row.identifier("activityId") != stored.provider_transaction_id:
            return said
        if not stored.is_read:
            raise row.unreadable("type")
        return replace(said, description="CORRECTED")

    monkeypatch.setattr(schwab, "transaction_from", read)
    # A module that reads otherwise is another module.
    monkeypatch.setattr(recognition, "_CODE", "another version's")
    again(connection)
    assert still_open().get().provider_id == stored.provider_transaction_id
    return stored


def test_a_change_that_could_not_be_read_is_made_once_it_can_be(changed):
    changed.is_read = True
    tried()
    changed.refresh_from_db()
    assert changed.description == "CORRECTED"
    assert QuarantinedRecord.objects.get().resolution == Resolution.READ


def test_a_sync_that_read_no_rows_calls_none_of_them_read(alice, changed):
    sync = sync_accounts(alice, Connection.objects.get().pk, force=True)
    run_sync(str(sync.pk))
    assert QuarantinedRecord.objects.get().is_open


def test_a_row_that_is_read_again_as_it_was_stored_is_read(changed, monkeypatch):
    monkeypatch.undo()
    again(Connection.objects.get())
    assert QuarantinedRecord.objects.get().resolution == Resolution.READ


def test_a_pending_row_of_then_is_left_to_the_next_sync(nora, monkeypatch):
    row = still_open().first()
    payload = {**json.loads(row.open()), "status": "PENDING"}
    row.seal(json.dumps(payload))
    row.save()
    pending = Transaction.objects.filter(status=TransactionStatus.PENDING).count()
    monkeypatch.undo()
    tried()
    row.refresh_from_db()
    assert row.resolution == Resolution.OUTDATED
    assert Transaction.objects.filter(status=TransactionStatus.PENDING).count() == pending


def test_a_row_that_no_key_opens_waits_on(nora, monkeypatch):
    row = still_open().first()
    QuarantinedRecord.objects.filter(pk=row.pk).update(payload="v1.nonsense")
    monkeypatch.undo()
    tried()
    assert still_open().get() == row


def test_a_position_is_tried_and_goes_out_of_date_with_the_next_list(browser, bank, broken):
    broken("holding_from", lambda row: row.row("instrument").words("symbol") == "AAPL")
    connection = connect(browser, bank, person="nora")
    run_sync(str(Sync.objects.get().pk))
    row = still_open().filter(step__kind=StepKind.HOLDINGS).first()
    assert row
    held = Holding.objects.filter(account=row.step.account)
    count = held.count()
    broken.undo()
    tried()
    row.refresh_from_db()
    assert (row.resolution, held.count()) == (Resolution.READ, count + 1)
    retrying.QuarantinedRecord.objects.filter(pk=row.pk).update(resolution="", resolved_at=None)
    again(connection)
    row.refresh_from_db()
    assert (row.resolution, held.count()) == (Resolution.OUTDATED, count + 1)


def test_a_connection_at_work_is_told_of_and_nothing_is_changed(nora):
    sync_now(nora)
    asked = retrying.retry(QuarantinedRecord.objects.all())
    assert (asked.rows, asked.busy) == (0, [nora])
    assert not QuarantinedRecord.objects.exclude(retry=None).exists()


def test_a_try_is_no_reading_that_somebody_could_wait_for(nora):
    retrying.retry(QuarantinedRecord.objects.all())
    with pytest.raises(SyncInProgress):
        ask(nora, force=True)


def test_killed_in_the_middle_nothing_is_saved_twice(nora, bank, monkeypatch):
    monkeypatch.undo()
    (sync,) = retrying.retry(QuarantinedRecord.objects.all()).syncs
    real, calls = retrying._save_transactions, []

    def die_at_the_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(retrying, "_save_transactions", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run_sync(str(sync.pk))
    assert still_open().exists()
    monkeypatch.setattr(retrying, "_save_transactions", real)
    Sync.objects.filter(pk=sync.pk).update(status=SyncStatus.QUEUED)
    run_sync(str(sync.pk))
    assert saved() == told(bank)
    assert not still_open().exists()


def test_a_defect_in_the_try_is_told_and_nothing_is_planned(nora, monkeypatch):
    planned = Connection.objects.get().next_sync_at
    monkeypatch.setattr(retrying, "_save_transactions", lambda *_args: 1 / 0)
    (sync,) = retrying.retry(QuarantinedRecord.objects.all()).syncs
    run_sync(str(sync.pk))
    sync.refresh_from_db()
    assert (sync.status, sync.error_code) == (SyncStatus.FAILED, "internal_error")
    nora.refresh_from_db()
    assert (nora.next_sync_at, nora.failure_count) == (planned, 0)
    assert still_open().exists()


def test_what_a_disconnected_one_left_can_be_tried(nora, bank, monkeypatch):
    disconnect(nora, keep_data=True)
    monkeypatch.undo()
    tried()
    assert saved() == told(bank)


def test_the_command_tries_what_waits_of_a_provider(nora, monkeypatch):
    said = StringIO()
    call_command("retry_unreadable", provider="alpaca", stdout=said)
    call_command("retry_unreadable", provider="schwab", reason="row_unreadable", stdout=said)
    call_command("retry_unreadable", stdout=said)
    assert said.getvalue().splitlines() == [
        "0 rows of 0 connections are queued.",
        f"{still_open().count()} rows of 1 connections are queued.",
        "0 rows of 0 connections are queued.",
        "1 connections are being read: run this again in a minute.",
    ]


def test_an_operator_has_a_row_tried(client, nora, monkeypatch):
    client.force_login(make_user(is_staff=True, is_superuser=True))
    monkeypatch.undo()
    address = reverse("admin:connections_quarantinedrecord_changelist")
    form = {"action": "try_again", "_selected_action": [still_open().first().pk]}
    page = client.post(address, form, follow=True)
    assert "queued" in str(next(iter(page.context["messages"])))
    assert Sync.objects.latest("requested_at").work == SyncWork.RETRY
    page = client.post(address, form, follow=True)
    assert "read right now" in str(next(iter(page.context["messages"])))


def test_a_try_tells_what_it_saved(nora, monkeypatch):
    monkeypatch.undo()
    Event.objects.all().delete()
    tried()
    names = list(Event.objects.order_by("sequence").values_list("name", flat=True))
    assert names == ["sync.transactions.started", "sync.transactions.completed"]


def test_a_try_says_no_balance(nora, monkeypatch):
    before = list(Account.objects.order_by("pk").values("balance", "balance_as_of"))
    monkeypatch.undo()
    tried()
    assert list(Account.objects.order_by("pk").values("balance", "balance_as_of")) == before


@pytest.mark.parametrize(
    "number", ["4111 1111 1111 1111", "4111-1111-1111-1111", "DE89 3704 0044 0532 0130 00"]
)
def test_a_grouped_number_is_shown_cut(number):
    shown = redact(f"<STMTTRN><NAME>PAID {number}</STMTTRN>")
    assert number not in shown
    assert number[-2:] in shown


# The page


@pytest.fixture
def row(alice):
    """One unreadable row of an account of Alice's."""
    account = make_account(alice, make_connection(alice, provider_slug="schwab"))
    return quarantined(account)


def quarantined(account, **fields):
    sync = Sync.objects.create(
        user=account.user,
        connection=account.connection,
        trigger="scheduled",
        status=SyncStatus.SUCCEEDED,
        finished_at=now(),
    )
    step = SyncStep.objects.create(
        user=account.user, sync=sync, account=account, kind="transactions", fetched=1, quarantined=1
    )
    values = {"reason": "date_missing", "redacted": "<ID>7 of 12", **fields}
    kept = QuarantinedRecord(user=account.user, step=step, **values)
    kept.seal('{"secret": "of 12"}')
    kept.save()
    return kept


def test_the_page_says_why_and_shows_the_row_cut(browser, row):
    page = browser.get(PAGE)
    assert page.status_code == 200
    for words in ("The row has no date.", "&lt;ID&gt;7 of 12", row.step.account.title, "Try again"):
        assert words in page.content.decode()
    assert "secret" not in page.content.decode()


def test_an_empty_page_says_what_would_be_there(browser):
    for name, words in (
        ("open", "Everything could be read"),
        ("dismissed", "Nothing was dismissed"),
        ("settled", "Nothing was settled yet"),
    ):
        assert words in browser.get(PAGE, {"list": name}).content.decode()


def test_a_row_is_dismissed_with_a_reason_and_taken_back(browser, row):
    page = browser.post(reverse("connections:dismiss-row", args=[row.pk]), {"note": " Known "})
    assert page.url == PAGE
    row.refresh_from_db()
    assert (row.resolution, row.note) == ("dismissed", "Known")
    assert "“Known”" in browser.get(PAGE, {"list": "dismissed"}).content.decode()
    page = browser.post(reverse("connections:reopen-row", args=[row.pk]), {"list": "dismissed"})
    assert page.url == f"{PAGE}?list=dismissed"
    row.refresh_from_db()
    assert row.is_open
    assert row.note == ""


@pytest.mark.parametrize("note", ["", "   ", "\x07", "x" * 301])
def test_without_a_usable_reason_nothing_is_dismissed(browser, row, note):
    for address in (
        reverse("connections:dismiss-row", args=[row.pk]),
        reverse("connections:dismiss-unreadable"),
    ):
        page = browser.post(address, {"note": note})
        assert page.status_code == 422
        assert "errorlist" in page.content.decode()
    row.refresh_from_db()
    assert row.is_open


def test_all_of_one_sync_are_dismissed_and_no_other(browser, row):
    other = quarantined(row.step.account)
    form = {"note": "Known", "sync": row.step.sync_id}
    page = browser.post(reverse("connections:dismiss-unreadable"), form)
    assert page.url == f"{PAGE}?sync={row.step.sync_id}"
    assert list(still_open()) == [other]


def test_a_try_is_queued_and_the_page_says_so(browser, row):
    page = browser.post(reverse("connections:retry-row", args=[row.pk]), follow=True)
    assert "1 row is being tried again." in page.content.decode()
    assert "Being tried again" in page.content.decode()
    assert 'hx-trigger="live:data_sync' in page.content.decode()
    page = browser.post(reverse("connections:retry-unreadable"), follow=True)
    assert "is being read right now" in page.content.decode()


def test_where_nothing_can_be_tried_it_is_said(browser, row):
    retrying.dismiss(QuarantinedRecord.objects.all(), "Known")
    page = browser.post(reverse("connections:retry-unreadable"), follow=True)
    assert "nothing to try" in page.content.decode()


def test_a_row_of_no_account_says_what_will_happen(browser, row):
    SyncStep.objects.update(account=None)
    assert "belongs to no account" in browser.get(PAGE).content.decode()


def test_only_what_is_being_tried_is_asked_for_live(browser, row):
    assert "hx-get" not in browser.get(PAGE).content.decode().partition('id="unreadable"')[2][:80]
    part = browser.get(PAGE, headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()


def test_a_strangers_row_does_not_exist(browser, row):
    stranger = make_user("stranger@example.com")
    browser.force_login(stranger)
    assert row.reason not in browser.get(PAGE).content.decode()
    assert browser.get(PAGE, {"sync": row.step.sync_id}).status_code == 404
    form = {"note": "Known", "sync": row.step.sync_id}
    for name in ("retry-row", "dismiss-row", "reopen-row"):
        assert browser.post(reverse(f"connections:{name}", args=[row.pk]), form).status_code == 404
    for name in ("retry-unreadable", "dismiss-unreadable"):
        assert browser.post(reverse(f"connections:{name}"), form).status_code == 404
        browser.post(reverse(f"connections:{name}"), {"note": "Known"})
    row.refresh_from_db()
    assert (row.is_open, row.retry) == (True, None)


@pytest.mark.parametrize("asked", [{"list": "all"}, {"sync": "7"}])
def test_an_address_that_means_nothing_is_404(browser, asked):
    assert browser.get(PAGE, asked).status_code == 404


def test_nothing_happens_by_looking(browser, row):
    for name in ("retry-row", "dismiss-row", "reopen-row"):
        assert browser.get(reverse(f"connections:{name}", args=[row.pk])).status_code == 405


def test_the_page_costs_the_same_for_one_row_as_for_fifty(
    browser, row, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12) as one:
        browser.get(PAGE)
    for _ in range(49):
        quarantined(row.step.account)
    with django_assert_max_num_queries(len(one)):
        browser.get(PAGE)


def test_the_dashboard_says_how_many_wait(browser, row):
    quarantined(row.step.account)
    assert "2 rows that were told could not be read" in browser.get("/").content.decode()
    retrying.dismiss(QuarantinedRecord.objects.all(), "Known")
    assert "could not be read" not in browser.get("/").content.decode()


def test_the_syncs_page_leads_to_its_rows(browser, row):
    sync = row.step.sync
    page = browser.get(reverse("connections:one-sync", args=[sync.connection_id, sync.pk]))
    assert f"{PAGE}?sync={sync.pk}" in page.content.decode()


def test_trying_costs_a_fixed_number_of_statements(row, django_assert_max_num_queries):
    account = row.step.account
    kept = [QuarantinedRecord(user=account.user, step=row.step, reason="x") for _ in range(200)]
    for one in kept:
        one.seal("{}")
    QuarantinedRecord.objects.bulk_create(kept)
    with django_assert_max_num_queries(20):
        (sync,) = retrying.retry(QuarantinedRecord.objects.all()).syncs
    assert sync.retried_rows.count() == 201
