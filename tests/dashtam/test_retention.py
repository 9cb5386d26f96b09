"""What is not kept for ever goes, in steps, and no reader takes a hole for the whole."""

from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection as db_connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from django_q.models import Task

from connections.models import OAuthState, QuarantinedRecord, SyncStep
from connections.types import StepKind
from dashtam import retention
from dashtam.events import Resync, after, last_sequence
from dashtam.models import Event, Feed
from tests.dashtam.sockets import tell

pytestmark = pytest.mark.django_db

OLD = timedelta(days=31)
MANY = 20_000


def happened(user, kinds, age=OLD):
    """Events of this person, `a`udit or `o`perational, one after the other."""
    first = last_sequence(user.pk) + 1
    rows = [
        Event(
            user=user,
            sequence=sequence,
            name="import.progress",
            category="import",
            is_audit=kind == "a",
            occurred_at=now() - age,
        )
        for sequence, kind in enumerate(kinds, start=first)
    ]
    Event.objects.bulk_create(rows, batch_size=5000)
    Feed.objects.update_or_create(user=user, defaults={"last_sequence": first + len(rows) - 1})


def kept(user):
    found = Event.objects.for_user(user).order_by("sequence")
    return list(found.values_list("sequence", flat=True))


def test_old_operational_events_go_and_audit_stays_for_ever(alice):
    happened(alice, "aoao", age=timedelta(days=4000))
    happened(alice, "oa", age=timedelta(days=29))
    retention.prune()
    assert kept(alice) == [1, 3, 5, 6]


def test_who_asks_for_more_than_is_kept_starts_anew(alice, bob):
    happened(alice, "ooa")
    tell(alice)
    tell(bob)
    retention.prune()
    assert after(alice.pk, 0, 10) == Resync(4)
    assert after(alice.pk, 1, 10) == Resync(4)
    assert [event.sequence for event in after(alice.pk, 2, 10)] == [3, 4]
    assert [event.sequence for event in after(bob.pk, 0, 10)] == [1]


def test_the_numbers_go_on_where_they_were(alice):
    happened(alice, "oo")
    retention.prune()
    tell(alice)
    assert kept(alice) == [3]


def test_a_feed_is_never_moved_back(alice):
    happened(alice, "ooo")
    Feed.objects.update(pruned_through=2)
    Event.objects.filter(sequence__gt=1).update(occurred_at=now())
    retention.prune()
    assert Feed.objects.get().pruned_through == 2


@pytest.mark.parametrize("seed", range(20))
def test_what_a_reader_is_given_has_no_hole_after_any_step(alice, bob, monkeypatch, seed):
    monkeypatch.setattr(retention, "BATCH", 3)
    chance = Random(seed)
    for user in (alice, bob):
        for _ in range(12):
            happened(user, chance.choice("ao"), age=timedelta(days=chance.randint(20, 40)))
    while retention.prune_events():
        assert_no_hole(alice)
        assert_no_hole(bob)
    assert not Event.objects.filter(is_audit=False, occurred_at__lt=now() - OLD).exists()


def assert_no_hole(user):
    """Whatever number a client has: it is told to start anew, or given everything after it."""
    for since in range(13):
        found = after(user.pk, since, 100)
        if not isinstance(found, Resync):
            numbers = [since, *(event.sequence for event in found)]
            assert all(two == one + 1 for one, two in pairwise(numbers))
            assert numbers[-1] == last_sequence(user.pk)


def test_a_step_costs_the_same_however_much_there_is(alice, django_assert_num_queries):
    happened(alice, "o" * 3 * retention.BATCH)
    savepoint = 2
    with django_assert_num_queries(3 + savepoint):
        assert retention.prune_events() == retention.BATCH


def test_a_run_that_is_out_of_time_says_so_and_the_next_goes_on(alice):
    happened(alice, "oo")
    assert retention.prune(seconds=0).is_done is False
    assert kept(alice) == [1, 2]
    assert retention.prune().is_done is True
    assert kept(alice) == []


def test_a_great_many_events_go_in_short_steps(alice, bob, monkeypatch):
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)
    happened(alice, "oooa" * (MANY // 8))
    happened(bob, "oooa" * (MANY // 8))
    with CaptureQueriesContext(db_connection) as asked:
        assert retention.prune().counts["events"] == 3 * MANY // 4
    assert Event.objects.count() == MANY // 4
    steps = 3 * MANY // 4 / retention.BATCH
    assert len(asked) < 8 * (steps + 10)


# The planner of PostgreSQL reads a small table as a whole.
@pytest.mark.sqlite
def test_the_search_for_old_events_uses_its_index(alice):
    old = Event.objects.filter(is_audit=False, occurred_at__lt=now()).order_by("occurred_at")
    assert "USING INDEX event_operational" in old[: retention.BATCH].explain()


def test_ended_sessions_and_ways_to_a_provider_go(alice):
    for name, hours in (("gone", -1), ("open", 1)):
        Session.objects.create(session_key=name, expire_date=now() + timedelta(hours=hours))
    for mark, hours in (("gone", -25), ("fresh", -23)):
        expires_at = now() + timedelta(hours=hours)
        OAuthState.objects.create(
            user=alice, provider_slug="bank", state_mark=mark, expires_at=expires_at
        )
    retention.prune()
    assert Session.objects.get().pk == "open"
    assert OAuthState.objects.get().state_mark == "fresh"


def test_failed_jobs_go_after_a_month():
    for name, days in (("old", 31), ("new", 29)):
        moment = now() - timedelta(days=days)
        Task.objects.create(id=name, name=name, func="f", started=moment, stopped=moment)
    retention.prune()
    assert Task.objects.get().pk == "new"


def test_a_row_put_right_long_ago_loses_its_contents_and_nothing_else(sync):
    step = SyncStep.objects.create(user=sync.user, sync=sync, kind=StepKind.TRANSACTIONS)
    for name, days in (("long ago", 91), ("lately", 89), ("open", None)):
        QuarantinedRecord.objects.create(
            user=sync.user,
            step=step,
            provider_id=name,
            reason="amount",
            payload="sealed",
            redacted="row",
            resolved_at=now() - timedelta(days=days) if days else None,
        )
    retention.prune()
    rows = QuarantinedRecord.objects.values_list("provider_id", "payload", "redacted", "reason")
    full = ("sealed", "row", "amount")
    assert set(rows) == {("long ago", "", "", "amount"), ("lately", *full), ("open", *full)}


def test_the_command_says_what_went(alice, capsys):
    happened(alice, "ooa")
    call_command("prune")
    assert "2 events" in capsys.readouterr().out
