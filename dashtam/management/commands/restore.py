"""`manage.py restore FILE`: a backup into an empty installation, on either database."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from dashtam.backup.errors import BackupError
from dashtam.backup.passphrase import known_passphrase
from dashtam.backup.restoring import (
    Backup,
    check_fingerprint,
    check_target,
    look_through,
    restore,
)
from dashtam.init_env import write_private
from dashtam.vault import VaultError, vault


class Command(BaseCommand):
    """Nothing is touched before the whole file has been looked through."""

    help = (
        "Restore a backup into an empty database, SQLite or PostgreSQL, migrated or not. The file "
        "is looked through to its end before anything is touched."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where from, and what to do with keys that come with it."""
        parser.add_argument("file", type=Path, help="The backup.")
        parser.add_argument(
            "--passphrase-file",
            type=Path,
            help="Where the passphrase of a backup with its keys stands, instead of asking.",
        )
        parser.add_argument(
            "--write-keys",
            type=Path,
            metavar="FILE",
            help="Where to write the keys that come with the backup, as lines for .env.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Look through, check, restore, and say what came of it."""
        try:
            backup = look_through(
                options["file"], lambda: known_passphrase(options["passphrase_file"])
            )
            check_fingerprint(backup)
            check_target(backup)
            self._take_keys(backup, options["write_keys"])
            restored = restore(backup)
        except (BackupError, VaultError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            said = " ".join(str(error).split())
            raise CommandError(f"The database cannot be used: {said}") from error
        self.stdout.write(f"{restored.rows} rows are back\nstate {restored.state}")
        if restored.is_upgraded:
            self.stdout.write("The database was then brought up to this version.")
        self.stdout.write(
            "Everybody signs in again. `manage.py verify` looks at what was restored. Never let "
            "this installation and the old one run at once: providers would end both sign-ins."
        )

    def _take_keys(self, backup: Backup, place: Path | None) -> None:
        """Keep the keys that came with the backup, before there is anything only they can open."""
        if backup.brings_keys:
            if place is None:
                raise BackupError(
                    "The settings have other keys than this backup: add --write-keys FILE, and "
                    "put the lines of that file into .env in place of those that are there."
                )
            lines = "".join(f"{name}={value}\n" for name, value in backup.keys.items())
            _keep(place, lines)
            self.stdout.write(f"Put the lines of {place} into .env before Dashtam starts.")
        ring = vault(backup.keys["DASHTAM_KEYS"]).key_ids
        missing = [key for key in backup.contents.key_ids if key not in ring]
        if missing:
            self.stderr.write(
                f"DASHTAM_KEYS has no {', '.join(missing)}, which the backed-up installation had: "
                "what those keys still seal will not open."
            )


def _keep(place: Path, lines: str) -> None:
    """Write the keys, unless an interrupted restore has written the very same there."""
    try:
        write_private(place, lines)
    except FileExistsError as error:
        if not place.is_file() or place.read_bytes() != lines.encode():
            raise BackupError(f"{place} is there already, with something else in it.") from error
    except OSError as error:
        raise BackupError(f"{place} cannot be written: {error.strerror}.") from error
