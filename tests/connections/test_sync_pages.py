"""What the pages tell of syncs: how far they are, what became of them, and what to do about it."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils.timezone import now

from connections.models import QuarantinedRecord, Sync, SyncStep
from connections.templatetags.reasons import PROBLEMS, SENTENCES, code_sentence
from connections.types import ConnectionStatus, Scope, StepKind, StepStatus, SyncStatus
from imports.formats.types import REASONS
from tests import factories
from tests.connections.journeys import OAUTH
from transactions.matching import from_provider
from transactions.models import Transaction, TransactionRevision
from transactions.services import save_transactions

ROOT = Path(__file__).resolve().parents[2]
COUNTED = ("created", "updated", "unchanged", "ignored", "quarantined")
# The contract's outcome codes, whether or not anything here raises each of them today.
PROMISED = {
    "connection_not_found",
    "account_not_found",
    "not_owned_by_user",
    "connection_not_active",
    "account_not_owned_by_connection",
    "no_accounts",
    "credentials_invalid",
    "credentials_decryption_failed",
    "recently_synced",
    "provider_authentication_failed",
    "provider_rate_limited",
    "provider_unavailable",
    "provider_invalid_response",
    "provider_not_configured",
    "provider_disabled",
    "sync_in_progress",
    "bad_dates",
    "gave_up",
    "internal_error",
}
CODE = re.compile(r'(?:SyncError\(|\bcode(?:: str )?=\s?|fail(?:ure)?\(\s*[\w.]+,)\s*"([a-z_]+)"')
REASON = re.compile(
    r'(?:expire\(\w+,|_refused\(connection,|become\([\w.]+,|NeedsReauthentication\()\s*"([a-z_]+)"'
)


def in_the_code(pattern):
    """What the sources of connections say where codes are made."""
    sources = (path for path in (ROOT / "connections").rglob("*.py") if "sandbox" not in path.parts)
    return {code for path in sources for code in pattern.findall(path.read_text())}


@pytest.fixture
def schwab(alice, settings):
    """A connection that is fetched, read three hours ago."""
    return factories.make_connection(
        alice,
        provider_slug=OAUTH,
        institution_name="Charles Schwab",
        credential_type="oauth2",
        connected_at=now() - timedelta(days=3),
        last_sync_at=now() - timedelta(hours=3),
        next_sync_at=now() + timedelta(hours=3, minutes=5),
    )


@pytest.fixture
def checking(alice, schwab):
    """Its account, with a fresh balance."""
    return factories.make_account(alice, schwab, name="Checking", balance_as_of=now())


def make_sync(connection, status=SyncStatus.SUCCEEDED, **fields):
    """A sync that took twelve seconds, an hour ago."""
    began = now() - timedelta(hours=1)
    ended = None if status in ("queued", "running") else began + timedelta(seconds=12)
    times = {"requested_at": began, "started_at": began, "finished_at": ended}
    owner = {"user": connection.user, "connection": connection, "trigger": "manual"}
    return Sync.objects.create(**{**owner, **times, "status": status, **fields})


def make_step(sync, kind, account=None, status=StepStatus.SUCCEEDED, **fields):
    """A step whose counts add up."""
    fetched = sum(fields.get(name, 0) for name in COUNTED)
    return SyncStep.objects.create(
        user=sync.user,
        sync=sync,
        kind=kind,
        account=account,
        status=status,
        fetched=fetched,
        **fields,
    )


def words(browser, address, status=200):
    """What a page says, without its tags."""
    response = browser.get(address)
    assert response.status_code == status
    return plain(response)


def plain(response):
    text = re.sub(r"<[^>]+>", " ", html.unescape(response.content.decode()))
    return re.sub(r"\s+", " ", text)


def page_of(connection, *rest):
    return "/".join(["/connections", str(connection.pk), *map(str, rest), ""])


# Words -----------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(PROMISED | in_the_code(CODE)))
def test_every_outcome_code_has_words_of_its_own(code):
    assert code in PROBLEMS
    assert "%(" not in code_sentence(code, "First Bank")


@pytest.mark.parametrize("reason", sorted(in_the_code(REASON)))
def test_every_reason_for_signing_in_again_has_words_of_its_own(reason):
    statuses = {status for status, known in SENTENCES if known == reason}
    assert statuses & {ConnectionStatus.EXPIRED, ConnectionStatus.FAILED}


def test_the_walk_over_the_code_finds_what_is_known_to_be_there():
    assert {"gave_up", "no_accounts", "internal_error", "provider_unavailable"} <= in_the_code(CODE)
    assert {"consent_ended", "refresh_refused", "wrong_environment"} <= in_the_code(REASON)


def test_the_outcome_is_told_in_the_words_of_the_contract(browser, alice, schwab, checking):
    other = factories.make_account(alice, schwab)
    sync = make_sync(schwab)
    make_step(sync, StepKind.ACCOUNTS, created=1, updated=1, unchanged=1)
    make_step(sync, StepKind.TRANSACTIONS, checking, created=38, ignored=5)
    make_step(sync, StepKind.TRANSACTIONS, other, updated=1, unchanged=1, quarantined=2)
    make_step(sync, StepKind.HOLDINGS, checking, unchanged=1, deactivated=1)
    page = words(browser, page_of(schwab, "syncs"))
    assert "Synced 3 accounts: 1 created, 1 updated, 1 unchanged" in page
    said = "Synced 40 transactions from 2 accounts: 38 created, 1 updated, 1 unchanged, 2 errors"
    assert said in page
    assert "1 holding from 1 account: 0 created, 0 updated, 1 unchanged, 1 deactivated" in page


def test_one_of_each_is_told_in_the_singular(browser, schwab, checking):
    sync = make_sync(schwab)
    make_step(sync, StepKind.ACCOUNTS, created=1)
    make_step(sync, StepKind.TRANSACTIONS, checking, created=1, quarantined=1)
    page = words(browser, page_of(schwab, "syncs"))
    assert "Synced 1 account: 1 created" in page
    assert "Synced 1 transaction from 1 account: 1 created, 0 updated, 0 unchanged, 1 error" in page


# Asking ----------------------------------------------------------------------


def test_sync_now_asks_for_everything(browser, schwab):
    browser.post(page_of(schwab, "sync"))
    assert Sync.objects.get().asked.is_everything


def test_what_was_read_moments_ago_is_read_anew_only_on_purpose(browser, schwab):
    schwab.last_sync_at = now() - timedelta(minutes=1)
    schwab.save()
    answer = browser.post(page_of(schwab, "sync"), follow=True)
    assert "This was read moments ago" in plain(answer)
    assert "Sync anyway" in plain(answer)
    assert not Sync.objects.exists()


def test_on_purpose_it_is_read_however_recent_that_was(browser, schwab):
    schwab.last_sync_at = now()
    schwab.save()
    browser.post(page_of(schwab, "sync"), {"force": "1"})
    assert Sync.objects.get().force


def test_another_reading_in_the_way_is_linked(browser, schwab, checking):
    part = Scope(kinds=frozenset({StepKind.HOLDINGS}), account_id=checking.pk)
    busy = make_sync(schwab, SyncStatus.RUNNING, scope=part.as_json())
    answer = browser.post(page_of(schwab, "sync"), follow=True)
    assert "Something else is being read from Charles Schwab" in plain(answer)
    assert f'{page_of(schwab, "syncs", busy.pk)}">See how far' in answer.content.decode()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("accounts", {}),
        ("transactions", {"transactions-start_date": "2026-01-01"}),
        ("holdings", {"holdings-account": "checking"}),
    ],
)
def test_a_part_alone_can_be_asked_for(browser, schwab, checking, kind, fields):
    sent = {name: checking.pk if text == "checking" else text for name, text in fields.items()}
    assert browser.post(page_of(schwab, "read", kind), sent).status_code == 302
    assert Sync.objects.get().asked.kinds == {StepKind(kind)}


def test_days_in_the_wrong_order_are_told_at_the_field(browser, schwab, checking):
    days = {"transactions-start_date": "2026-02-01", "transactions-end_date": "2026-01-01"}
    answer = browser.post(page_of(schwab, "read", "transactions"), days)
    assert answer.status_code == 422
    assert answer.context["parts"]["transactions"].errors["end_date"]
    assert "<details open" in re.sub(r' (class|id)="[^"]*"', "", answer.content.decode())


def test_the_account_of_a_stranger_cannot_be_chosen(browser, bob, schwab, checking):
    theirs = factories.make_account(bob)
    answer = browser.post(page_of(schwab, "read", "holdings"), {"holdings-account": theirs.pk})
    assert answer.status_code == 422
    assert not Sync.objects.exists()


def test_a_part_read_moments_ago_can_be_read_anyway(browser, schwab, checking):
    checking.holdings_synced_at = now()
    checking.save()
    address, sent = page_of(schwab, "read", "holdings"), {"holdings-account": checking.pk}
    assert "Read anyway" in plain(browser.post(address, sent))
    browser.post(address, {**sent, "holdings-force": "on"})
    assert Sync.objects.get().force


def test_transactions_of_no_account_are_said_to_need_accounts_first(browser, schwab):
    answer = browser.post(page_of(schwab, "read", "transactions"), follow=True)
    assert "Read accounts and balances first" in plain(answer)


@pytest.mark.parametrize("kind", ["everything", "balance_history"])
def test_a_part_there_is_not_is_not_found(browser, schwab, kind):
    assert browser.post(page_of(schwab, "read", kind)).status_code == 404


# Progress --------------------------------------------------------------------


def test_each_account_says_how_far_it_is(browser, alice, schwab, checking):
    states = (StepStatus.WAITING, StepStatus.RUNNING, StepStatus.SUCCEEDED, StepStatus.FAILED)
    sync = make_sync(schwab, SyncStatus.RUNNING)
    for number, state in enumerate(states):
        account = factories.make_account(alice, schwab, name=f"A{number}")
        code = "provider_unavailable" if state == StepStatus.FAILED else ""
        make_step(sync, "transactions", account, state, created=number, error_code=code)
    page = words(browser, page_of(schwab))
    assert "2 of 4 accounts read, 6 rows so far." in page
    for said in ("waiting", "reading · 1 row", "done · 2 rows", "could not be read"):
        assert said in page
    assert "Charles Schwab does not answer at the moment" in page


def test_an_account_is_done_when_all_its_steps_are(browser, schwab, checking):
    sync = make_sync(schwab, SyncStatus.RUNNING)
    make_step(sync, "transactions", checking, created=2)
    make_step(sync, "holdings", checking, StepStatus.WAITING)
    assert "0 of 1 account read" in words(browser, page_of(schwab))
    sync.steps.update(status=StepStatus.SUCCEEDED)
    assert "1 of 1 account read" in words(browser, page_of(schwab))


def test_the_live_part_brings_what_stands_outside_of_it(browser, schwab, checking):
    make_sync(schwab, SyncStatus.QUEUED)
    answer = browser.get(page_of(schwab), headers={"HX-Request": "true"}).content.decode()
    assert '<p id="announcement" class="visually-hidden" role="status" hx-swap-oob' in answer
    assert '<span id="badges" class="row" data-status="active" hx-swap-oob' in answer
    assert "<html" not in answer


def test_what_a_failed_sync_never_came_to_is_not_called_waiting(browser, schwab, checking):
    sync = make_sync(schwab, SyncStatus.FAILED, error_code="gave_up")
    make_step(sync, "transactions", checking, StepStatus.RUNNING)
    make_step(sync, "holdings", checking, StepStatus.WAITING)
    page = words(browser, page_of(schwab, "syncs", sync.pk))
    assert "broken off" in page
    assert "not read" in page
    assert "never came to its end" in page


# Health ----------------------------------------------------------------------


def test_the_oldest_balance_is_what_the_data_are_as_of(browser, alice, schwab, checking, settings):
    factories.make_account(alice, schwab, balance_as_of=now() - timedelta(days=2))
    day = f"{now() - timedelta(days=2):%b} {(now() - timedelta(days=2)).day}"
    assert f"Balances as of {day}" in words(browser, page_of(schwab))
    assert "the oldest of 2" in words(browser, page_of(schwab))


def test_the_last_change_is_that_of_the_last_sync_that_brought_something(browser, schwab, checking):
    long_ago = now() - timedelta(days=9)
    first = make_sync(schwab, requested_at=long_ago, finished_at=long_ago)
    make_step(first, "transactions", checking, created=1)
    make_step(make_sync(schwab), "transactions", checking, unchanged=1)
    assert "Last change 1 week ago" in words(browser, page_of(schwab))


def test_the_next_reading_is_told_and_why_it_is_late(browser, schwab):
    assert "Next reading in 3 hours by itself" in words(browser, page_of(schwab))
    schwab.failure_count = 4
    schwab.save()
    assert "the last 4 failed; after each failure we wait longer" in words(browser, page_of(schwab))


def test_a_connection_not_read_for_long_is_out_of_date_whatever_its_last_sync_said(
    browser, schwab, checking
):
    make_sync(schwab)
    assert "Out of date" not in words(browser, page_of(schwab))
    schwab.last_sync_at = now() - timedelta(hours=27)
    schwab.save()
    assert "The last good reading was" in words(browser, page_of(schwab))
    assert "Out of date" in words(browser, "/connections/")


def test_old_figures_are_said_although_reading_works(browser, schwab, checking):
    checking.balance_as_of = now() - timedelta(days=4)
    checking.save()
    assert "Reading works, but Charles Schwab itself tells" in words(browser, page_of(schwab))


def test_files_are_never_out_of_date(browser, connection, account):
    assert "Out of date" not in words(browser, page_of(connection))


def test_an_account_no_longer_told_of_is_named_with_what_to_do(browser, schwab, checking):
    checking.missing_since = now() - timedelta(days=1)
    checking.save()
    for address in (page_of(schwab), "/connections/", "/"):
        assert "has not told of “Checking” since" in words(browser, address)


def test_a_consent_says_how_many_days_are_left(browser, schwab):
    schwab.credentials_expires_at = now() + timedelta(days=5, hours=1)
    schwab.save()
    assert "5 days left" in words(browser, page_of(schwab))


# Attention -------------------------------------------------------------------


@pytest.mark.parametrize("status", ["expired", "revoked", "failed"])
def test_the_dashboard_leads_to_the_repair(browser, schwab, status):
    schwab.status = status
    schwab.save()
    page = browser.get("/").content.decode()
    assert "Connections that need you" in page
    assert page_of(schwab, "reconnect") in page


def test_the_dashboard_is_calm_while_all_is_well(browser, schwab, checking):
    assert "Connections that need you" not in words(browser, "/")
    assert "Connections that need you" not in words(browser, "/connections/attention/")


def test_what_is_out_of_date_can_be_read_from_the_dashboard(browser, schwab):
    schwab.last_sync_at = now() - timedelta(days=2)
    schwab.save()
    assert f'action="{page_of(schwab, "sync")}"' in browser.get("/").content.decode()


def test_invented_money_asks_for_nothing_in_a_real_house(browser, schwab, settings):
    schwab.status, schwab.is_sandbox = ConnectionStatus.EXPIRED, True
    schwab.save()
    assert "Connections that need you" not in words(browser, "/")


# History ---------------------------------------------------------------------


def test_the_history_says_who_asked_for_what_and_how_long_it_took(browser, schwab, checking):
    days = {"start_date": "2026-01-01", "end_date": "2026-01-31"}
    scope = {"kinds": ["transactions"], "account_id": str(checking.pk), **days}
    make_sync(schwab, scope=scope)
    make_sync(schwab, trigger="scheduled", requested_at=now())
    page = words(browser, page_of(schwab, "syncs"))
    said = "Transactions of Checking, Jan 1, 2026 to Jan 31, 2026 · 12 seconds"
    assert f"You asked for it · {said}" in page
    assert page.index("By itself, on schedule · Everything") < page.index(said)


def test_an_account_that_is_gone_is_no_riddle(browser, schwab):
    scope = {"kinds": ["holdings"], "account_id": "0192d1a0-0000-7000-8000-000000000000"}
    make_sync(schwab, scope=scope)
    assert "Holdings of an account that is gone" in words(browser, page_of(schwab, "syncs"))


def test_the_history_has_pages_of_twenty_five(browser, schwab):
    for _number in range(26):
        make_sync(schwab)
    assert words(browser, page_of(schwab, "syncs")).count("12 seconds") == 25
    assert words(browser, page_of(schwab, "syncs") + "?page=2").count("12 seconds") == 1
    assert words(browser, page_of(schwab)).count("12 seconds") == 5


def test_an_empty_history_says_so(browser, schwab):
    assert "Nothing was read yet" in words(browser, page_of(schwab, "syncs"))


# One sync --------------------------------------------------------------------


def changed(account, sync, **fields):
    """A transaction that a sync changed, by the real way in."""
    before = factories.row(provider_transaction_id="t1", status="pending")
    after = factories.row(**{"provider_transaction_id": "t1", **fields})
    for told in (before, after):
        save_transactions(account, from_provider([told]), sync_id=sync.pk)


def test_a_change_is_told_field_by_field_in_words(browser, schwab, checking):
    sync = make_sync(schwab)
    changed(checking, sync, amount="-5.25", name="CORNER CAFE", day="2026-01-06")
    page = words(browser, page_of(schwab, "syncs", sync.pk))
    for said in (
        "Status before: Pending → now: Settled",
        "Amount before: −$4.50 → now: −$5.25",
        "Description before: COFFEE → now: CORNER CAFE",
        "Date before: Jan 5, 2024 → now: Jan 6, 2026",
    ):
        assert said in page


def test_a_change_of_the_currency_keeps_each_amount_in_its_own(browser, schwab, checking):
    sync = make_sync(schwab)
    changed(checking, sync, amount="-5.25", currency="EUR")
    page = words(browser, page_of(schwab, "syncs", sync.pk))
    assert "Amount before: −$4.50 → now: −€5.25" in page


def test_a_change_of_nothing_a_person_reads_is_still_told(browser, schwab, checking):
    sync = make_sync(schwab)
    changed(checking, sync)
    revision = TransactionRevision.objects.get()
    revision.changes = {"provider_metadata": [{}, {"fee": "secret"}]}
    revision.save()
    page = words(browser, page_of(schwab, "syncs", sync.pk))
    assert "Details that only the institution uses" in page
    assert "secret" not in page


def test_new_transactions_are_counted_by_account_and_linked(browser, schwab, checking):
    sync = make_sync(schwab)
    make_step(sync, "transactions", checking, created=1234)
    answer = browser.get(page_of(schwab, "syncs", sync.pk)).content.decode()
    assert "1,234 new" in answer
    assert f"/transactions/?account={checking.pk}" in answer


def quarantined(step, **fields):
    return QuarantinedRecord.objects.create(
        user=step.user, step=step, **{"reason": "row_unreadable", **fields}
    )


def test_unreadable_rows_are_shown_with_their_reason_and_without_secrets(browser, schwab, checking):
    sync = make_sync(schwab, SyncStatus.PARTIAL)
    step = make_step(sync, "transactions", checking, quarantined=2)
    quarantined(step, params={"field": "netAmount"}, redacted='{"id": 7}', payload="v1.sealed")
    quarantined(step, reason="date_missing")
    page = words(browser, page_of(schwab, "syncs", sync.pk))
    assert "The field “netAmount” is missing or cannot be read." in page
    assert str(REASONS["date_missing"]) in page
    assert "sealed" not in page


def test_a_strangers_sync_is_not_found(browser, bob, schwab):
    theirs = factories.make_connection(bob)
    sync = make_sync(theirs)
    assert browser.get(page_of(theirs, "syncs", sync.pk)).status_code == 404
    assert browser.get(page_of(schwab, "syncs", sync.pk)).status_code == 404
    assert browser.get(page_of(theirs, "syncs")).status_code == 404


def test_an_imported_file_has_the_same_page(browser, connection, account):
    sync = make_sync(connection, SyncStatus.FAILED, trigger="file_import", error_code="truncated")
    page = words(browser, page_of(connection, "syncs", sync.pk))
    assert "One statement file" in page
    assert "This file is cut off before its end" in page


def fill(alice, connection, sync, number):
    """Accounts with steps, unreadable rows and revisions, so many of each."""
    for _each in range(number):
        account = factories.make_account(alice, connection)
        step = make_step(sync, "transactions", account, created=1, quarantined=1)
        quarantined(step)
        changed(account, sync, amount="-9.00")


@pytest.mark.parametrize("number", [1, 12])
def test_a_page_costs_the_same_whatever_a_sync_did(
    browser, alice, schwab, django_assert_num_queries, number
):
    sync = make_sync(schwab)
    fill(alice, schwab, sync, number)
    with django_assert_num_queries(9):
        browser.get(page_of(schwab, "syncs", sync.pk))


@pytest.mark.parametrize("number", [1, 12])
def test_a_connections_page_costs_the_same_whatever_its_syncs_did(
    browser, alice, schwab, django_assert_num_queries, number
):
    for _sync in range(number):
        fill(alice, schwab, make_sync(schwab), number)
    with django_assert_num_queries(12):
        browser.get(page_of(schwab))
    with django_assert_num_queries(8):
        browser.get(page_of(schwab, "syncs"))


def test_many_changes_are_counted_beyond_the_first_hundred(browser, alice, schwab, checking):
    sync = make_sync(schwab)
    rows = factories.many(103)
    save_transactions(checking, from_provider(rows), sync_id=sync.pk)
    for txn in Transaction.objects.all():
        TransactionRevision.objects.create(
            user=alice, transaction=txn, sync=sync, changes={"amount": ["1", "2"]}
        )
    assert "and 3 more" in words(browser, page_of(schwab, "syncs", sync.pk))
