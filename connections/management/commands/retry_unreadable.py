"""`manage.py retry_unreadable`: after the reader was mended, try every row again that waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from connections.models import QuarantinedRecord
from connections.retrying import retry

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Queues a sync for each connection that has open rows; the worker does them."""

    help = "Try every open unreadable row again, from what was kept of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--provider and --reason narrow down what is tried."""
        parser.add_argument("--provider", help="only rows of this provider, by its slug")
        parser.add_argument("--reason", help="only rows with this reason code")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Queue the tries, and say how many and what was left out."""
        rows = QuarantinedRecord.objects.open()
        if options["provider"]:
            rows = rows.filter(step__sync__connection__provider_slug=options["provider"])
        if options["reason"]:
            rows = rows.filter(reason=options["reason"])
        asked = retry(rows)
        self.stdout.write(f"{asked.rows} rows of {len(asked.syncs)} connections are queued.")
        if asked.busy:
            self.stdout.write(
                f"{len(asked.busy)} connections are being read: run this again in a minute."
            )
