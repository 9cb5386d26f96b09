"""Putting many tasks on the queue at once, and asking how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Min
from django.utils.timezone import now
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.tasks import async_task

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class _Collector:
    """Takes the place of django-q2's broker: keeps the signed tasks instead of a row for each."""

    def __init__(self) -> None:
        self.list_key: str = Conf.CLUSTER_NAME
        self.packed: list[str] = []

    def enqueue(self, packed: str) -> int:
        """Keep one; returns how many there are."""
        self.packed.append(packed)
        return len(self.packed)


def put_all(tasks: Iterable[tuple[str, str]]) -> None:
    """Queue these (function, id) inside the caller's transaction: one INSERT per 500 of them."""
    collector, moment = _Collector(), now()
    for function, row_id in tasks:
        async_task(function, row_id, broker=collector)
    rows = [
        OrmQ(key=collector.list_key, payload=packed, lock=moment) for packed in collector.packed
    ]
    OrmQ.objects.bulk_create(rows, batch_size=500)


def waiting_since() -> datetime | None:
    """Since when the oldest task that no worker has taken waits; None when none does.

    Whatever was queued before that has been taken, or was lost.
    """
    waiting = OrmQ.objects.filter(lock__lte=now())
    oldest: datetime | None = waiting.aggregate(oldest=Min("lock"))["oldest"]
    return oldest
