"""Operators have connections synced and disconnected, and syncs run again; all of it is logged."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils.timezone import now

from connections.models import Connection, ProviderSetting, QuarantinedRecord, Sync, SyncStep
from connections.types import ConnectionStatus, StepKind, SyncStatus
from tests.connections.journeys import connect
from tests.factories import make_account, make_connection, make_user

pytestmark = pytest.mark.django_db

CONNECTIONS = reverse("admin:connections_connection_changelist")
SYNCS = reverse("admin:connections_sync_changelist")


@pytest.fixture
def operator(client):
    """A browser in which an operator is signed in."""
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def helper(client):
    """A browser of somebody on the staff who may look, and no more."""
    person = make_user(is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(person)
    client.person = person
    return client


@pytest.fixture
def schwab(alice, settings):
    """Alice's working connection to a provider that is called."""
    settings.SANDBOX = False
    return make_connection(alice, provider_slug="schwab", institution_name="Charles Schwab")


def act(browser, address, action, *rows, **more):
    """Choose an action for these rows; returns the page that answers."""
    form = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return browser.post(address, form, follow=True)


def words(page):
    return [str(message) for message in page.context["messages"]]


def log():
    return list(LogEntry.objects.order_by("pk").values_list("object_id", "change_message"))


def test_a_connection_is_synced_now(operator, schwab):
    page = act(operator, CONNECTIONS, "sync_now", schwab)
    assert words(page) == ["1 sync is queued, or was waiting already."]
    assert Sync.objects.get().connection == schwab
    assert log() == [(str(schwab.pk), "sync_now")]


def test_asked_twice_it_is_queued_once(operator, schwab):
    for _n in range(2):
        act(operator, CONNECTIONS, "sync_now", schwab)
    assert Sync.objects.count() == 1


def test_what_is_refused_is_said_in_words_and_logged(operator, schwab, alice):
    files = make_connection(alice, institution_name="First Bank")
    gone = make_connection(alice, provider_slug="gone", institution_name="Gone Bank")
    Connection.objects.filter(pk=schwab.pk).update(status=ConnectionStatus.EXPIRED)
    page = act(operator, CONNECTIONS, "sync_now", schwab, files, gone)
    assert sorted(words(page)) == [
        "Charles Schwab: The connection does not work, and only its person can repair it.",
        "First Bank: There is no provider to call: it is fed with files or by hand.",
        "Gone Bank: The provider is not part of this version.",
    ]
    assert (str(files.pk), "sync_now: not_fetched") in log()
    assert not Sync.objects.exists()


def test_a_switched_off_provider_is_a_refusal_too(operator, schwab):
    ProviderSetting.objects.update_or_create(slug="schwab", defaults={"enabled": False})
    page = act(operator, CONNECTIONS, "sync_now", schwab)
    assert words(page) == ["Charles Schwab: The provider is switched off."]


def test_disconnecting_asks_first(operator, schwab):
    page = act(operator, CONNECTIONS, "disconnect", schwab)
    assert "cannot be brought back" in page.content.decode()
    schwab.refresh_from_db()
    assert schwab.status == ConnectionStatus.ACTIVE
    assert not log()


def test_disconnecting_destroys_the_sign_in_and_keeps_the_data(operator, browser_free, bank):
    made = browser_free
    account = make_account(made.user, made)
    page = act(operator, CONNECTIONS, "disconnect", made, confirmed="yes")
    assert words(page) == ["1 connection is disconnected; its data are kept."]
    made.refresh_from_db()
    account.refresh_from_db()
    assert (made.status, made.credentials) == (ConnectionStatus.DISCONNECTED, "")
    assert not account.is_active
    assert log() == [(str(made.pk), "disconnect")]


@pytest.fixture
def browser_free(alice, bank, client):
    """A connection that alice made herself, in a browser she has left."""
    client.force_login(alice)
    made = connect(client, bank)
    client.logout()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return Connection.objects.get(pk=made.pk)


def test_disconnected_twice_is_said(operator, schwab):
    for _n in range(2):
        page = act(operator, CONNECTIONS, "disconnect", schwab, confirmed="yes")
    assert words(page) == ["Charles Schwab: It is disconnected already."]


def test_a_sync_is_run_again_as_it_was_asked(operator, schwab):
    scope = {"kinds": ["accounts"]}
    done = make_done(schwab, scope=scope)
    page = act(operator, SYNCS, "run_again", done)
    assert words(page) == ["1 sync is queued, or was waiting already."]
    again = Sync.objects.exclude(pk=done.pk).get()
    assert (again.scope, again.force, again.status) == (scope, True, SyncStatus.QUEUED)
    assert log() == [(str(done.pk), "run_again")]


def make_done(connection, **fields):
    """A sync that has failed."""
    return Sync.objects.create(
        user=connection.user,
        connection=connection,
        **{"trigger": "manual", "status": "failed", "error_code": "internal_error", **fields},
    )


def test_a_sync_beside_one_of_other_scope_is_refused_in_words(operator, schwab):
    done = make_done(schwab)
    make_done(schwab, status="queued", error_code="", scope={"kinds": ["accounts"]})
    page = act(operator, SYNCS, "run_again", done)
    assert "Another sync of the connection is not finished yet." in words(page)[0]


def test_a_statement_is_not_read_again_from_here(operator, connection):
    page = act(operator, SYNCS, "run_again", make_done(connection))
    assert "fed with files" in words(page)[0]
    assert Sync.objects.count() == 1


def test_many_refusals_are_one_message(operator, alice):
    many = [make_connection(alice, institution_name=f"Bank {n}") for n in range(8)]
    page = act(operator, CONNECTIONS, "sync_now", *many)
    [words_of_it] = words(page)
    assert "and 3 more: There is no provider to call" in words_of_it


@pytest.mark.parametrize("action", ["sync_now", "disconnect"])
def test_who_may_only_look_may_not_act(helper, schwab, action):
    assert helper.get(CONNECTIONS).status_code == 200
    act(helper, CONNECTIONS, action, schwab, confirmed="yes")
    schwab.refresh_from_db()
    assert schwab.status == ConnectionStatus.ACTIVE
    assert not Sync.objects.exists()


def test_who_may_only_look_may_not_run_again(helper, schwab):
    act(helper, SYNCS, "run_again", make_done(schwab))
    assert Sync.objects.count() == 1


def test_the_permission_lets_somebody_who_is_no_superuser_act(helper, schwab):
    helper.person.user_permissions.add(Permission.objects.get(codename="operate_connection"))
    act(helper, CONNECTIONS, "sync_now", schwab)
    assert Sync.objects.count() == 1


def test_no_page_of_an_action_shows_what_is_sealed(operator, browser_free, bank):
    pages = [
        act(operator, CONNECTIONS, "sync_now", browser_free),
        act(operator, CONNECTIONS, "disconnect", browser_free),
        operator.get(reverse("admin:connections_connection_history", args=[browser_free.pk])),
    ]
    secrets = [browser_free.credentials, *(one.reveal() for one in browser_free.open().values())]
    assert not any(secret in page.content.decode() for page in pages for secret in secrets)


def listed(browser, **query):
    page = browser.get(CONNECTIONS, query)
    return {row.institution_name for row in page.context["cl"].result_list}


@pytest.fixture
def some(alice):
    """One of each kind of trouble."""
    late, soon = now() - timedelta(hours=2), now() - timedelta(minutes=30)
    make_connection(alice, institution_name="fine", next_sync_at=soon)
    make_connection(alice, institution_name="late", next_sync_at=late)
    make_connection(alice, institution_name="expired", status="expired")
    make_connection(alice, institution_name="unfinished", status="pending")
    make_connection(alice, institution_name="gone", status="disconnected")


def test_those_that_need_their_people_are_found(operator, some):
    assert listed(operator, needs_person="yes") == {"expired", "unfinished"}


def test_those_that_are_overdue_are_found(operator, some):
    assert listed(operator, overdue="yes") == {"late"}
    assert len(listed(operator)) == 5


def test_the_list_says_how_the_last_sync_went(operator, schwab):
    make_done(schwab, requested_at=now() - timedelta(days=1), error_code="gave_up")
    make_done(schwab, error_code="provider_unavailable")
    page = operator.get(CONNECTIONS).content.decode()
    assert "Failed: provider_unavailable" in page
    assert "gave_up" not in page


def test_a_long_list_takes_as_many_statements_as_a_short_one(
    operator, schwab, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12) as short:
        operator.get(CONNECTIONS)
    for _n in range(30):
        make_done(make_connection(make_user(), next_sync_at=now()))
    with django_assert_max_num_queries(len(short)):
        operator.get(CONNECTIONS)


def test_a_quarantined_row_shows_its_reason_and_its_redacted_view(operator, sync):
    step = SyncStep.objects.create(user=sync.user, sync=sync, kind=StepKind.TRANSACTIONS)
    row = QuarantinedRecord.objects.create(
        user=sync.user,
        step=step,
        reason="bad_amount",
        payload="v1.t1.sealed",
        params={"field": "CANARY"},
        redacted="<STMTTRN>••••1234",
    )
    address = reverse("admin:connections_quarantinedrecord_change", args=[row.pk])
    page = operator.get(address).content.decode()
    assert "bad_amount" in page
    assert "••••1234" in page
    assert "sealed" not in page
    assert "CANARY" not in page
