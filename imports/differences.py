"""What taking statements back changes of an account, found in memory before it is done.

Two replays are compared. What something else than a statement has changed since is left alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accounts import services as account_services
from accounts.models import Account
from connections.models import SyncStep
from connections.types import SyncTrigger, SyncWork
from holdings import services as holding_services
from holdings.models import Holding
from imports.journal import told_of
from imports.replay import replay
from transactions.models import Transaction, TransactionEdit
from transactions.rewriting import RowChange, Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    from imports.replay import Replay
    from transactions.ledger import LedgerRow

BALANCE = ("balance", "available_balance", "balance_as_of")
ACCOUNT_FIELDS = (*account_services.FIELDS, *BALANCE, "transactions_through")
# When something was last read: what remains says it, whatever is stored.
MOMENTS = ("last_synced_at", "transactions_synced_at", "holdings_synced_at")


@dataclass(slots=True, kw_only=True)
class AccountChange:
    """What becomes of one account.

    `is_leaving`: no statement that stays tells of it. `staying` counts the transactions of the
    statements taken back that stay, since others show them too. `is_known` is False when a
    statement is too old for all it said to be known; `is_read` when a connection reads the account
    as well, so that nothing is taken out of it.
    """

    account: Account
    replay: Replay
    is_leaving: bool = False
    is_known: bool = True
    is_read: bool = False
    staying: int = 0
    removed: dict[UUID, LedgerRow] = field(default_factory=dict)
    changed: list[RowChange] = field(default_factory=list)
    seen_otherwise: list[RowChange] = field(default_factory=list)
    added: list[LedgerRow] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    moments: dict[str, datetime | None] = field(default_factory=dict)
    snapshots_removed: list[UUID] = field(default_factory=list)
    snapshots_added: list[UUID] = field(default_factory=list)
    holdings_removed: list[UUID] = field(default_factory=list)
    holdings_changed: dict[UUID, Holding] = field(default_factory=dict)
    holdings_added: list[Holding] = field(default_factory=list)
    edited: set[UUID] = field(default_factory=set)

    @property
    def sources(self) -> Sources:
        """The statements that told of it, and when."""
        return Sources(self.replay.sources, self.replay.moments)

    @property
    def rows_changed(self) -> list[RowChange]:
        """The transactions that will say something else."""
        return [one for one in self.changed if one.fields]

    @property
    def conflicts(self) -> list[UUID]:
        """The transactions that go although the person wrote on them, or they are marked."""
        return [pk for pk, row in self.removed.items() if pk in self.edited or row.is_flagged]

    @property
    def moves_balance(self) -> bool:
        """Whether it has another balance, or one of another day, afterwards."""
        return any(name in self.fields for name in BALANCE)

    @property
    def balance_after(self) -> Decimal | None:
        """What its balance is afterwards; None when nothing says one."""
        balance: Decimal | None = self.fields.get("balance", self.account.balance)
        return balance

    @property
    def as_of_after(self) -> datetime | None:
        """Of when its balance is afterwards."""
        as_of: datetime | None = self.fields.get("balance_as_of", self.account.balance_as_of)
        return as_of

    @property
    def holdings_after(self) -> int:
        """How many positions it holds afterwards."""
        return sum(one.is_active for one in self.replay.after.holdings.values())

    @property
    def has_holdings_changes(self) -> bool:
        """Whether it holds something else afterwards."""
        return bool(self.holdings_removed or self.holdings_changed or self.holdings_added)


def change_of(
    account: Account, without: Collection[UUID], beat: Callable[[], None]
) -> AccountChange:
    """What becomes of an account without the statements of these syncs."""
    told = told_of(account)
    played = replay(account, told, without, beat)
    change = AccountChange(
        account=account,
        replay=played,
        is_known=all(one.is_known for one in told),
        is_read=_is_read(account),
    )
    _compare_rows(change, without)
    if not change.is_read:
        _compare_account(change)
        _compare_holdings(change)
        _compare_snapshots(change)
        change.is_leaving = played.after.account is None and not _has_more(change)
    return change


def _is_read(account: Account) -> bool:
    """Whether a connection reads it too: then nobody knows what of it only the files told."""
    steps = SyncStep.objects.filter(account=account, sync__work=SyncWork.READ)
    return steps.exclude(sync__trigger=SyncTrigger.FILE_IMPORT).exists()


def _has_more(change: AccountChange) -> bool:
    """Whether something is stored in it that no statement told."""
    rows = change.account.transactions.count() > len(change.removed)
    return rows or bool(change.replay.after.others)


def _compare_rows(change: AccountChange, without: Collection[UUID]) -> None:
    stored = dict(
        Transaction.objects.filter(account=change.account).values_list(
            "provider_transaction_id", "pk"
        )
    )
    change.edited = set(
        TransactionEdit.objects.filter(transaction__account=change.account).values_list(
            "transaction_id", flat=True
        )
    )
    before, after = change.replay.before.ledger, change.replay.after.ledger
    keys = {id(row): stored[row_id] for row_id, row in before.by_id.items() if row_id in stored}
    gone = {number for number, sync_id in enumerate(change.replay.sources) if sync_id in without}
    edited = {id(row) for row in before.rows if keys.get(id(row)) in change.edited}
    paired = _pair(before.rows, after.rows, edited)
    left = {id(row) for row in before.rows}
    for row in after.rows:
        was = paired.get(id(row))
        if was is None:
            _add(change, row, stored)
            continue
        left.discard(id(was))
        if id(was) in keys:
            _compare_row(change, RowChange(keys[id(was)], was, row), gone)
    for row in before.rows:
        if id(row) in left and id(row) in keys:
            _remove(change, keys[id(row)], row)


def _add(change: AccountChange, row: LedgerRow, stored: Mapping[str, UUID]) -> None:
    # Under this id something may be stored that no statement told.
    is_free = row.provider_transaction_id not in stored
    if is_free or row.provider_transaction_id in change.replay.before.ledger.by_id:
        change.added.append(row)


def _remove(change: AccountChange, pk: UUID, row: LedgerRow) -> None:
    if change.is_read:
        change.staying += 1
    else:
        change.removed[pk] = row


def _compare_row(change: AccountChange, one: RowChange, gone: Collection[int]) -> None:
    before, after = one.before.sources(), one.after.sources()
    change.staying += any(source in gone for source in before)
    if change.is_read:
        return
    if one.fields or one.before.revisions != one.after.revisions:
        change.changed.append(one)
    expected = [source for source in before if source not in gone]
    if sorted(expected) != sorted(after) or before[:1] != after[:1]:
        change.seen_otherwise.append(one)


def _pair(
    before: Iterable[LedgerRow], after: Iterable[LedgerRow], edited: Collection[int]
) -> dict[int, LedgerRow]:
    """Which row before each row afterwards is: the one it has most told rows in common with.

    A row that the person wrote on is given away first.
    """
    by_number = {number: row for row in before for number in row.told}
    shared = [
        (id(was) not in edited, -count, place, row, was)
        for place, row in enumerate(after)
        for was, count in _counted(row, by_number)
    ]
    shared.sort(key=lambda pair: pair[:3])
    paired: dict[int, LedgerRow] = {}
    taken: set[int] = set()
    for _edited, _count, _place, row, was in shared:
        if id(row) not in paired and id(was) not in taken:
            paired[id(row)] = was
            taken.add(id(was))
    return paired


def _counted(row: LedgerRow, by_number: Mapping[int, LedgerRow]) -> Iterable[tuple[LedgerRow, int]]:
    # A row may be told only afterwards: the pending one of a statement that is the newest then.
    if len(row.told) == 1:
        known = by_number.get(row.told[0])
        return ((known, 1),) if known else ()
    return Counter(by_number[number] for number in row.told if number in by_number).items()


def _compare_account(change: AccountChange) -> None:
    before, after = change.replay.before.account, change.replay.after.account
    if before is None or after is None:
        return
    names = [name for name in ACCOUNT_FIELDS if getattr(before, name) != getattr(after, name)]
    untouched = [name for name in names if getattr(change.account, name) == getattr(before, name)]
    moved = any(getattr(change.account, name) != getattr(before, name) for name in BALANCE)
    change.fields = {
        # Somebody else has told a balance since: then it stays as a whole.
        name: getattr(after, name)
        for name in untouched
        if not (moved and name in BALANCE)
    }
    change.moments = {
        name: getattr(after, name)
        for name in MOMENTS
        if getattr(before, name) != getattr(after, name)
    }


def _compare_holdings(change: AccountChange) -> None:
    before, after = change.replay.before.holdings, change.replay.after.holdings
    names = holding_services.FIELDS
    stored = dict(
        Holding.objects.filter(account=change.account).values_list("provider_holding_id", "pk")
    )
    for key in before.keys() - after.keys():
        if key in stored:
            change.holdings_removed.append(stored[key])
    for key, holding in after.items():
        if key not in before:
            if key not in stored:
                change.holdings_added.append(holding)
        elif key in stored and any(
            getattr(before[key], name) != getattr(holding, name) for name in names
        ):
            change.holdings_changed[stored[key]] = holding


def _compare_snapshots(change: AccountChange) -> None:
    before, after = change.replay.before.snapshots, change.replay.after.snapshots
    change.snapshots_removed = [key for key, said in before.items() if after.get(key) != said]
    change.snapshots_added = [key for key, said in after.items() if before.get(key) != said]
