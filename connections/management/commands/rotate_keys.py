"""`manage.py rotate_keys`: every seal under the newest key, while the product runs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dashtam.sealed import SEALED, count, reseal
from dashtam.vault import vault

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Put the new key in front of DASHTAM_KEYS, restart every process, then run this."""

    help = (
        "Seal everything with the first key of DASHTAM_KEYS. Put the new key in front, restart "
        "every process, then run this; it may be interrupted and run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--verify only looks."""
        parser.add_argument(
            "--verify", action="store_true", help="change nothing: count what each key still seals"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Move what is to be moved, then open everything and say which keys are still needed."""
        if not options["verify"]:
            for sealed in SEALED:
                self.stdout.write(f"{sealed}: {reseal(sealed).moved} sealed anew")
        by_key, unopened = self._counted()
        self._say_what_may_go(by_key)
        if unopened:
            raise CommandError(f"{unopened} seals could not be opened with the keys there are.")

    def _counted(self) -> tuple[Counter[str], int]:
        by_key: Counter[str] = Counter()
        unopened = 0
        for sealed in SEALED:
            tally = count(sealed)
            by_key += tally.by_key
            unopened += len(tally.unopened)
            for pk in tally.unopened:
                self.stderr.write(f"{sealed} {pk}: no key opens it")
        return by_key, unopened

    def _say_what_may_go(self, by_key: Counter[str]) -> None:
        ring = vault(settings.DASHTAM_KEYS)
        for kid in ring.key_ids:
            self.stdout.write(f"key {kid}: {by_key[kid]} seals")
            if kid != ring.sealing_key and not by_key[kid]:
                self.stdout.write(
                    f"key {kid} may be taken out of DASHTAM_KEYS; keep a copy of it as long as "
                    "there are backups from before."
                )
