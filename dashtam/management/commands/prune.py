"""`manage.py prune`: what the schedule does once a day, now and to the end."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from dashtam import retention


class Command(BaseCommand):
    help = "Remove what is not kept any longer. It may be interrupted, and run beside everything."

    def handle(self, *args: Any, **options: Any) -> None:
        for name, count in retention.prune().counts.items():
            self.stdout.write(f"{count:>9} {name}")
