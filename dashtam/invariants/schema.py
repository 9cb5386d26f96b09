"""The database itself: its schema, its keys, its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connection as db_connection
from django.db.models import Exists, OuterRef

from dashtam.health import unapplied_migrations
from dashtam.invariants.registry import NAMED, Findings, invariant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Field, Model

# Constraints that PostgreSQL has not checked, and indexes whose making was broken off.
_HALF_MADE = """
    SELECT conname FROM pg_constraint
    WHERE NOT convalidated AND connamespace = current_schema()::regnamespace
    UNION ALL
    SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE NOT (indisvalid AND indisready) AND relnamespace = current_schema()::regnamespace
"""


def tables() -> Iterator[type[Model]]:
    """Every model with a table of its own, many-to-many tables included."""
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.proxy and model._meta.managed:
            yield model


@invariant("The schema is the one this code needs")
def schema_is_current(findings: Findings) -> None:
    """No migration waits."""
    findings.looked_at = 1
    for app, name in unapplied_migrations():
        findings.add(f"migration {app}.{name}: not applied")


@invariant("Every constraint and index of the code is in the database")
def constraints_are_there(findings: Findings) -> None:
    """Without them the database would let in what it must refuse."""
    for model in tables():
        with db_connection.cursor() as cursor:
            found = db_connection.introspection.get_constraints(cursor, model._meta.db_table)
        for name in _names(model):
            findings.looked_at += 1
            if name not in found:
                findings.add(f"{model._meta.label}: {name} is missing")
        for columns in _unique_columns(model):
            findings.looked_at += 1
            if not any(_is_unique(one) and one["columns"] == columns for one in found.values()):
                findings.add(f"{model._meta.label}: nothing keeps {', '.join(columns)} unique")


@invariant("The database's own structures are sound")
def structures_are_sound(findings: Findings) -> None:
    """SQLite reads all its pages; PostgreSQL says what is half made (`pg_amcheck` reads pages)."""
    if db_connection.vendor == "sqlite":
        statement = f"PRAGMA integrity_check({NAMED})"
    else:
        statement = _HALF_MADE
    findings.looked_at = 1
    with db_connection.cursor() as cursor:
        cursor.execute(statement)
        for (words,) in cursor.fetchall():
            if words != "ok":
                findings.add(str(words))


@invariant("Every row that another refers to is there")
def references_lead_somewhere(findings: Findings) -> None:
    """Foreign keys, looked at one by one whatever the database promises of them."""
    for model in tables():
        for field in _references(model):
            parent = field.related_model._base_manager.filter(
                **{field.target_field.attname: OuterRef(field.attname)}
            )
            pointing = model._base_manager.filter(**{f"{field.attname}__isnull": False})
            findings.looked_at += pointing.count()
            lost = pointing.filter(~Exists(parent))
            findings.add_rows(lost, f"the {field.name} it refers to is not there")


def _is_unique(constraint: dict[str, Any]) -> bool:
    return bool(constraint["unique"] or constraint["primary_key"])


def _references(model: type[Model]) -> Iterable[Any]:
    return [field for field in model._meta.concrete_fields if field.remote_field]


def _names(model: type[Model]) -> list[str]:
    named = [*model._meta.constraints, *model._meta.indexes]
    return [one.name for one in named]


def _unique_columns(model: type[Model]) -> list[list[str]]:
    fields: list[Field[Any, Any]] = [one for one in model._meta.concrete_fields if one.unique]
    by_name = {one.name: one.column for one in model._meta.concrete_fields}
    together = [[by_name[name] for name in names] for names in model._meta.unique_together]
    return [[field.column] for field in fields] + together
