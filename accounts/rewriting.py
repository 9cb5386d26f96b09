"""Writing what an account says again, once a statement is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.models import BalanceSnapshot
from accounts.types import SnapshotSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Any
    from uuid import UUID

    from accounts.models import Account


def restate(account: Account, fields: Mapping[str, Any]) -> None:
    """Have the account say this again, inside the caller's transaction."""
    for name, value in fields.items():
        setattr(account, name, value)
    account.save(update_fields=[*fields, "updated_at"])


def rewrite_history(
    account: Account,
    *,
    removed: Iterable[UUID],
    added: Mapping[UUID, Mapping[str, Any]],
    moments: Mapping[UUID, datetime],
) -> None:
    """Take the balances of these syncs out of the account's history, and add others, by sync.

    An added one is as old as its sync, which `moments` says.
    """
    history = BalanceSnapshot.objects.filter(account=account)
    history.filter(sync__in=list(removed)).delete()
    BalanceSnapshot.objects.bulk_create(
        BalanceSnapshot(
            user_id=account.user_id,
            account=account,
            sync_id=sync_id,
            source=SnapshotSource.FILE_IMPORT,
            captured_at=moments[sync_id],
            **snapshot,
        )
        for sync_id, snapshot in added.items()
    )
