"""Putting a backup's rows into tables, as fast as each database takes them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from django.db import connection as db_connection

from dashtam.backup.columns import writers
from dashtam.backup.tables import batch_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from dashtam.backup.tables import Table


class Loader:
    """Adds rows to one table: by COPY on PostgreSQL, by a prepared INSERT on SQLite."""

    def __init__(self, table: Table, source: str) -> None:
        """`source` is the vendor of the database that the rows come from."""
        quote = db_connection.ops.quote_name
        self._name = quote(table.name)
        self._columns = ", ".join(quote(name) for name, _kind in table.columns)
        self._places = ", ".join(["%s"] * len(table.columns))
        self._convert = writers(table.kinds, db_connection.vendor, source)
        self._batch = batch_of(table)
        # What a row names by a natural key has to be looked up, which COPY does not allow.
        has_natural = {"content_type", "permission"} & set(table.kinds)
        self._may_copy = db_connection.vendor == "postgresql" and not has_natural
        self._waiting: list[list[Any]] = []
        self._open = ExitStack()
        self._copy: Any = None

    def __enter__(self) -> Self:
        """Begin."""
        self._cursor = self._open.enter_context(db_connection.cursor())
        if self._may_copy:
            self._open.enter_context(db_connection.wrap_database_errors)
            statement = f"COPY {self._name} ({self._columns}) FROM STDIN"
            self._copy = self._open.enter_context(self._cursor.copy(statement))
        return self

    def add(self, row: list[Any]) -> None:
        """Add one row, as a line of the backup has it."""
        for place, converted in self._convert:
            if row[place] is not None:
                row[place] = converted(row[place])
        if self._copy:
            self._copy.write_row(row)
            return
        self._waiting.append(row)
        if len(self._waiting) >= self._batch:
            self._insert()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hand over what is left."""
        if kind is None and self._waiting:
            self._insert()
        self._open.__exit__(kind, error, trace)

    def _insert(self) -> None:
        statement = f"INSERT INTO {self._name} ({self._columns}) VALUES ({self._places})"  # noqa: S608
        self._cursor.executemany(statement, self._waiting)
        self._waiting = []


def reset_numbers(tables: Iterable[Table]) -> None:
    """Let PostgreSQL go on numbering after the rows that came with their numbers."""
    if db_connection.vendor != "postgresql":
        return  # SQLite looks at the rows themselves
    quote = db_connection.ops.quote_name
    with db_connection.cursor() as cursor:
        for table in tables:
            if table.is_numbered:
                key, name = quote(table.key), quote(table.name)
                cursor.execute(
                    "SELECT setval(pg_get_serial_sequence(%s, %s), coalesce(max("  # noqa: S608
                    f"{key}), 1), max({key}) IS NOT NULL) FROM {name}",
                    [name, table.key],
                )
