"""What statements said that were imported before it was kept: found out from what they left.

Known are the rows each of them showed, from the transactions and what these used to say, and the
balances it added. What it said of names, holdings and rows it did not add is not.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from accounts.models import BalanceSnapshot
from accounts.services import as_told
from connections.models import Sync
from connections.types import SyncTrigger
from transactions.matching import FIELDS, Incoming
from transactions.models import Sighting, Transaction, TransactionRevision
from transactions.types import TransactionData, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime
    from uuid import UUID

    from accounts.models import Account
    from accounts.types import AccountData

    Said = dict[UUID, dict[str, Any]]

CANCELLED = [TransactionStatus.PENDING, TransactionStatus.CANCELLED]
_TYPED = {field.name: field for field in Transaction._meta.concrete_fields}
_OURS = ("provider_transaction_id", "asset_type", "provider_metadata")
_SAID = [name for name in FIELDS if name not in _OURS]


@dataclass(frozen=True, slots=True)
class Recollection:
    """One statement as far as it is known; `cancels` when it had a list of pending rows."""

    sync: Sync
    moment: datetime
    account: AccountData
    rows: list[Incoming]
    cancels: bool


def recollect(account: Account, known: Collection[UUID]) -> list[Recollection]:
    """The statements that told of this account, those apart whose words were kept."""
    of_files = Sync.objects.filter(trigger=SyncTrigger.FILE_IMPORT, steps__account=account)
    standing = of_files.exclude(pk__in=known).exclude(statements__undone_at__isnull=False)
    syncs = sorted(standing.distinct(), key=_moment, reverse=True)
    if not syncs:
        return []
    seen: defaultdict[UUID, list[UUID]] = defaultdict(list)
    sightings = Sighting.objects.filter(transaction__account=account, sync__in=syncs)
    for sync_id, pk in sightings.order_by("transaction").values_list("sync_id", "transaction_id"):
        seen[sync_id].append(pk)
    said: Said = {
        txn["pk"]: txn for txn in Transaction.objects.filter(account=account).values("pk", *FIELDS)
    }
    revisions = list(
        TransactionRevision.objects.filter(transaction__account=account).order_by("created_at")
    )
    found = []
    for sync in syncs:
        _take_back(said, revisions, _moment(sync))
        rows = [_row(said[pk]) for pk in seen[sync.pk]]
        cancels = any(
            one.sync_id == sync.pk and one.changes.get("status") == CANCELLED for one in revisions
        )
        told = _account_data(account, sync)
        found.append(Recollection(sync, _moment(sync), told, rows, cancels))
    return found[::-1]


def _moment(sync: Sync) -> datetime:
    return sync.finished_at or sync.requested_at


def _take_back(said: Said, revisions: list[TransactionRevision], since: datetime) -> None:
    """Have the rows say what they said at an instant, and drop the revisions after it."""
    while revisions and revisions[-1].created_at > since:
        revision = revisions.pop()
        for name, (before, _after) in revision.changes.items():
            said[revision.transaction_id][name] = _TYPED[name].to_python(before)


def _row(said: dict[str, Any]) -> Incoming:
    data = TransactionData(
        **{name: said[name] for name in _SAID},
        provider_transaction_id="",
        asset_type=said["asset_type"] or None,
        metadata=said["provider_metadata"],
    )
    return Incoming(data, said["provider_transaction_id"])


def _account_data(account: Account, sync: Sync) -> AccountData:
    """The account as it is now, with the balance that this statement added, if it did."""
    added = BalanceSnapshot.objects.filter(account=account, sync=sync).first()
    as_of = added.as_of if added else None
    balances: Iterable[str] = ("balance", "available_balance", "holdings_value", "cash_value")
    return replace(
        as_told(account),
        metadata={
            **account.provider_metadata,
            "told_as_of": as_of.isoformat() if as_of else None,
        },
        balance_as_of=as_of,
        **({name: getattr(added, name) for name in balances} if added else {}),
    )
