"""Saving what an account holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Sum
from django.utils.timezone import now

from accounts.types import Counts, Saved
from dashtam.text import clean_text
from holdings.models import Holding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal
    from typing import Any
    from uuid import UUID

    from accounts.models import Account
    from holdings.types import HoldingData

CHUNK = 500

FIELDS = (
    "symbol",
    "cusip",
    "isin",
    "security_name",
    "asset_type",
    "quantity",
    "cost_basis",
    "market_value",
    "currency",
    "average_price",
    "current_price",
    "provider_metadata",
    "is_active",
)
_TEXT_LIMITS = {"symbol": 64, "cusip": 16, "isin": 16, "security_name": 200}


def save_holdings(account: Account, rows: Sequence[HoldingData]) -> Saved:
    """Save one chunk of positions inside the caller's transaction.

    A position of zero is not stored; an unchanged one is not written.
    """
    stored = {
        holding.provider_holding_id: holding
        for holding in Holding.objects.filter(
            account=account, provider_holding_id__in={row.provider_holding_id for row in rows}
        )
    }
    new, changed, ignored = compare(account, stored, rows)
    Holding.objects.bulk_create(new.values())
    Holding.objects.bulk_update(changed.values(), [*FIELDS, "updated_at"])
    written = len(new) + len(changed)
    return Saved(
        counts=Counts(
            fetched=len(rows),
            created=len(new),
            updated=len(changed),
            unchanged=len(rows) - written - ignored,
            ignored=ignored,
        )
    )


def compare(
    account: Account, stored: Mapping[str, Holding], rows: Iterable[HoldingData]
) -> tuple[dict[str, Holding], dict[str, Holding], int]:
    """Hold positions against the stored ones, by id: new and changed ones in memory, how many not.

    Those not counted are positions of zero, and repeats of what these rows said already.
    """
    new: dict[str, Holding] = {}
    changed: dict[str, Holding] = {}
    ignored = 0
    for row in rows:
        key = row.provider_holding_id
        if not row.quantity or key in new or key in changed:
            ignored += 1
        elif key not in stored:
            new[key] = Holding(
                user_id=account.user_id, account=account, provider_holding_id=key, **_values(row)
            )
        elif _overwrite(stored[key], _values(row)):
            changed[key] = stored[key]
    return new, changed, ignored


def deactivate_missing(account: Account, still_held: Iterable[str]) -> int:
    """Deactivate the positions that left a complete list; how many.

    An empty list deactivates nothing: absence of everything is more often a fault than a sale.
    """
    held = set(still_held)
    if not held:
        return 0
    gone = [
        holding.pk
        for holding in Holding.objects.filter(account=account, is_active=True).only(
            "provider_holding_id"
        )
        if holding.provider_holding_id not in held
    ]
    return Holding.objects.filter(pk__in=gone).update(is_active=False, updated_at=now())


def rewrite(
    account: Account,
    *,
    removed: Sequence[UUID],
    changed: Mapping[UUID, Holding],
    added: Sequence[Holding],
) -> Counts:
    """Have the account hold this again, inside the caller's transaction; how many changed."""
    Holding.objects.filter(pk__in=removed).delete()
    stored = list(Holding.objects.filter(pk__in=list(changed)))
    deactivated = sum(one.is_active and not changed[one.pk].is_active for one in stored)
    for holding in stored:
        for name in FIELDS:
            setattr(holding, name, getattr(changed[holding.pk], name))
        holding.updated_at = now()
    Holding.objects.bulk_update(stored, [*FIELDS, "updated_at"], batch_size=CHUNK)
    for holding in added:
        holding.account_id = account.pk
    Holding.objects.bulk_create(added, batch_size=CHUNK)
    return Counts(
        created=len(added),
        updated=len(stored) - deactivated,
        deactivated=len(removed) + deactivated,
    )


def value_by_currency(account: Account) -> dict[str, Decimal]:
    """What the active positions of an account are worth, currency by currency."""
    rows = (
        Holding.objects.filter(account=account, is_active=True, market_value__isnull=False)
        .order_by()
        .values_list("currency")
        .annotate(value=Sum("market_value"))
    )
    return dict(rows)


def _values(row: HoldingData) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in FIELDS[:-2]}
    for name, limit in _TEXT_LIMITS.items():
        values[name] = clean_text(values[name], limit)
    values["provider_metadata"] = dict(row.metadata)
    values["is_active"] = True
    return values


def _overwrite(holding: Holding, values: dict[str, Any]) -> bool:
    changes = {name: value for name, value in values.items() if getattr(holding, name) != value}
    for name, value in changes.items():
        setattr(holding, name, value)
    if changes:
        holding.updated_at = now()
    return bool(changes)
