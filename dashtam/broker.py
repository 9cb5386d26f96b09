"""The queue on PostgreSQL: several hosts take different tasks, none races for the same one."""

from datetime import timedelta
from time import sleep

from django.db.transaction import atomic
from django.utils.timezone import now
from django_q.brokers.orm import ORM
from django_q.conf import Conf


class SkipLocked(ORM):  # type: ignore[misc]
    """django-q2's database broker, claiming rows that no other cluster is claiming right now."""

    def dequeue(self) -> list[tuple[int, str]]:
        """Return up to `bulk` (id, payload) pairs, oldest first, hidden from others for `retry` s.

        Sleeps `poll` seconds before it returns none.
        """
        queue = self.get_connection()  # outside the transaction: here stale connections are closed
        with atomic(using=Conf.ORM):
            waiting = queue.filter(key=self.list_key, lock__lte=now()).order_by("id")
            tasks = list(waiting.select_for_update(skip_locked=True)[: Conf.BULK])
            until = now() + timedelta(seconds=Conf.RETRY)
            queue.filter(pk__in=[task.pk for task in tasks]).update(lock=until)
        if not tasks:
            sleep(Conf.POLL)
        return [(task.pk, task.payload) for task in tasks]
