"""What each imported statement said of each account, kept as rows once its bytes are erased.

An undo needs it: what remains is what the other statements said. Rows are kept column by column,
packed, a few bytes each: they are read again as a whole or not at all.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Max

from accounts.types import AccountData, AccountType, AssetType
from connections.types import SyncStatus
from holdings.types import HoldingData
from imports.models import Telling, TellingPart
from imports.recollection import recollect
from transactions.matching import Incoming
from transactions.types import (
    TransactionData,
    TransactionStatus,
    TransactionSubtype,
    TransactionType,
)

if TYPE_CHECKING:
    from uuid import UUID

    from accounts.models import Account
    from connections.fetched import Fetched
    from connections.models import Sync

Row = TypeVar("Row")

ROWS_IN_PART = 500
# Fast, and small enough: most columns say the same thing in every row.
COMPRESSION = 1

_AMOUNTS = (
    "amount quantity unit_price commission cost_basis market_value average_price current_price "
    "balance available_balance holdings_value cash_value"
)
_READERS: dict[str, Callable[[Any], object]] = {
    **dict.fromkeys(_AMOUNTS.split(), Decimal),
    **dict.fromkeys(("transaction_date", "settlement_date"), date.fromisoformat),
    **dict.fromkeys(("occurred_at", "balance_as_of"), datetime.fromisoformat),
    "account_type": AccountType,
    "asset_type": AssetType,
    "transaction_type": TransactionType,
    "subtype": TransactionSubtype,
    "status": TransactionStatus,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one statement said of one account, and how much of it was saved.

    `is_more`: rows that could be read only later; of the account nothing is told with them.
    `saved_rows` counts the rows that were saved of an import that failed in the middle; None when
    all of it was. `moment` is when it was imported. `is_known` is False where it was found out
    from the rows it left: then it says no more of the account than its balance.
    """

    sync_id: UUID
    moment: datetime
    account: AccountData
    parts: Sequence[Sequence[Incoming]] | Telling
    holdings: Sequence[HoldingData] | None = None
    has_all_pending: bool = False
    has_unread: bool = False
    has_unread_holdings: bool = False
    is_more: bool = False
    saved_rows: int | None = None
    is_known: bool = True

    def rows(self) -> list[Incoming]:
        """All its rows, in the statement's order."""
        parts = _parts(self.parts) if isinstance(self.parts, Telling) else self.parts
        return [row for part in parts for row in part]


def keep(sync: Sync, fetched: Sequence[Fetched], accounts: Mapping[str, Account]) -> None:
    """Keep what a statement says, in the transaction that saves its accounts."""
    for position, one in enumerate(fetched):
        telling = Telling(
            user_id=sync.user_id,
            sync=sync,
            account=accounts[one.account.provider_account_id],
            position=position,
            said={
                "has_all_pending": one.has_all_pending,
                "has_unread": any(not row.is_holding for row in one.rejected),
                "has_unread_holdings": any(row.is_holding for row in one.rejected),
            },
            account_data=pack([one.account]),
            holdings=None if one.holdings is None else pack(one.holdings),
        )
        telling.save(force_insert=True)
        TellingPart.objects.bulk_create(_packed(telling, one.transactions or ()), batch_size=20)


def keep_more(
    sync: Sync,
    account: Account,
    *,
    rows: Sequence[Incoming] = (),
    holdings: Sequence[HoldingData] | None = None,
) -> None:
    """Keep rows of a statement that could be read only now, in the transaction that saves them."""
    tellings = Telling.objects.filter(sync=sync)
    first = tellings.filter(account=account).earliest("created_at", "position")
    last = tellings.aggregate(last=Max("position"))["last"]
    telling = Telling(
        user_id=sync.user_id,
        sync=sync,
        account=account,
        position=last + 1,
        said={"is_more": True},
        account_data=first.account_data,
        holdings=None if holdings is None else pack(holdings),
    )
    telling.save(force_insert=True)
    TellingPart.objects.bulk_create(_packed(telling, rows), batch_size=20)


def everything_told(sync: Sync, account: Account) -> list[Told]:
    """All that one statement said of an account, what could be read only later being last."""
    tellings = Telling.objects.filter(sync=sync, account=account).select_related("sync")
    return [_told(one) for one in tellings.order_by("created_at", "position")]


def is_followed(told: Told, account: Account) -> bool:
    """Whether a later statement, not taken back, told of the account's positions."""
    later = Telling.objects.filter(
        account=account, holdings__isnull=False, created_at__gt=told.moment
    )
    return later.exclude(sync=told.sync_id).exists()


def told_of(account: Account) -> list[Told]:
    """What every imported statement said of an account, in the order in which they came."""
    tellings = Telling.objects.filter(account=account).select_related("sync")
    told = [_told(one) for one in tellings.order_by("created_at", "position")]
    told += [
        Told(
            sync_id=one.sync.pk,
            moment=one.moment,
            account=one.account,
            parts=[one.rows],
            has_all_pending=one.cancels,
            is_known=False,
        )
        for one in recollect(account, {each.sync_id for each in told})
    ]
    return sorted(told, key=lambda one: one.moment)


def pack(rows: Sequence[object]) -> bytes:
    """Rows of one kind as bytes: what they all say alike is written once."""
    if not rows:
        return zlib.compress(b'{"count":0}', COMPRESSION)
    names = [one.name for one in fields(rows[0])]  # type: ignore[arg-type]
    same: dict[str, object] = {}
    columns: dict[str, object] = {}
    for name, column in zip(names, zip(*map(attrgetter(*names), rows), strict=True), strict=True):
        if column.count(column[0]) == len(column):
            same[name] = column[0]
        else:
            columns[name] = column
    packed = {"count": len(rows), "same": same, "columns": columns}
    text = json.dumps(packed, default=_plain, separators=(",", ":"))
    return zlib.compress(text.encode(), COMPRESSION)


def unpack(kind: Callable[..., Row], data: bytes) -> list[Row]:
    """The rows again; what a later version added to them has its default."""
    packed = json.loads(zlib.decompress(data))
    if not packed["count"]:
        return []
    same = {name: _read(name, value) for name, value in packed["same"].items()}
    columns = [
        [_read(name, value) for value in column] for name, column in packed["columns"].items()
    ]
    names = list(packed["columns"])
    if not names:
        return [kind(**same) for _ in range(packed["count"])]
    return [
        kind(**same, **dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Ids:
    """What is known of an incoming row beside what it says."""

    claimed_id: str
    other_id: str
    is_repeat: bool
    is_shared: bool


def _packed(telling: Telling, rows: Sequence[Incoming]) -> Iterator[TellingPart]:
    for number, offset in enumerate(range(0, len(rows), ROWS_IN_PART)):
        part = rows[offset : offset + ROWS_IN_PART]
        ids = [_Ids(row.claimed_id, row.other_id, row.is_repeat, row.is_shared) for row in part]
        yield TellingPart(
            user_id=telling.user_id,
            telling=telling,
            number=number,
            rows=pack([row.data for row in part]),
            ids=pack(ids),
        )


def _parts(telling: Telling) -> Iterator[list[Incoming]]:
    for part in telling.parts.order_by("number").iterator(chunk_size=20):
        data = unpack(TransactionData, bytes(part.rows))
        ids = unpack(_Ids, bytes(part.ids))
        yield [
            Incoming(row, known.claimed_id, known.other_id, known.is_repeat, known.is_shared)
            for row, known in zip(data, ids, strict=True)
        ]


def _told(telling: Telling) -> Told:
    held = telling.holdings
    (account,) = unpack(AccountData, bytes(telling.account_data))
    return Told(
        sync_id=telling.sync_id,
        moment=telling.created_at,
        account=account,
        parts=telling,
        holdings=None if held is None else unpack(HoldingData, bytes(held)),
        saved_rows=_saved_rows(telling),
        **telling.said,
    )


def _saved_rows(telling: Telling) -> int | None:
    """How much a failed import saved of an account before it ended; None for all."""
    if telling.sync.status == SyncStatus.SUCCEEDED or telling.said.get("is_more"):
        return None
    point = telling.sync.resume_point
    done = point.get("accounts_done", 0)
    if telling.position == done:
        return int(point.get("rows_done", 0))
    return None if telling.position < done else 0


def _read(name: str, value: Any) -> Any:
    reader = _READERS.get(name)
    return value if reader is None or value is None else reader(value)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
