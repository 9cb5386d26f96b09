"""The database under proof: kept as it is under a name, and brought back again and again."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Protocol

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import sql
from psycopg.conninfo import make_conninfo

# Workers are killed here, not the server: it need not wait for the disk.
_UNHURRIED = "-c synchronous_commit=off"


class Database(Protocol):
    """The database of the settings; nothing is connected to it while these are called."""

    def keep(self, name: str) -> None:
        """Keep it as it is under this name."""

    def bring_back(self, name: str) -> None:
        """Make it what was kept under this name."""

    def close(self) -> None:
        """Remove what was kept."""


def the_database() -> Database:
    """The one of the settings, which is empty and the harness's own."""
    options = settings.DATABASES["default"]
    if options["ENGINE"].endswith("sqlite3"):
        return Sqlite(Path(options["NAME"]))
    connections["default"].settings_dict["OPTIONS"]["options"] = _UNHURRIED
    return Postgres(options)


class Sqlite:
    """A file, and copies of it."""

    def __init__(self, path: Path) -> None:
        """Keep the copies beside the file."""
        self._path = path

    def keep(self, name: str) -> None:
        """Copy it, with all that its log holds."""
        with contextlib.closing(sqlite3.connect(self._path)) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(self._path, self._kept(name))

    def bring_back(self, name: str) -> None:
        """Copy it back, without what a dead worker left in its log."""
        for ending in ("-wal", "-shm"):
            Path(f"{self._path}{ending}").unlink(missing_ok=True)
        shutil.copyfile(self._kept(name), self._path)

    def close(self) -> None:
        """Nothing to do: the folder goes with everything in it."""

    def _kept(self, name: str) -> Path:
        return self._path.with_suffix(f".{name}")


class Postgres:
    """A database, and others made after it."""

    def __init__(self, options: dict[str, str]) -> None:
        """Ask the same server."""
        self._name = options["NAME"]
        server = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
        given = {name: str(options[key]) for name, key in server.items() if options.get(key)}
        self._server = make_conninfo("", **given, dbname="postgres")
        self._names: set[str] = set()

    def keep(self, name: str) -> None:
        """Make a copy on the server."""
        self._names.add(self._kept(name))
        self._copy(self._name, self._kept(name))

    def bring_back(self, name: str) -> None:
        """Make it anew from the copy; whoever is still connected is thrown out."""
        self._copy(self._kept(name), self._name)

    def close(self) -> None:
        """Drop the copies."""
        with self._asking() as server:
            for name in self._names:
                server.execute(_drop(name))

    def _copy(self, source: str, target: str) -> None:
        with self._asking() as server:
            server.execute(_drop(target))
            make = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            server.execute(make.format(sql.Identifier(target), sql.Identifier(source)))

    def _asking(self) -> psycopg.Connection:
        return psycopg.connect(self._server, autocommit=True)

    def _kept(self, name: str) -> str:
        return f"{self._name}_{name}"


def _drop(name: str) -> sql.Composed:
    return sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
