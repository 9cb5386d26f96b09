"""How a value stands in a backup, exact and the same whichever database it comes from.

int    a number (an amount of money is its count of ten-thousandths)
text   text (a quantity is its canonical text)
bool   true or false
uuid   32 hex digits
datetime, date   `2024-01-31 12:00:00[.123456]`, in UTC
json   the JSON as text
bytes  base64
content_type, permission   [app, model] and [app, model, codename, name]: their ids differ from
       installation to installation
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils.timezone import is_aware

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[[Any], Any]

KINDS = {
    **dict.fromkeys(
        (
            "AutoField",
            "BigAutoField",
            "SmallAutoField",
            "IntegerField",
            "BigIntegerField",
            "SmallIntegerField",
            "PositiveIntegerField",
            "PositiveBigIntegerField",
            "PositiveSmallIntegerField",
        ),
        "int",
    ),
    **dict.fromkeys(
        ("CharField", "TextField", "SlugField", "GenericIPAddressField", "FileField"), "text"
    ),
    "BooleanField": "bool",
    "UUIDField": "uuid",
    "DateTimeField": "datetime",
    "DateField": "date",
    "JSONField": "json",
    "BinaryField": "bytes",
}
# By natural key: rows that every installation makes itself, each with its own ids.
NATURAL = {"contenttypes.ContentType": "content_type", "auth.Permission": "permission"}
# Texts of JSON that are remembered: most rows say {} or what their neighbours say.
REMEMBERED = 2048
# The lengths of an instant on SQLite, as Django writes it.
_SECONDS = len("2024-01-31 12:00:00")
_MICROSECONDS = len("2024-01-31 12:00:00.123456")


def kind_of(field: models.Field[Any, Any]) -> str:
    """The kind of a column. NotImplementedError for a type nobody has taught us yet."""
    target: Any = field
    while target.remote_field:
        if natural := NATURAL.get(target.related_model._meta.label):
            return natural
        target = target.target_field
    kind = KINDS.get(target.get_internal_type())
    if kind is None:
        raise NotImplementedError(f"{field} is of a type that backups do not know")
    return kind


def selected(column: str, kind: str, vendor: str) -> str:
    """The SQL that reads a (quoted) column as `reader` wants it."""
    if vendor == "sqlite" and kind in ("datetime", "date"):
        return f"CAST({column} AS TEXT)"  # as it stands there; the driver would parse it
    return column


def readers(kinds: list[str], vendor: str) -> list[tuple[int, Convert]]:
    """For each column that needs it: its place, and what makes its value one of a backup's."""
    on_postgres: dict[str, Convert] = {
        "uuid": lambda value: value.hex,
        "datetime": _plain_instant,
        "date": str,
        "bytes": _base64,
    }
    on_sqlite: dict[str, Convert] = {"bool": bool, "bytes": _base64, "datetime": _spelt_instant}
    known = on_postgres if vendor == "postgresql" else on_sqlite
    if "content_type" in kinds:
        known["content_type"] = _content_types()
    if "permission" in kinds:
        known["permission"] = _permissions()
    return [(place, known[kind]) for place, kind in enumerate(kinds) if kind in known]


def writers(kinds: list[str], vendor: str, source: str) -> list[tuple[int, Convert]]:
    """For each column that needs it: its place, and what makes a backup's value the driver's.

    `source` is the vendor of the database that the backup was made from.
    """
    known: dict[str, Convert] = {
        "bytes": base64.b64decode,
        "content_type": _remembering(_content_type_id),
        "permission": _remembering(_permission_id),
    }
    if vendor == "postgresql":
        known["datetime"] = lambda value: f"{value}+00"
    elif source != vendor:
        known["json"] = _as_django_writes_it
    return [(place, known[kind]) for place, kind in enumerate(kinds) if kind in known]


@lru_cache(maxsize=REMEMBERED)
def canonical_json(text: str) -> str:
    """The one text of a JSON value, whatever order and spelling its database keeps it in."""
    return json.dumps(_decoder().decode(text), sort_keys=True)


@lru_cache(maxsize=1)
def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(parse_float=_number)


def _number(text: str) -> float | int:
    # PostgreSQL writes a large float without its exponent, and zero without a sign.
    value = float(text)
    if value == 0:
        return 0.0
    return int(Decimal(repr(value))) if "e+" in repr(value) else value


@lru_cache(maxsize=REMEMBERED)
def _as_django_writes_it(text: str) -> str:
    # On SQLite a JSON value is looked up by its very text.
    return json.dumps(json.loads(text))


def _plain_instant(value: Any) -> str:
    moment = value.astimezone(UTC) if is_aware(value) else value
    return str(moment.replace(tzinfo=None))


def _spelt_instant(text: str) -> str:
    # SQL may have written what Django would have spelt in another way.
    if len(text) == _SECONDS or (len(text) == _MICROSECONDS and not text.endswith(".000000")):
        return text
    return _plain_instant(datetime.fromisoformat(text))


def _base64(value: Any) -> str:
    return base64.b64encode(value).decode()


def _content_types() -> Convert:
    rows = ContentType.objects.values_list("pk", "app_label", "model")
    known = {pk: [app, model] for pk, app, model in rows}
    return known.__getitem__


def _permissions() -> Convert:
    rows = Permission.objects.values_list(
        "pk", "content_type__app_label", "content_type__model", "codename", "name"
    )
    known = {pk: list(names) for pk, *names in rows}
    return known.__getitem__


def _remembering(look_up: Callable[..., int]) -> Convert:
    known: dict[tuple[str, ...], int] = {}

    def find(names: list[str]) -> int:
        key = tuple(names)
        if key not in known:
            known[key] = look_up(names)
        return known[key]

    return find


def _content_type_id(names: list[str]) -> int:
    app, model = names
    return ContentType.objects.get_or_create(app_label=app, model=model)[0].pk


def _permission_id(names: list[str]) -> int:
    app, model, codename, name = names
    made, _created = Permission.objects.get_or_create(
        content_type_id=_content_type_id([app, model]), codename=codename, defaults={"name": name}
    )
    return made.pk
