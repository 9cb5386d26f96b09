"""Inserting many rows in one statement, many times faster than a row-by-row INSERT of Django's.

PostgreSQL gets one array per column (`unnest`), SQLite one prepared statement run for every row:
neither is cut into pieces by a limit on parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connection as db_connection
from django.db import models
from django.db.models.expressions import RawSQL
from django.utils.timezone import now
from psycopg.types.datetime import TimestamptzLoader

from dashtam.fields import AmountField, QuantityField

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Prepare = Callable[[Any], Any]
# What these hold is what the drivers take and give; PostgreSQL's has types for those too.
_PLAIN = (models.CharField, models.TextField, models.BooleanField, models.DateField)
_TYPED = (models.UUIDField, models.DateTimeField)
# Texts of these are what PostgreSQL reads back as the same value; None has a word of its own.
_WRITABLE = (str, int, UUID, date, Decimal, type(None))


def bulk_insert(
    objects: Sequence[Any],
    *,
    model: type[models.Model] | None = None,
    ignore_conflicts: bool = False,
) -> None:
    """Insert unsaved instances of one model; IntegrityError as `bulk_create` raises it.

    Every field needs its value or default in Python: nothing is read back. With `model` they may be
    anything with a `_state` and the fields' names in its `__dict__`. A time that is set by itself
    is set where it is not yet.
    """
    if not objects:
        return
    of: type[models.Model] = model or type(objects[0])
    columns = [_column(field, objects) for field in of._meta.concrete_fields]
    on_conflict = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    with db_connection.cursor() as cursor:
        if db_connection.vendor == "postgresql":
            cursor.execute(f"{_insert_from_arrays(of)}{on_conflict}", list(map(_array, columns)))
        else:
            places = ", ".join(["%s"] * len(columns))
            rows = list(zip(*columns, strict=True))
            cursor.executemany(f"{_insert_into(of)} VALUES ({places}){on_conflict}", rows)
    for one in objects:
        one._state.adding = False
        one._state.db = db_connection.alias


def among(column: str, values: Collection[str]) -> RawSQL:
    """A condition: this text column has one of these values; one parameter, however many."""
    name = db_connection.ops.quote_name(column)
    if db_connection.vendor == "postgresql":
        condition, given = f"{name} = ANY(%s::text[])", _array(list(values))
    else:
        # The name is a column's of ours.
        condition = f"{name} IN (SELECT value FROM json_each(%s))"  # noqa: S608
        given = json.dumps([*values])
    return RawSQL(condition, [given], output_field=models.BooleanField())  # noqa: S611 - the value is a parameter


def read_moments_fast(cursor: Any) -> None:
    """Have a cursor read times by the driver's own means: Django's are ten times as slow."""
    if db_connection.vendor == "postgresql":
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)


def as_uuid(value: UUID | str) -> UUID:
    """A key as a driver gives it: SQLite has no type of its own for it."""
    return UUID(value) if isinstance(value, str) else value


def as_moment(value: datetime) -> datetime:
    """A time as a driver gives it: SQLite's is UTC that does not say so."""
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def preparation(field: models.Field[Any, Any]) -> Prepare | None:
    """What makes a field's value one that the driver takes, and gives; None when it is one already.

    It is not for None. JSON becomes text.
    """
    return _preparation(field, db_connection.vendor)


@lru_cache(maxsize=1024)
def _preparation(field: models.Field[Any, Any], vendor: str) -> Prepare | None:
    if isinstance(field, models.ForeignKey):
        return _preparation(field.target_field, vendor)
    if isinstance(field, models.JSONField):
        return (field.encoder or json.JSONEncoder)().encode
    if isinstance(field, AmountField | QuantityField):
        return field.get_prep_value
    if isinstance(field, _PLAIN) and not isinstance(field, models.DateTimeField):
        return None
    if vendor == "postgresql":
        return None if isinstance(field, _TYPED) else field.get_prep_value
    if isinstance(field, models.DateTimeField):
        return _naive
    return lambda value: field.get_db_prep_save(value, db_connection)


def _naive(moment: datetime) -> datetime:
    """A moment as SQLite keeps it: UTC that does not say so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _column(field: models.Field[Any, Any], objects: Sequence[Any]) -> list[Any]:
    """The values of one field, as the driver takes them."""
    name = field.attname
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        moment = now()
        for one in objects:
            if one.__dict__.get(name) is None:
                setattr(one, name, moment)
    values = [one.__dict__[name] for one in objects]
    prepare = preparation(field)
    if prepare is None:
        return values
    # Of two equal objects one may say true where the other says 1.
    if not isinstance(values[0], dict | list) and _is_constant(values):
        return [None if values[0] is None else prepare(values[0])] * len(values)
    return [None if value is None else prepare(value) for value in values]


@lru_cache(maxsize=64)
def _insert_from_arrays(model: type[models.Model]) -> str:
    types = [field.db_type(db_connection) for field in model._meta.concrete_fields]
    arrays = ", ".join(f"%s::{name}[]" for name in types)
    return f"{_insert_into(model)} SELECT * FROM unnest({arrays})"  # noqa: S608 - types of the model's columns


def _insert_into(model: type[models.Model]) -> str:
    quote = db_connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in model._meta.concrete_fields)
    return f"INSERT INTO {quote(model._meta.db_table)} ({columns})"


def _array(values: Sequence[Any]) -> str:
    """A column as PostgreSQL writes an array: half the time that the driver takes for it.

    TypeError for a kind that PostgreSQL may read as something else.
    """
    for kind in set(map(type, values)):
        if not issubclass(kind, _WRITABLE):
            raise TypeError(f"{kind.__name__} is not written into an array")
    if not values:
        return "{}"
    if _is_constant(values):
        return f"{{{','.join([_item(values[0])] * len(values))}}}"
    texts = list(map(str, values))
    whole = "".join(texts)
    if None in values or "\\" in whole or '"' in whole:
        return f"{{{','.join(map(_item, values))}}}"
    items = '","'.join(texts)
    return f'{{"{items}"}}'


def _is_constant(values: Sequence[Any]) -> bool:
    """Whether a column says one thing: an owner, a currency, an empty field; nearly half do."""
    return values.count(values[0]) == len(values)


def _item(value: Any) -> str:
    if value is None:
        return "NULL"
    text = str(value)
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
