"""Making a backup: everything as it was at one instant, in one compressed, sealed, private file."""

from __future__ import annotations

import fcntl
import json
import os
import tomllib
import zlib
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection as db_connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils.timezone import now

from dashtam.backup import keybox
from dashtam.backup.envelope import SealedWriter, new_head
from dashtam.backup.errors import BackupError
from dashtam.backup.snapshot import reading
from dashtam.backup.state import Lines, Tally, state_hash
from dashtam.backup.tables import Table, tables
from dashtam.models import installation_mark
from dashtam.vault import vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FORMAT = 1
# The settings that open what is sealed in the rows, and recognise known accounts.
KEY_SETTINGS = ("DASHTAM_KEYS", "DASHTAM_FINGERPRINT_KEY")
# Fast: the next level takes half as long again for a tenth less.
COMPRESSION = 1
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup says of itself, sealed, before its rows."""

    format: int
    product: str
    created_at: str
    vendor: str
    migrations: dict[str, list[str]]
    key_ids: list[str]
    fingerprint: str
    tables: list[Table] = field(default_factory=list)

    def encoded(self) -> bytes:
        """Its line in the file."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decoded(cls, line: bytes) -> Contents:
        """What `encoded` wrote."""
        parts: dict[str, Any] = json.loads(line)
        of = [
            Table(**{**one, "columns": tuple((name, kind) for name, kind in one["columns"])})
            for one in parts.pop("tables")
        ]
        return cls(**parts, tables=of)


@dataclass(frozen=True, slots=True)
class Made:
    """A finished backup: the rows in it, their state hash, its size, and the key that seals it."""

    rows: int
    state: str
    size_bytes: int
    key_id: str


def write_backup(path: Path, *, passphrase: str = "", force: bool = False) -> Made:
    """Write a backup of everything to `path`; with a passphrase the keys are in it too.

    Nobody has to wait for it. BackupError when the file is there already (unless forced), cannot be
    written or has no room: then nothing is left behind.
    """
    kept = {name: str(getattr(settings, name)) for name in KEY_SETTINGS}
    box = keybox.shut(kept, passphrase) if passphrase else ""
    try:
        if path.exists() and not force:
            raise BackupError(f"{path} is there already: add --force to replace it.")
        with _file_for(path) as file:
            return _write(file, box)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BackupError(
            f"{path} cannot be written: {reason}. Nothing was left behind."
        ) from error


@contextmanager
def _file_for(path: Path) -> Iterator[IO[bytes]]:
    """A private file beside `path` that takes its place when all went well, and else is gone."""
    part = path.with_name(f"{path.name}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(part, flags, _PRIVATE), "wb") as file:
        _take(file, part)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink()
            raise
    _keep_name(path)


def _take(file: IO[bytes], part: Path) -> None:
    """Start the file anew, unless another backup is writing it right now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackupError(f"Another backup is writing {part}.") from None
    mine, there = os.fstat(file.fileno()), part.stat()
    if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
        # The other one ended between our look and our lock: what we hold is its finished file.
        raise BackupError(f"Another backup has just written {part}.")
    os.fchmod(file.fileno(), _PRIVATE)
    file.truncate()


def _keep_name(path: Path) -> None:
    """Without this a power cut might forget the new name of the file."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(file: IO[bytes], box: str) -> Made:
    ring, moment = settings.DASHTAM_KEYS, now().isoformat()
    key_id, product = vault(ring).sealing_key, product_version()
    head, key = new_head(ring, key_id=key_id, created_at=moment, product=product, key_box=box)
    sealed = SealedWriter(file, head, key)
    press = zlib.compressobj(COMPRESSION)
    with reading():
        contents = _contents(moment, product)
        tallies = _write_lines(contents, lambda line: sealed.write(press.compress(line)))
    sealed.write(press.flush())
    sealed.close()
    return Made(
        rows=sum(tally.rows for tally in tallies.values()),
        state=state_hash(tallies, contents.tables),
        size_bytes=file.tell(),
        key_id=key_id,
    )


def _contents(moment: str, product: str) -> Contents:
    migrations: dict[str, list[str]] = {}
    for app, name in sorted(MigrationRecorder(db_connection).applied_migrations()):
        migrations.setdefault(app, []).append(name)
    return Contents(
        format=FORMAT,
        product=product,
        created_at=moment,
        vendor=db_connection.vendor,
        migrations=migrations,
        key_ids=list(vault(settings.DASHTAM_KEYS).key_ids),
        fingerprint=installation_mark(settings.DASHTAM_FINGERPRINT_KEY),
        tables=tables(),
    )


def _write_lines(contents: Contents, write: Callable[[bytes], None]) -> dict[str, Tally]:
    """Write the contents, then the rows of each table closed by its tally, then the state hash."""
    write(contents.encoded())
    tallies: dict[str, Tally] = {}
    for table in contents.tables:
        lines = Lines(table)
        for line in lines:
            write(line)
        tallies[table.name] = lines.tally
        write(json.dumps({"table": table.name, **asdict(lines.tally)}).encode() + b"\n")
    write(json.dumps({"state": state_hash(tallies, contents.tables)}).encode() + b"\n")
    return tallies


def product_version() -> str:
    """The version of Dashtam that runs."""
    project = settings.BASE_DIR / "pyproject.toml"
    return str(tomllib.loads(project.read_text())["project"]["version"])
