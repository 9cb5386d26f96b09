"""Events are numbered gaplessly per person, inside the transaction of what they report."""

import threading
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from django.db import connection as db_connection
from django.db.transaction import TransactionManagementError, atomic, set_rollback

from dashtam.events import (
    EVENTS,
    NewEvent,
    Resync,
    after,
    as_message,
    last_sequence,
    last_sequences,
    record,
)
from dashtam.models import Event, Feed
from tests.dashtam.sockets import PROGRESS, tell

pytestmark = pytest.mark.django_db

WRITERS = 6
EACH = 15


def numbers(user):
    return list(
        Event.objects.for_user(user).order_by("sequence").values_list("sequence", flat=True)
    )


def numbers_after(user, since, limit):
    found = after(user.pk, since, limit)
    assert not isinstance(found, Resync)
    return [event.sequence for event in found]


def test_events_are_numbered_from_one_without_a_gap(alice):
    tell(alice, 3)
    tell(alice)
    assert numbers(alice) == [1, 2, 3, 4]
    assert last_sequence(alice.pk) == 4


def test_two_people_have_numbers_of_their_own(alice, bob):
    tell(alice, 2)
    tell(bob)
    assert (numbers(alice), numbers(bob)) == ([1, 2], [1])
    assert last_sequences([alice.pk, bob.pk, uuid4()]) == {alice.pk: 2, bob.pk: 1}


def test_nothing_to_record_takes_no_number(alice):
    tell(alice, 0)
    assert last_sequence(alice.pk) == 0
    assert not Feed.objects.exists()


def test_an_event_keeps_what_it_says_and_who_asked(alice):
    payload = {
        "connection_id": alice.pk,
        "counts": {"created": 2},
        "delta": "1.5",
        "list": (1, None),
    }
    with atomic():
        record(alice.pk, NewEvent("import.completed", payload), request_id="r1", ip="::1")
    event = Event.objects.get()
    assert event.payload == {**payload, "connection_id": str(alice.pk), "list": [1, None]}
    assert (event.category, event.is_audit) == ("import", True)
    assert (event.request_id, event.ip) == ("r1", "::1")


@pytest.mark.django_db(transaction=True)
def test_a_rollback_leaves_no_event_and_no_gap(alice):
    tell(alice)
    with atomic():
        record(alice.pk, NewEvent(PROGRESS))
        set_rollback(True)
    tell(alice)
    assert numbers(alice) == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_nothing_is_recorded(alice):
    with pytest.raises(TransactionManagementError):
        record(alice.pk, NewEvent(PROGRESS))


@pytest.mark.parametrize("amount", [Decimal("1.5"), 1.5, [Decimal(1)], {"deep": {"er": 0.1}}, {1}])
def test_money_in_a_payload_has_to_be_text(alice, amount):
    with pytest.raises(TypeError, match="text and whole numbers"), atomic():
        record(alice.pk, NewEvent(PROGRESS, {"amount": amount}))


def test_an_unknown_name_is_refused(alice):
    with pytest.raises(ValueError, match=r"'import\.guessed'"), atomic():
        record(alice.pk, NewEvent("import.guessed"))


def test_attempts_and_outcomes_are_audit_and_progress_and_portfolio_are_not():
    operational = {name for name, (_category, is_audit) in EVENTS.items() if not is_audit}
    assert operational == {
        "sync.transactions.progress",
        "import.progress",
        "portfolio.balance.updated",
        "portfolio.holdings.updated",
        "portfolio.networth.updated",
    }


@pytest.mark.django_db(transaction=True)
def test_concurrent_writers_leave_no_gap_and_no_double(alice):
    def write():
        for _ in range(EACH):
            tell(alice, 2)
        db_connection.close()

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(alice) == list(range(1, 2 * WRITERS * EACH + 1))


def test_a_reader_gets_what_came_after_in_order_and_in_bounds(alice, bob):
    tell(alice, 5)
    tell(bob, 9)
    assert numbers_after(alice, 2, 2) == [3, 4]
    assert numbers_after(alice, 5, 10) == []


def test_a_number_never_given_out_asks_for_a_new_start(alice):
    tell(alice, 2)
    assert after(alice.pk, 3, 10) == Resync(2)
    assert after(uuid4(), 1, 10) == Resync(0)


def test_what_is_no_longer_kept_asks_for_a_new_start(alice):
    tell(alice, 5)
    Event.objects.filter(sequence__lte=3).delete()
    Feed.objects.update(pruned_through=3)
    assert after(alice.pk, 2, 10) == Resync(5)
    assert numbers_after(alice, 3, 10) == [4, 5]


def test_a_message_says_everything_a_client_needs(alice):
    tell(alice)
    message = as_message(Event.objects.get())
    assert datetime.fromisoformat(message.pop("occurred_at")).tzinfo is not None
    assert message == {
        "type": "event", "sequence": 1, "name": PROGRESS, "category": "import", "payload": {"n": 0},
    }  # fmt: skip


def test_recording_costs_the_same_for_one_event_and_for_many(alice, django_assert_num_queries):
    tell(alice)
    for count in (1, 40):
        extra = db_connection.vendor == "postgresql"
        with atomic(), django_assert_num_queries(3 + extra):
            record(UUID(str(alice.pk)), *[NewEvent(PROGRESS)] * count)
