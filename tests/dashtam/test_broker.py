"""The queue on PostgreSQL: each task to one taker, and nobody waits for another's lock."""

from datetime import timedelta
from threading import Thread

import pytest
from django.conf import settings
from django.db import connection
from django.db.transaction import atomic
from django.utils.timezone import now
from django_q.brokers import get_broker
from django_q.models import OrmQ

from dashtam.broker import SkipLocked

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def broker():
    return SkipLocked("dashtam")


def in_threads(count, work):
    def run():
        work()
        connection.close()

    threads = [Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_queue_on_postgresql_uses_it():
    assert settings.Q_CLUSTER["broker_class"] == "dashtam.broker.SkipLocked"
    assert isinstance(get_broker(), SkipLocked)


def test_a_task_is_taken_once_and_comes_back_when_it_was_not_acknowledged(broker):
    broker.enqueue("payload")
    [(pk, payload)] = broker.dequeue()
    assert payload == "payload"
    assert broker.dequeue() == []
    OrmQ.objects.update(lock=now() - timedelta(seconds=1))
    assert broker.dequeue() == [(pk, "payload")]


def test_the_oldest_comes_first_and_an_acknowledged_one_is_gone(broker):
    for payload in ("first", "second"):
        broker.enqueue(payload)
    [(pk, payload)] = broker.dequeue()
    broker.acknowledge(pk)
    assert payload == "first"
    assert [task.payload for task in OrmQ.objects.all()] == ["second"]


def test_a_row_that_another_takes_right_now_is_passed_by(broker):
    for payload in ("locked", "free"):
        broker.enqueue(payload)
    taken = []
    with atomic():
        OrmQ.objects.select_for_update().get(payload="locked")
        in_threads(1, lambda: taken.extend(broker.dequeue()))
    assert [payload for _pk, payload in taken] == ["free"]


def test_many_takers_share_the_queue_without_doubles(broker):
    OrmQ.objects.bulk_create(
        OrmQ(key="dashtam", payload=str(n), lock=now() - timedelta(seconds=1)) for n in range(60)
    )
    taken: list[tuple[int, str]] = []
    in_threads(4, lambda: taken.extend(task for _ in range(15) for task in broker.dequeue()))
    assert sorted(int(payload) for _pk, payload in taken) == list(range(60))


def test_another_queue_is_left_alone(broker):
    SkipLocked("other").enqueue("theirs")
    assert broker.dequeue() == []
