"""Inserting many rows in one statement, several times faster than a row-by-row INSERT of Django's.

PostgreSQL gets one array per column (`unnest`), SQLite one prepared statement run for every row:
neither is cut into pieces by a limit on parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection as db_connection
from django.db import models

if TYPE_CHECKING:
    from collections.abc import Sequence


def bulk_insert(objects: Sequence[models.Model], *, ignore_conflicts: bool = False) -> None:
    """Insert unsaved instances of one model; IntegrityError as `bulk_create` raises it.

    Every field needs its value or default in Python: nothing is read back.
    """
    if not objects:
        return
    model = type(objects[0])
    fields = model._meta.concrete_fields
    rows = [[_prepared(field, one) for field in fields] for one in objects]
    on_conflict = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    with db_connection.cursor() as cursor:
        if db_connection.vendor == "postgresql":
            arrays = ", ".join(f"%s::{field.db_type(db_connection)}[]" for field in fields)
            columns = [list(column) for column in zip(*rows, strict=True)]
            source = f"SELECT * FROM unnest({arrays})"  # noqa: S608 - types of the model's columns
            cursor.execute(f"{_insert_into(model)} {source}{on_conflict}", columns)
        else:
            places = ", ".join(["%s"] * len(fields))
            cursor.executemany(f"{_insert_into(model)} VALUES ({places}){on_conflict}", rows)
    for one in objects:
        one._state.adding = False
        one._state.db = db_connection.alias


def _insert_into(model: type[models.Model]) -> str:
    quote = db_connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in model._meta.concrete_fields)
    return f"INSERT INTO {quote(model._meta.db_table)} ({columns})"


def _prepared(field: models.Field[Any, Any], one: models.Model) -> Any:
    return field.get_db_prep_save(field.pre_save(one, add=True), db_connection)
