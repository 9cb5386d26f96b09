"""Which incoming row is which stored row: the ids of file rows, and pending rows that settled.

A provider's row keeps the provider's id. A file's row has the bank's FITID, which some banks reuse:
the plain id then belongs to whichever (date, amount) took it first, and the others get
`FITID#<8 hex of date|amount>#n`. A row without FITID is known by its content:
`~<sha256 of date|amount|normalised description>#n`, n counting equal rows of the file.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dashtam.bulk import as_uuid, preparation
from dashtam.money import canonical
from dashtam.text import clean_text
from transactions.models import Transaction
from transactions.types import READER_LENGTH, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from accounts.models import Account
    from dashtam.bulk import Prepare
    from transactions.models import Written
    from transactions.types import TransactionData

# What a provider says of a transaction; an edit of the person's lives elsewhere.
FIELDS = (
    "provider_transaction_id",
    "transaction_type",
    "subtype",
    "status",
    "amount",
    "currency",
    "description",
    "asset_type",
    "symbol",
    "cusip",
    "isin",
    "security_name",
    "quantity",
    "unit_price",
    "commission",
    "transaction_date",
    "settlement_date",
    "occurred_at",
    "raw_type",
    "pending_provider_id",
    "is_flagged",
    "provider_metadata",
)
# With what is written beside it whenever it changes.
WRITTEN = (*FIELDS, "told_as", "told_at", "updated_at")
# Those that are read from a row as they are; the id and the metadata are not.
SAID = FIELDS[1:-1]
COMPARED = ("mark_that_counts", *FIELDS[1:])
_ASSET_TYPE, _IS_FLAGGED = SAID.index("asset_type"), SAID.index("is_flagged")
_read_said = attrgetter(*SAID)
_TEXT_LIMITS = {
    "description": 500,
    "symbol": 64,
    "cusip": 16,
    "isin": 16,
    "security_name": 200,
    "raw_type": 100,
}
# A pending row may settle this much later and, with a tip, this much larger or smaller.
SETTLES_WITHIN = timedelta(days=8)
SETTLES_TO_WITHIN = Decimal("0.25")
# Stored rows that are held in memory at a time to be compared.
COMPARED_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Incoming:
    """A row with the id it claims, and the one it takes when that id means another row.

    `other_id` is empty where the id alone decides. A row with `is_repeat` says what an earlier row
    of the same answer said already; `is_shared` when other rows of the answer claim its id too.
    """

    data: TransactionData
    claimed_id: str
    other_id: str = ""
    is_repeat: bool = False
    is_shared: bool = False

    @property
    def key(self) -> str:
        """What tells this row from every other row of the same answer."""
        return self.other_id or self.claimed_id

    def agrees_with(self, stored: Transaction) -> bool:
        """Whether a stored row under the claimed id is this row and not the id's earlier owner."""
        if not self.other_id:
            return True
        if (stored.transaction_date, stored.amount) == (
            self.data.transaction_date,
            self.data.amount,
        ):
            return True
        # A pending row may settle otherwise, unless its id says nothing about which row it is.
        may_change = stored.status == TransactionStatus.PENDING and not stored._state.adding
        return may_change and not self.is_shared


def from_provider(rows: Iterable[TransactionData]) -> list[Incoming]:
    """Rows of a provider with ids of its own: the id decides."""
    return [Incoming(row, row.provider_transaction_id) for row in rows]


def from_file(rows: Sequence[TransactionData]) -> list[Incoming]:
    """All rows of one account in one file, in the file's order, each with the id it claims."""
    reused = _reused_ids(rows)
    seen: Counter[tuple[object, ...]] = Counter()
    return [_incoming(row, seen, reused) for row in rows]


def _incoming(
    row: TransactionData, seen: Counter[tuple[object, ...]], reused: set[str]
) -> Incoming:
    fitid = row.provider_transaction_id
    if not fitid:
        return Incoming(row, _content_id(row, seen))
    key = (fitid, row.transaction_date, row.amount)
    seen[key] += 1
    count = seen[key]
    is_shared = fitid in reused
    if count > 1 and not is_shared:
        return Incoming(row, fitid, is_repeat=True)
    other_id = f"{fitid}#{_day_and_amount(row)}#{count}"
    # The second of two equal rows under a reused id can never be the plain id's row.
    return Incoming(row, fitid if count == 1 else other_id, other_id, is_shared=is_shared)


def _reused_ids(rows: Sequence[TransactionData]) -> set[str]:
    """The FITIDs that stand for more than one thing in this file."""
    meanings: defaultdict[str, set[tuple[date, Decimal, str]]] = defaultdict(set)
    for row in rows:
        if row.provider_transaction_id:
            meanings[row.provider_transaction_id].add(
                (row.transaction_date, row.amount, normalised(row.description))
            )
    return {fitid for fitid, said in meanings.items() if len(said) > 1}


def _content_id(row: TransactionData, seen: Counter[tuple[object, ...]]) -> str:
    # A pending row and the settled one beside it are two rows, however equal they look.
    mark = "~p" if row.status == TransactionStatus.PENDING else "~"
    text = "|".join(
        (
            row.transaction_date.isoformat(),
            canonical(row.amount),
            normalised(row.description),
            *(
                (row.symbol or row.cusip or row.security_name, canonical(row.quantity))
                if row.quantity is not None
                else ()
            ),
        )
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    seen[mark, digest] += 1
    return f"{mark}{digest}#{seen[mark, digest]}"


def _day_and_amount(row: TransactionData) -> str:
    text = f"{row.transaction_date.isoformat()}|{canonical(row.amount)}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def as_stored(row: Incoming, row_id: str) -> dict[str, Any]:
    """Return what a row says under this id, field by field, as it is stored."""
    data: TransactionData = row.data
    values: dict[str, Any] = dict(zip(SAID, _read_said(data), strict=True))
    for name, limit in _TEXT_LIMITS.items():
        if values[name]:
            values[name] = clean_text(values[name], limit)
    values["provider_transaction_id"] = row_id
    values["asset_type"] = data.asset_type or ""
    values["is_flagged"] = data.is_flagged or bool(row.other_id and row_id == row.other_id)
    values["provider_metadata"] = dict(data.metadata)
    return values


def normalised(description: str) -> str:
    """A description without regard to case and spacing, for comparing what two rows say."""
    return " ".join(description.casefold().split())


def sift(account: Account, rows: Sequence[Incoming]) -> tuple[list[UUID], list[Incoming]]:
    """The account's rows that say word for word what rows of these do, and the rows left, in order.

    It takes a statement for thousands of them, and writes nothing.
    """
    unchanged: list[UUID] = []
    rest: list[Incoming] = []
    for start in range(0, len(rows), COMPARED_AT_ONCE):
        some = rows[start : start + COMPARED_AT_ONCE]
        ids = {name for row in some for name in (row.claimed_id, row.other_id) if name}
        known = Transaction.objects.filter(account=account).as_written(ids, COMPARED)
        same, others = without_unchanged(some, known)
        unchanged += same
        rest += others
    return unchanged, rest


def without_unchanged(
    rows: Sequence[Incoming], known: Mapping[str, Written]
) -> tuple[list[UUID], list[Incoming]]:
    """The stored rows that say word for word what rows of these do, and the rows left, in order.

    Compared is what the database has written (`as_written` with COMPARED), not objects made of it.
    A row whose id others of these claim too is left, and one whose mark is yet to be kept.
    """
    if not known:
        return [], list(rows)
    named = Counter(row.claimed_id for row in rows if row.claimed_id)
    named.update(row.other_id for row in rows if row.other_id not in ("", row.claimed_id))
    shared = {name for name, count in named.items() if count > 1}
    prepared = _prepared()
    unchanged, rest = [], []
    for row in rows:
        stored = known.get(row.other_id) or known.get(row.claimed_id)
        is_alone = row.claimed_id not in shared and row.other_id not in shared
        if stored and is_alone and _is_written(stored, row, prepared):
            unchanged.append(as_uuid(stored[0]))
        else:
            rest.append(row)
    return unchanged, rest


def _prepared() -> list[tuple[int, Prepare]]:
    """Where SAID has fields that the driver takes otherwise than rows say them, and how."""
    fields = {field.attname: field for field in Transaction._meta.concrete_fields}
    preparations = [(index, preparation(fields[name])) for index, name in enumerate(SAID)]
    return [(index, prepare) for index, prepare in preparations if prepare]


def _is_written(stored: Written, row: Incoming, prepared: Sequence[tuple[int, Prepare]]) -> bool:
    """Whether a stored row says what this one does, and was read by who reads this one.

    Its texts were cleaned when they were stored: what is equal to them would not change by it.
    """
    if is_unmarked(stored[2], row.data):
        return False
    said = list(_read_said(row.data))
    said[_ASSET_TYPE] = said[_ASSET_TYPE] or ""
    said[_IS_FLAGGED] = said[_IS_FLAGGED] or stored[1] == row.other_id
    for index, prepare in prepared:
        if said[index] is not None:
            said[index] = prepare(said[index])
    return stored[3:-1] == tuple(said) and bool(json.loads(stored[-1]) == row.data.metadata)


def is_unmarked(mark: str | None, row: TransactionData) -> bool:
    """Whether the mark of a stored row is to become this one's, though it says nothing else.

    Not when the same reader has marked it: what a row says beside, it may say anew every time.
    """
    reader = (mark or "")[:READER_LENGTH]
    return bool(row.told_as) and reader != row.told_as[:READER_LENGTH]


def settlements(
    vanished: Iterable[Transaction], newcomers: Sequence[Incoming]
) -> Iterator[tuple[Transaction, Incoming]]:
    """Pair each vanished pending row with the one settled newcomer it can have become.

    A pending row with no candidate, or with several, is not paired; a newcomer is paired once.
    """
    by_day = sorted(newcomers, key=_day)
    taken: set[int] = set()
    for pending in vanished:
        first = bisect_left(by_day, pending.transaction_date - SETTLES_WITHIN, key=_day)
        last = bisect_right(by_day, pending.transaction_date + SETTLES_WITHIN, key=_day)
        candidates = (
            index
            for index in range(first, last)
            if index not in taken and _can_become(pending, by_day[index].data)
        )
        # Two are as good as many: nobody is guessed between.
        found = list(islice(candidates, 2))
        if len(found) == 1:
            taken.add(found[0])
            yield pending, by_day[found[0]]


def _day(row: Incoming) -> date:
    return row.data.transaction_date


def _can_become(pending: Transaction, row: TransactionData) -> bool:
    return (
        row.status == TransactionStatus.SETTLED
        and row.currency == pending.currency
        and (row.amount > 0) == (pending.amount > 0)
        and abs(row.amount - pending.amount) <= abs(pending.amount) * SETTLES_TO_WITHIN
    )
