"""Restoring into an empty installation: the whole file is looked through first."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError
from django.db import connection as db_connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.transaction import atomic

from dashtam.backup import keybox
from dashtam.backup.envelope import key_of, opened, read_head
from dashtam.backup.errors import BackupError, Damaged, WrongKey
from dashtam.backup.loading import Loader, reset_numbers
from dashtam.backup.signals import restored
from dashtam.backup.state import hashed
from dashtam.backup.tables import MADE_BY_ITSELF
from dashtam.backup.writing import FORMAT, KEY_SETTINGS, Contents
from dashtam.models import installation_mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from dashtam.backup.envelope import Head
    from dashtam.backup.tables import Table

# Unpacked at a time, however well it was packed.
_READ_BYTES = 1 << 18
Node = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was looked through: complete, unaltered, and of this installation's keys."""

    path: Path
    head: Head
    contents: Contents
    keys: dict[str, str]
    state: str

    @property
    def brings_keys(self) -> bool:
        """Whether the settings are not yet those that open the restored rows."""
        return any(self.keys[name] != getattr(settings, name) for name in KEY_SETTINGS)


@dataclass(frozen=True, slots=True)
class Restored:
    """What is in the database now, and whether it had to be brought up to this version."""

    rows: int
    state: str
    is_upgraded: bool


def look_through(path: Path, ask_passphrase: Callable[[], str]) -> Backup:
    """Open every part of a backup and read its lines to the end; nothing else is touched.

    The passphrase is asked for only when the settings' keys do not open it and the file brings
    its own. WrongKey, Damaged, or BackupError when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = read_head(file)
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}.") from error
    keys = _keys_for(head, ask_passphrase)
    lines = _lines(path, keys)
    contents = _contents(next(lines, b""))
    return Backup(path=path, head=head, contents=contents, keys=keys, state=_read_on(lines))


def check_fingerprint(backup: Backup) -> None:
    """WrongKey when the fingerprint key is not the one that the rows were made with."""
    if installation_mark(backup.keys["DASHTAM_FINGERPRINT_KEY"]) != backup.contents.fingerprint:
        raise WrongKey(
            "DASHTAM_FINGERPRINT_KEY is not the one this backup was made with: put that one into "
            "the settings, or known accounts would be taken for new ones."
        )


def check_target(backup: Backup) -> None:
    """BackupError when this code or this database cannot take the backup; nothing is changed."""
    recorded = _nodes(backup.contents)
    unknown = sorted(recorded - MigrationExecutor(None).loader.disk_migrations.keys())
    if unknown:
        app, name = unknown[0]
        raise BackupError(
            f"This backup is of version {backup.contents.product}, which is newer than this code "
            f"(it has the migration {app}.{name}): restore it with that version or a later one."
        )
    label = _first_in_use(backup.contents.tables)
    if label:
        raise BackupError(
            f"This database is not empty (there are rows of {label}): a backup is restored into an "
            "empty one only. Move it away, or name another in DATABASE_URL."
        )
    ahead = sorted(_applied() - recorded)
    if ahead:
        app, name = ahead[0]
        raise BackupError(
            f"This database is prepared for a later version than the backup's (it has {app}.{name}"
            " already): give the restore a database that has never been migrated."
        )


def restore(backup: Backup) -> Restored:
    """Load a backup that was looked through into a database that was checked, all or nothing.

    An interruption leaves an empty database, and the restore is simply run again.
    """
    _migrate_to(_nodes(backup.contents))
    try:
        with atomic():
            rows = _load(backup)
    except DatabaseError as error:
        said = " ".join(str(error).split())
        raise BackupError(
            f"The database refused a row, and nothing was restored: {said}"
        ) from error
    is_older = bool(MigrationExecutor(None).loader.disk_migrations.keys() - _nodes(backup.contents))
    # Also makes what an installation has for itself: switches of new providers, permissions.
    call_command("migrate", interactive=False, verbosity=0)
    restored.send(sender=Backup)
    return Restored(rows=rows, state=backup.state, is_upgraded=is_older)


def _keys_for(head: Head, ask_passphrase: Callable[[], str]) -> dict[str, str]:
    ours = {name: str(getattr(settings, name)) for name in KEY_SETTINGS}
    try:
        key_of(head, ours["DASHTAM_KEYS"])
    except WrongKey:
        if not head.key_box:
            raise
        return keybox.open_box(head.key_box, ask_passphrase())
    return ours


def _read_on(lines: Iterator[bytes]) -> str:
    """Read the rows to the end and return the state hash there. Damaged when rows are missing."""
    rows, state = 0, ""
    for line in lines:
        if line.startswith(b"["):
            rows += 1
            continue
        closing = json.loads(line)
        state = closing.get("state", "")
        if not state and closing["rows"] != rows:
            raise Damaged(f"The rows of {closing['table']} in this backup are not complete.")
        rows = 0
    if not state:
        raise Damaged("This backup has no end.")
    return state


def _contents(line: bytes) -> Contents:
    try:
        contents = Contents.decoded(line)
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged("This backup does not say what is in it.") from error
    if contents.format != FORMAT:
        raise BackupError("This backup is of a later format than this version of Dashtam knows.")
    return contents


def _lines(path: Path, keys: dict[str, str]) -> Iterator[bytes]:
    """Every line of a backup. Damaged where a part does not open or the lines do not end."""
    parts: list[bytes] = []
    for text in _unpacked(path, keys):
        parts.append(text)
        if b"\n" in text:  # a line may be as long as a statement file
            *lines, rest = b"".join(parts).split(b"\n")
            yield from lines
            parts = [rest]
    if any(parts):
        raise Damaged("This backup ends in the middle of a line.")


def _unpacked(path: Path, keys: dict[str, str]) -> Iterator[bytes]:
    unpack = zlib.decompressobj()
    with path.open("rb") as file:
        head = read_head(file)
        for piece in opened(file, head, key_of(head, keys["DASHTAM_KEYS"])):
            waiting = piece
            while waiting:
                try:
                    yield unpack.decompress(waiting, _READ_BYTES)
                except zlib.error:
                    raise Damaged("This backup cannot be unpacked.") from None
                waiting = unpack.unconsumed_tail
    yield unpack.flush()
    if not unpack.eof:
        raise Damaged("This backup has no end.")


def _nodes(contents: Contents) -> set[Node]:
    return {(app, name) for app, names in contents.migrations.items() for name in names}


def _applied() -> set[Node]:
    return set(MigrationRecorder(db_connection).applied_migrations())


def _first_in_use(tables: Iterable[Table]) -> str:
    """The name of a table with rows in it that somebody made; empty when there is none."""
    there = set(db_connection.introspection.table_names())
    for table in tables:
        if table.name in there and table.label not in MADE_BY_ITSELF and _has_rows(table):
            return table.label
    return ""


def _has_rows(table: Table) -> bool:
    name = db_connection.ops.quote_name(table.name)
    with db_connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {name} LIMIT 1")  # noqa: S608 - a table's name
        return cursor.fetchone() is not None


def _migrate_to(recorded: set[Node]) -> None:
    """Bring an empty database to where the backup's was, and no further."""
    executor = MigrationExecutor(db_connection)
    nodes = executor.loader.graph.nodes
    followed = {
        parent.key
        for node in recorded & nodes.keys()
        for parent in executor.loader.graph.node_map[node].parents
        if parent.key[0] == node[0]
    }
    targets = sorted((recorded & nodes.keys()) - followed)
    executor.migrate(targets)


def _load(backup: Backup) -> int:
    """Put every row in, and compare the whole with what was backed up; the number of rows."""
    contents = backup.contents
    _clear(contents.tables)
    lines = _lines(backup.path, backup.keys)
    next(lines)
    rows = sum(_load_table(table, lines, contents.vendor) for table in contents.tables)
    for _last in lines:  # to the very end: only there the file is known to be whole
        pass
    reset_numbers(contents.tables)
    _tallies, state = hashed(contents.tables)
    if state != backup.state:
        raise BackupError(
            "What the database took is not what is in the backup; nothing was restored "
            f"(state {state} instead of {backup.state})."
        )
    return rows


def _load_table(table: Table, lines: Iterator[bytes], source: str) -> int:
    count = 0
    with Loader(table, source) as loader:
        for line in lines:
            if not line.startswith(b"["):
                break
            loader.add(json.loads(line))
            count += 1
    return count


def _clear(tables: Iterable[Table]) -> None:
    """Take away the rows that the installation made before anybody used it."""
    with db_connection.cursor() as cursor:
        for table in tables:
            if table.label in MADE_BY_ITSELF:
                name = db_connection.ops.quote_name(table.name)
                cursor.execute(f"DELETE FROM {name}")  # noqa: S608 - a table's name
