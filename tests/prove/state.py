"""What a person would see, free of ids and of the times at which it was written."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.apps import apps

from accounts.models import Account, BalanceSnapshot, NetWorth
from accounts.services import FIELDS as ACCOUNT_FIELDS
from connections.models import Connection
from dashtam.money import canonical
from holdings.models import Holding
from holdings.services import FIELDS as HOLDING_FIELDS
from imports.models import StatementFile
from transactions.matching import FIELDS as TRANSACTION_FIELDS
from transactions.models import Transaction, TransactionRevision

if TYPE_CHECKING:
    from collections.abc import Iterable

APPS = ("dashtam", "accounts", "transactions", "holdings", "connections", "imports")


def state() -> dict[str, list[str]]:
    """Every kind of thing that is seen, each as sorted lines.

    A balance that was read twice on one day is one point of its history here: who begins again
    after a crash reads it again.
    """
    account = "account__provider_account_id"
    return {
        "connections": _lines(Connection, ("provider_slug", "status", "status_reason")),
        "accounts": _lines(
            Account,
            ("provider_account_id", *ACCOUNT_FIELDS, "balance", "available_balance", "absences"),
        ),
        "transactions": _lines(Transaction, (account, *TRANSACTION_FIELDS)),
        "revisions": _lines(
            TransactionRevision, ("transaction__provider_transaction_id", "changes")
        ),
        "holdings": _lines(Holding, (account, "provider_holding_id", *HOLDING_FIELDS)),
        "history": sorted(set(_lines(BalanceSnapshot, _SNAPSHOT_FIELDS))),
        "net worth": _lines(NetWorth, ("value", "currency", "account_count")),
        "files": _lines(StatementFile, ("status", "rows_done", "rows_total")),
    }


def state_hash(seen: dict[str, list[str]]) -> str:
    """One word for a state: equal states have equal words."""
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def difference(expected: dict[str, list[str]], seen: dict[str, list[str]]) -> str:
    """The first line in which two states differ; empty when they are equal."""
    for kind in expected:
        extra = _without(seen[kind], expected[kind])
        missing = _without(expected[kind], seen[kind])
        if extra or missing:
            return f"{kind}: {len(missing)} missing {missing[:1]}, {len(extra)} more {extra[:1]}"
    return ""


def fingerprint() -> str:
    """Every row of every table of ours as it is, ids and times included."""
    digest = hashlib.sha256()
    for model in sorted(apps.get_models(), key=lambda one: one._meta.label):
        if model._meta.app_label in APPS:
            for row in model._default_manager.order_by("pk").values_list():
                digest.update(repr(row).encode())
    return digest.hexdigest()


_SNAPSHOT_FIELDS = (
    "account__provider_account_id",
    "balance",
    "available_balance",
    "holdings_value",
    "cash_value",
    "currency",
    "as_of__date",
)


def _lines(model: Any, fields: Iterable[str]) -> list[str]:
    rows = model._default_manager.values_list(*fields)
    return sorted(json.dumps(row, sort_keys=True, default=_plain) for row in rows)


def _without(lines: list[str], others: list[str]) -> list[str]:
    left = list(others)
    return [line for line in lines if line not in left or left.remove(line)]  # type: ignore[func-returns-value]


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)
