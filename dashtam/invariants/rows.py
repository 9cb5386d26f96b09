"""What holds for the rows of every table, read off the models: owners, words, numbers."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from django.db import connection as db_connection
from django.db.models import CheckConstraint, Count, F, Model, Q, UniqueConstraint

from dashtam.fields import AmountField, CurrencyField, QuantityField
from dashtam.invariants.registry import Findings, invariant
from dashtam.invariants.schema import tables
from dashtam.money import CURRENCIES, canonical, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Field

# An amount of this many ten-thousandths and above is within 64 bits on both sides of zero.
_LEAST = -(2**63) + 1
# Groups of equal rows that are named of one constraint.
_GROUPS = 20


@invariant("No row is there twice")
def rows_are_unique(findings: Findings) -> None:
    """Every constraint that says "once", counted without trusting its index."""
    for model in tables():
        findings.looked_at += model._base_manager.count()
        for words, fields, condition in _once(model):
            rows = model._base_manager.filter(condition)
            named = {f"key_{place}": part for place, part in enumerate(fields)}
            whole = Q(**{f"{name}__isnull": False for name in named})
            groups = rows.annotate(**named).filter(whole).order_by().values(*named)
            for group in groups.annotate(rows=Count("*")).filter(rows__gt=1)[:_GROUPS]:
                same = rows.annotate(**named).filter(**{name: group[name] for name in named})
                findings.add_rows(same, f"there is another one of this {words}")


@invariant("Every row keeps the rules of its table (the rows of a step add up)")
def rows_keep_the_rules(findings: Findings) -> None:
    """Every check constraint, asked of every row."""
    for model in tables():
        for constraint in model._meta.constraints:
            if isinstance(constraint, CheckConstraint):
                findings.looked_at += model._base_manager.count()
                broken = model._base_manager.filter(~Q(constraint.condition))
                findings.add_rows(broken, f"it breaks the rule {constraint.name}")


@invariant("What belongs together has one owner")
def owners_agree(findings: Findings) -> None:
    """A row's owner is the owner of every row it refers to."""
    for model in filter(_is_owned, tables()):
        for field in model._meta.concrete_fields:
            if field.name != "user" and field.remote_field and _is_owned(field.related_model):
                pointing = model._base_manager.filter(**{f"{field.attname}__isnull": False})
                findings.looked_at += pointing.count()
                strangers = pointing.exclude(**{f"{field.name}__user_id": F("user_id")})
                findings.add_rows(strangers, f"its owner is not the owner of its {field.name}")


@invariant("Every status, kind and type is a known word")
def words_are_known(findings: Findings) -> None:
    """Fields with choices hold one of them."""
    for model, field in _fields():
        if field.choices:
            known = {value for value, _label in field.flatchoices}
            if field.blank and field.empty_strings_allowed:
                known.add("")
            findings.looked_at += model._base_manager.count()
            unknown = model._base_manager.exclude(
                Q(**{f"{field.name}__in": known}) | Q(**{f"{field.name}__isnull": True})
            )
            findings.add_rows(unknown, f"its {field.name} is no known word")


@invariant("Every currency is an ISO 4217 code")
def currencies_are_known(findings: Findings) -> None:
    """None is misspelt or empty."""
    for model, field in _fields():
        if isinstance(field, CurrencyField):
            findings.looked_at += model._base_manager.count()
            unknown = model._base_manager.exclude(**{f"{field.name}__in": CURRENCIES})
            findings.add_rows(unknown, f"its {field.name} is no currency")


@invariant("Every amount is a whole number of ten-thousandths in 64 bits")
def amounts_are_exact(findings: Findings) -> None:
    """SQLite lets text and floats into any column."""
    for model, field in _fields():
        if isinstance(field, AmountField):
            column = db_connection.ops.quote_name(field.column)
            is_wrong = f"{column} < {_LEAST}"
            if db_connection.vendor == "sqlite":
                is_wrong = f"typeof({column}) NOT IN ('integer', 'null') OR {is_wrong}"
            for pk in _where(findings, model, is_wrong):
                findings.add(f"{model._meta.label} {pk}: its {field.name} is no amount")


@invariant("Every quantity, price and rate is in its one spelling")
def quantities_are_canonical(findings: Findings) -> None:
    """A digit more or less, and a replay would take the row for a changed one."""
    for model, field in _fields():
        if isinstance(field, QuantityField):
            for pk, text in _texts(model, field):
                findings.looked_at += 1
                if not _is_canonical(text):
                    findings.add(f"{model._meta.label} {pk}: its {field.name} is no exact number")


def _fields() -> Iterator[tuple[type[Model], Field[Any, Any]]]:
    for model in tables():
        for field in model._meta.concrete_fields:
            yield model, field


def _is_owned(model: Any) -> bool:
    return any(one.name == "user" for one in model._meta.concrete_fields)


def _once(model: type[Model]) -> Iterator[tuple[str, list[Any], Q]]:
    """What a table may hold once only: its words, its parts, and where that counts."""
    for field in model._meta.concrete_fields:
        if field.unique:
            yield field.name, [F(field.attname)], Q()
    for names in model._meta.unique_together:
        yield " and ".join(names), [F(name) for name in names], Q()
    for constraint in model._meta.constraints:
        if isinstance(constraint, UniqueConstraint):
            parts = list(chain(map(F, constraint.fields), constraint.expressions))
            yield constraint.name, parts, constraint.condition or Q()


def _where(findings: Findings, model: type[Model], condition: str) -> Iterator[Any]:
    """The keys of the rows that fulfil this SQL; every row counts as looked at."""
    quote = db_connection.ops.quote_name
    key, table = quote(model._meta.pk.column), quote(model._meta.db_table)
    findings.looked_at += model._base_manager.count()
    with db_connection.chunked_cursor() as cursor:
        cursor.execute(f"SELECT {key} FROM {table} WHERE {condition}")  # noqa: S608 - the model's
        for (pk,) in cursor:
            yield model._meta.pk.to_python(pk)


def _texts(model: type[Model], field: Field[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """(key, stored text) of every row that has one; the field itself would make numbers of them."""
    quote = db_connection.ops.quote_name
    key, table = quote(model._meta.pk.column), quote(model._meta.db_table)
    column = quote(field.column)
    with db_connection.chunked_cursor() as cursor:
        cursor.execute(f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608
        for pk, text in cursor:
            yield model._meta.pk.to_python(pk), text


def _is_canonical(text: Any) -> bool:
    try:
        return isinstance(text, str) and canonical(quantity(text)) == text
    except ValueError:
        return False
