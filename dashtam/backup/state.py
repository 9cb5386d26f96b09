"""Rows as lines of text, and one hash of everything: the same on either database."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection as db_connection

from dashtam.backup.columns import canonical_json, readers, selected
from dashtam.backup.tables import batch_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dashtam.backup.tables import Table

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


@dataclass(slots=True)
class Tally:
    """How many rows a table has, and the hash of all of them in the order of their keys."""

    rows: int
    digest: str


class Lines:
    """The rows of a table, one line of JSON each; when all are read, `tally` knows them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.tally = Tally(0, "")

    def __iter__(self) -> Iterator[bytes]:
        """Read the rows in the order of their keys. DatabaseError when one cannot be read."""
        kinds, vendor = self.table.kinds, db_connection.vendor
        convert = readers(kinds, vendor)
        of_json = [place for place, kind in enumerate(kinds) if kind == "json"]
        digest, count = hashlib.sha256(), 0
        for values in _rows(self.table):
            row = list(values)
            for place, converted in convert:
                if row[place] is not None:
                    row[place] = converted(row[place])
            line = _encode(row).encode() + b"\n"
            yield line
            digest.update(line if _is_canonical(row, of_json) else _encode(row).encode() + b"\n")
            count += 1
        self.tally = Tally(count, digest.hexdigest())


def state_hash(tallies: Mapping[str, Tally], tables: Iterable[Table]) -> str:
    """Return one hash for the rows of all these tables, by name."""
    digest = hashlib.sha256()
    for table in sorted(tables, key=lambda one: one.name):
        tally = tallies[table.name]
        digest.update(_encode([table.name, table.columns, tally.rows, tally.digest]).encode())
    return digest.hexdigest()


def hashed(tables: Iterable[Table]) -> tuple[dict[str, Tally], str]:
    """Read everything and return the tally of each table and the hash of all."""
    of = list(tables)
    tallies = {}
    for table in of:
        lines = Lines(table)
        for _line in lines:
            pass
        tallies[table.name] = lines.tally
    return tallies, state_hash(tallies, of)


def _is_canonical(row: list[Any], of_json: list[int]) -> bool:
    """Whether the row's JSON is in its one spelling already; when not, it is put into it."""
    same = True
    for place in of_json:
        text = row[place]
        if text is not None and text != "{}":
            row[place] = canonical_json(text)
            same = same and row[place] == text
    return same


def _rows(table: Table) -> Iterator[tuple[Any, ...]]:
    quote, vendor = db_connection.ops.quote_name, db_connection.vendor
    columns = ", ".join(selected(quote(name), kind, vendor) for name, kind in table.columns)
    order = quote(table.key)
    if vendor == "postgresql" and dict(table.columns)[table.key] == "text":
        order += ' COLLATE "C"'  # byte by byte, as SQLite orders text
    statement = f"SELECT {columns} FROM {quote(table.name)} ORDER BY {order}"  # noqa: S608 - names
    size = batch_of(table)
    with db_connection.chunked_cursor() as cursor:
        cursor.execute(statement)
        while batch := cursor.fetchmany(size):
            yield from batch
