"""`manage.py verify`: whether everything is as it must be. It only reads."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from dashtam.backup.snapshot import reading
from dashtam.backup.state import hashed
from dashtam.backup.tables import tables
from dashtam.invariants.registry import Findings, looked_at

WIDTH = 72


class Command(BaseCommand):
    """Exit status 1 when anything is wrong."""

    help = (
        "Look whether everything in the database is as it must be, and name what is not. It only "
        "reads, while Dashtam runs or not; the exit status is 1 when anything is wrong."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--hash tells instead what the rows hash to."""
        parser.add_argument(
            "--hash",
            action="store_true",
            help="Only print the hash of all rows that a backup holds, as backup and restore do.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each invariant and a sentence for each row that breaks one."""
        try:
            with reading():
                bad = self._hash() if options["hash"] else self._verify()
        except DatabaseError as error:
            said = " ".join(str(error).split())
            raise CommandError(f"The database cannot be used: {said}") from error
        if bad:
            self.stdout.write(self.style.ERROR(f"{bad} of these are BAD"))
            sys.exit(1)

    def _hash(self) -> int:
        _tallies, state = hashed(tables())
        self.stdout.write(f"state {state}")
        return 0

    def _verify(self) -> int:
        bad = 0
        for title, findings in looked_at():
            self._tell(title, findings)
            bad += bool(findings.count)
        return bad

    def _tell(self, title: str, findings: Findings) -> None:
        verdict = self.style.ERROR("BAD") if findings.count else self.style.SUCCESS("OK")
        self.stdout.write(f"{title:{WIDTH}} {findings.looked_at:>9} {findings.count:>6}  {verdict}")
        for sentence in findings.sentences:
            self.stdout.write(f"    {sentence}")
        if findings.count > len(findings.sentences):
            self.stdout.write(f"    and {findings.count - len(findings.sentences)} more")
