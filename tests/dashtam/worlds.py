"""Installations to back up and to verify: one that lived, one with a strange row everywhere."""

from __future__ import annotations

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection as db_connection
from django.db import models
from django.db.transaction import atomic
from django.utils.timezone import now

from accounts.models import ExchangeRate
from accounts.services import recalculate_net_worth
from connections.models import OAuthState
from connections.types import CredentialType
from dashtam.backup.tables import is_left_out, tables
from dashtam.events import NewEvent, record
from dashtam.fields import AmountField, CurrencyField, QuantityField
from dashtam.models import Installation, User
from dashtam.money import MAX_AMOUNT
from dashtam.vault import Secret
from imports.services import confirm, preview_upload, run
from tests import factories
from tests.imports.statements import bank_set, card_set, investment_set, ofx, position, row
from tests.processes import ROOT, environment
from transactions.models import Transaction, TransactionEdit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = "Ωmega 🦊 “naïve” O'Neil \\ %s \t\n\u2028{}[],;\u202e"
JSON = {
    "z": [1, 2.5, -0.0, 1e22, 1e-7, 10**30, None, True],
    "a": {"🦊": "é\u0001\"'\\", "b": {}},
    "": "",
}
AMOUNTS = itertools.cycle([MAX_AMOUNT, -MAX_AMOUNT, Decimal("0.0001"), Decimal(0)])
QUANTITIES = itertools.cycle(
    ["0.000000000000000000000000000000000000001", "-9999999999999999999999.999999999999999999"]
)
MOMENTS = itertools.cycle(
    [
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2024, 6, 1, 12, 0, 0, 1000, tzinfo=UTC),
    ]
)
MIGRATING_SECONDS = 300
_numbers = itertools.count(1)


def manage(database: Path | str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, however busy the machine is with migrating whole databases."""
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, arguments)],
        cwd=ROOT,
        env=environment(database),
        capture_output=True,
        text=True,
        check=False,
        timeout=MIGRATING_SECONDS,
    )


def lived(user: User) -> None:
    """Statements imported and one previewed, keys sealed, a person's own words: all in order."""
    Installation.objects.check_keys()
    bring(user, bank_set(row(FITID="1"), row(FITID="2", TRNAMT="-9.99"), row(TRNAMT="broken")))
    bring(user, bank_set(row(FITID="2", TRNAMT="-9.99"), row(FITID="3", TRNAMT="2000")))
    bring(user, investment_set(positions=f"<INVPOSLIST>{position()}</INVPOSLIST>"))
    preview_upload(user, file_name="next.qfx", data=ofx(card_set(row(FITID="9"))))
    for secret in ("one", "two"):
        keep_key(user, secret)
    on_the_way(user)
    rate = {"currency": "USD", "date": date(2024, 1, 2), "per_euro": Decimal("1.0987")}
    ExchangeRate.objects.create(**rate)
    first = Transaction.objects.for_user(user).earliest("pk")
    TransactionEdit.objects.create(user=user, transaction=first, note=TEXT, category="🦊")


def bring(user: User, inner: str) -> None:
    """Import a statement file."""
    run(confirm(preview_upload(user, file_name="a.qfx", data=ofx(inner))).pk)


def keep_key(user: User, secret: str) -> None:
    """A connection with a sealed key."""
    made = factories.make_connection(
        user, provider_slug="alpaca", credential_type=CredentialType.API_KEY
    )
    made.seal({"api_key": Secret(secret)})
    made.save()


@contextmanager
def writing_along(user: User) -> Iterator[list[int]]:
    """Before each statement of ours somebody else commits an account, its worth and an event."""
    written: list[int] = []
    with ThreadPoolExecutor(1) as pool:

        def write_first(execute: Any, *statement: Any) -> Any:
            pool.submit(write, user, written).result()
            return execute(*statement)

        with db_connection.execute_wrapper(write_first):
            yield written
        pool.submit(close_mine).result()


def close_mine() -> None:
    """Close this thread's own connection."""
    db_connection.close()


def write(user: User, written: list[int]) -> None:
    """One transaction like the end of a sync."""
    with atomic():
        factories.make_account(user, name=f"new {len(written)}")
        told = NewEvent("import.progress", {"n": len(written)})
        record(user.pk, told)
        recalculate_net_worth(user)
    written.append(len(written))


def on_the_way(user: User) -> None:
    """Somebody at a provider's page."""
    state = OAuthState(
        user=user, provider_slug="schwab", state_mark="s", session_mark="t", expires_at=now()
    )
    state.seal(Secret("verifier"))
    state.save()


def strange() -> dict[str, int]:
    """A row with unusual values in every table of a backup; how many rows each table has."""
    by_label = {model._meta.label: model for model in apps.get_models(include_auto_created=True)}
    made: dict[Any, Any] = {
        ContentType: ContentType.objects.get_for_model(Transaction),
        Permission: Permission.objects.get(codename="change_user"),
    }
    for table in tables():
        model = by_label[table.label]
        made[model] = model(**{f.attname: value_for(f, made) for f in fields_of(model)})
        made[model].save(force_insert=True)
    return {label: by_label[label]._base_manager.count() for label in by_label if label in labels()}


def labels() -> set[str]:
    """What a backup holds, by name."""
    return {m._meta.label for m in apps.get_models(include_auto_created=True) if not is_left_out(m)}


def fields_of(model: Any) -> list[Any]:
    """The fields that need a value."""
    numbered = models.AutoField
    return [field for field in model._meta.concrete_fields if not isinstance(field, numbered)]


def value_for(field: Any, made: dict[Any, Any]) -> Any:
    """An unusual value that the field allows."""
    if field.remote_field:
        parent = made.get(field.related_model)
        return parent.pk if parent else None
    for kind, value in VALUES:
        if isinstance(field, kind):
            return value(field)
    return text_for(field)


def text_for(field: Any) -> str:
    """Text of no more than the field's length, and with a number of its own when it must have."""
    if field.choices:
        return str(field.flatchoices[0][0])
    unique = f"{next(_numbers)}" if field.unique else ""
    return (unique + TEXT)[: field.max_length]


VALUES: list[tuple[Any, Any]] = [
    (AmountField, lambda field: next(AMOUNTS)),
    (QuantityField, lambda field: next(QUANTITIES)),
    (CurrencyField, lambda field: "KWD"),
    (models.UUIDField, lambda field: uuid4()),
    (models.BooleanField, lambda field: bool(next(_numbers) % 2)),
    (models.IntegerField, lambda field: field.get_default() if field.has_default() else 1),
    (models.DateTimeField, lambda field: next(MOMENTS)),
    (models.DateField, lambda field: date(9999, 12, 31)),
    (models.JSONField, lambda field: JSON),
    (models.BinaryField, lambda field: bytes(range(256)) * 50),
    (models.GenericIPAddressField, lambda field: "2001:db8::1"),
]
