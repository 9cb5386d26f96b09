"""Empty databases for benchmarks, on SQLite and on PostgreSQL, gone when they are done."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

# BENCH_POSTGRES_URL, or the server of DATABASE_URL, or a local one that needs no password.
_GIVEN = os.environ.get("DATABASE_URL", "")
_SERVER = _GIVEN.rpartition("/")[0] if _GIVEN.startswith("postgres") else ""
_LOCAL = "postgres://postgres@127.0.0.1:5432"
POSTGRES_URL = os.environ.get("BENCH_POSTGRES_URL", f"{_SERVER or _LOCAL}/postgres")


@contextlib.contextmanager
def sqlite() -> Iterator[str]:
    """The URL of an empty SQLite database that goes with the benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/bench.sqlite3"


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty PostgreSQL database that goes with the benchmark."""
    name = f"dashtam_bench_{secrets.token_hex(4)}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{POSTGRES_URL.rpartition('/')[0]}/{name}"
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def has_postgres() -> bool:
    """Whether a PostgreSQL server answers."""
    try:
        psycopg.connect(POSTGRES_URL, connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True
