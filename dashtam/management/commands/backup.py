"""`manage.py backup FILE`: everything there is, in one sealed file, while Dashtam runs."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from dashtam.backup.errors import BackupError
from dashtam.backup.passphrase import new_passphrase
from dashtam.backup.writing import Made, write_backup
from dashtam.vault import VaultError


class Command(BaseCommand):
    """Nothing has to be stopped for it."""

    help = (
        "Write everything there is into one sealed file that `restore` reads on SQLite and "
        "PostgreSQL alike. It opens with the keys in the settings only."
    )

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to, and whether the keys go with it."""
        parser.add_argument("file", type=Path, help="The file to write.")
        parser.add_argument("--force", action="store_true", help="Replace the file if it is there.")
        parser.add_argument(
            "--include-keys",
            action="store_true",
            help="Put the keys into the file too, under a passphrase that is asked for.",
        )
        parser.add_argument(
            "--passphrase-file", type=Path, help="Where the passphrase stands, instead of asking."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it and say what opens it."""
        try:
            passphrase = passphrase_of(options)
            made = write_backup(options["file"], passphrase=passphrase, force=options["force"])
        except (BackupError, VaultError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            said = " ".join(str(error).split())
            raise CommandError(f"The database cannot be read: {said}") from error
        self.stdout.write(
            f"{options['file']}: {made.rows} rows, {made.size_bytes} bytes\nstate {made.state}"
        )
        self.stdout.write(self.style.WARNING(warning(made, has_keys=bool(passphrase))))


def passphrase_of(options: dict[str, Any]) -> str:
    """The passphrase for the keys, empty when they are not to be in the file."""
    if options["include_keys"]:
        return new_passphrase(options["passphrase_file"])
    if options["passphrase_file"]:
        raise BackupError("A passphrase is for --include-keys only.")
    return ""


def warning(made: Made, *, has_keys: bool) -> str:
    """What the operator has to keep elsewhere."""
    place = os.environ.get("DASHTAM_ENV_FILE", settings.BASE_DIR / ".env")
    keys = f"DASHTAM_KEYS (key {made.key_id}) and DASHTAM_FINGERPRINT_KEY, as in {place},"
    if has_keys:
        return (
            f"KEEP THE PASSPHRASE. Whoever has it and this file has everything. Without it and "
            f"without {keys} this backup cannot be opened."
        )
    return (
        f"KEEP A COPY OF THE KEYS, AWAY FROM THIS FILE. Without {keys} this backup cannot be "
        "opened by anybody."
    )
