"""The database as it was at one instant, for as long as it takes to read it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection as db_connection
from django.db.transaction import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def reading() -> Iterator[None]:
    """Read one state of the database, and nothing but read; nobody who writes has to wait.

    Inside a transaction of the caller's, that transaction is the state.
    """
    if db_connection.in_atomic_block:
        yield
    elif db_connection.vendor == "postgresql":
        with atomic():
            with db_connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
    else:
        with _deferred(), atomic():
            yield


@contextmanager
def _deferred() -> Iterator[None]:
    """Begin as a reader: our usual transactions on SQLite take the write lock at once."""
    db_connection.ensure_connection()
    usual = db_connection.transaction_mode  # type: ignore[attr-defined]
    db_connection.transaction_mode = "DEFERRED"  # type: ignore[attr-defined]
    _set_read_only("ON")
    try:
        yield
    finally:
        db_connection.transaction_mode = usual  # type: ignore[attr-defined]
        _set_read_only("OFF")


def _set_read_only(switch: str) -> None:
    with db_connection.cursor() as cursor:
        cursor.execute(f"PRAGMA query_only = {switch}")
