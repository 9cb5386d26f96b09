"""Which tables a backup holds: all of them but a few, so that a new one is in it by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps as current_apps
from django.db import connection as db_connection
from django.db.migrations.loader import MigrationLoader

from dashtam.backup.columns import kind_of
from dashtam.health import unapplied_migrations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.apps.registry import Apps
    from django.db.models import Model

# What is left out, and why: by app, or by model.
LEFT_OUT = {
    "django_q": "the queue: what is due is found again by the schedule and the rescue",
    "sessions": "everybody signs in again",
    "usersessions": "the devices of sessions that are not there",
    "contenttypes": "every installation makes its own; rows name them by app and model",
    "auth.Permission": "every installation makes its own; rows name them by app and codename",
}
# Rows read or written at a time; those with a file in them one by one.
BATCH = 1000
# Rows that an installation makes before anybody has used it; a restore replaces them.
MADE_BY_ITSELF = ("connections.ProviderSetting", "dashtam.Installation")


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its name, what it is called, its columns with their kinds, and its key."""

    name: str
    label: str
    columns: tuple[tuple[str, str], ...]
    key: str
    is_numbered: bool

    @property
    def kinds(self) -> list[str]:
        """The kinds of its columns, in their order."""
        return [kind for _name, kind in self.columns]


def tables() -> list[Table]:
    """Every table that a backup of this database holds, a table after those it refers to.

    Described as the database has it, even if migrations of the code wait.
    """
    apps = _apps_of_the_database() if unapplied_migrations() else current_apps
    models = [
        model
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy and model._meta.managed and not is_left_out(model)
    ]
    return [_described(model) for model in _parents_first(models)]


def is_left_out(model: type[Model]) -> bool:
    """Whether backups go without this table."""
    return model._meta.app_label in LEFT_OUT or model._meta.label in LEFT_OUT


def batch_of(table: Table) -> int:
    """How many rows of this table may be in memory together."""
    return 1 if "bytes" in table.kinds else BATCH


def _apps_of_the_database() -> Apps:
    loader = MigrationLoader(db_connection)
    applied = [node for node in loader.applied_migrations if node in loader.graph.nodes]
    apps: Apps = loader.project_state(applied).apps
    return apps


def _parents_first(models: Iterable[type[Model]]) -> list[type[Model]]:
    waiting = {model: _parents(model) for model in models}
    known = set(waiting)
    ordered: list[type[Model]] = []
    while waiting:
        free = [model for model, parents in waiting.items() if not parents & known - set(ordered)]
        # A circle of tables has no first one: the database checks the keys at the end in any case.
        ordered += free or list(waiting)
        waiting = {model: parents for model, parents in waiting.items() if model not in ordered}
    return ordered


def _parents(model: type[Model]) -> set[type[Model]]:
    related: list[Any] = [field.related_model for field in model._meta.concrete_fields]
    return {parent for parent in related if parent and parent is not model}


def _described(model: type[Model]) -> Table:
    key = model._meta.pk
    return Table(
        name=model._meta.db_table,
        label=model._meta.label,
        columns=tuple((field.column, kind_of(field)) for field in model._meta.concrete_fields),
        key=key.column,
        is_numbered=key.get_internal_type() in ("AutoField", "BigAutoField", "SmallAutoField"),
    )
