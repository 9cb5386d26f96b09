"""What imported statements make of an account, told again in memory in the order they came."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from accounts.models import BalanceSnapshot
from accounts.services import (
    is_older,
    move_balance,
    new_account,
    overwrite,
    snapshot_of,
    tells_balance,
)
from accounts.types import SnapshotSource
from holdings.services import compare
from transactions.ledger import ROWS_OF_SOURCE, Ledger
from transactions.services import CHUNK
from transactions.types import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from accounts.models import Account
    from holdings.models import Holding
    from imports.journal import Told
    from transactions.matching import Incoming


@dataclass(slots=True)
class Book:
    """One account as some statements leave it: nothing in it is stored.

    `snapshots` are the balances that its statements added to its history, by sync; `others` those
    that something else added. `holdings_as_of` is the instant of which the holdings are.
    """

    stored: Account
    others: Sequence[Mapping[str, Any]] = ()
    account: Account | None = None
    ledger: Ledger = field(default_factory=Ledger)
    holdings: dict[str, Holding] = field(default_factory=dict)
    holdings_as_of: datetime | None = None
    snapshots: dict[UUID, dict[str, Any]] = field(default_factory=dict)

    def open(self, told: Sequence[Told]) -> None:
        """Save what one statement says of the account itself."""
        if told[0].is_more:
            return
        if self.account is None:
            user_id, connection_id = self.stored.user_id, self.stored.connection_id
            self.account = new_account(user_id, connection_id, told[-1].account)
            self.account.pk = self.stored.pk
            return
        for one in told:
            overwrite(self.account, one.account)

    def take(self, told: Told, numbered: Sequence[tuple[int, Incoming]], as_of: datetime) -> None:
        """Save its rows, and at their end balance and holdings; `as_of` is for an undated one."""
        if self.account is None or told.saved_rows == 0:
            return
        older = is_older(self.account, told.account)
        if told.is_more:
            self._take_more(told, numbered, older=older)
            return
        kept = [one for one in numbered if not (older and _is_pending(one[1]))]
        rows = [row for _number, row in kept]
        plan = {} if older else self.ledger.plan(rows)
        self.ledger.save(kept[: told.saved_rows], plan, told.sync_id)
        if told.saved_rows is not None:
            return
        if told.has_all_pending and not older and not told.has_unread:
            self.ledger.cancel_vanished(rows, told.sync_id)
        if not older:
            self._take_holdings(told)
        self._take_balance(told, as_of)
        self._note(told, rows)

    def _take_more(
        self, told: Told, numbered: Sequence[tuple[int, Incoming]], *, older: bool
    ) -> None:
        self.ledger.save(numbered, {}, told.sync_id, adds_only=True)
        self._go_through([row for _number, row in numbered])
        if not older:
            self._hold(told)

    def _take_holdings(self, told: Told) -> None:
        if told.holdings is None:
            return
        self.holdings_as_of = told.account.balance_as_of or self.holdings_as_of
        self._hold(told)
        held = {row.provider_holding_id for row in told.holdings if row.quantity}
        if held and not told.has_unread_holdings:
            for key in self.holdings.keys() - held:
                self.holdings[key].is_active = False

    def _hold(self, told: Told) -> None:
        if told.holdings is None or self.account is None:
            return
        for offset in range(0, len(told.holdings), CHUNK):
            chunk = told.holdings[offset : offset + CHUNK]
            new, _changed, _ignored = compare(self.account, self.holdings, chunk)
            self.holdings.update(new)

    def _take_balance(self, told: Told, as_of: datetime) -> None:
        account, data = self.account, told.account
        if account is None:
            return
        if not tells_balance(account, data, source=SnapshotSource.FILE_IMPORT):
            return
        snapshot = snapshot_of(account, data, as_of)
        if snapshot not in self.others and snapshot not in self.snapshots.values():
            self.snapshots[told.sync_id] = snapshot
        move_balance(account, data, as_of)

    def _note(self, told: Told, rows: Sequence[Incoming]) -> None:
        account = self.account
        if account is None:
            return
        account.last_synced_at = account.transactions_synced_at = told.moment
        if told.holdings is not None:
            account.holdings_synced_at = told.moment
        self._go_through(rows)

    def _go_through(self, rows: Sequence[Incoming]) -> None:
        if self.account:
            known = [self.account.transactions_through, *(_day(row) for row in rows)]
            self.account.transactions_through = max(filter(None, known), default=None)


@dataclass(frozen=True, slots=True)
class Replay:
    """An account as all its statements leave it, and as those do that are not taken back.

    `sources` are the syncs of the statements in order: what a told row's number stands for.
    """

    before: Book
    after: Book
    sources: Sequence[UUID]
    moments: Mapping[UUID, datetime]


def replay(
    account: Account, told: Sequence[Told], without: Collection[UUID], beat: Callable[[], None]
) -> Replay:
    """Tell an account's statements again, once all of them and once without those of these syncs.

    `beat` is called between statements: it may take a while.
    """
    of_account = BalanceSnapshot.objects.filter(account=account)
    sources = list(dict.fromkeys(one.sync_id for one in told))
    others = list(of_account.exclude(sync__in=sources).values(*_SNAPSHOT))
    dated = dict(of_account.filter(sync__in=sources).values_list("sync", "as_of"))
    books = Book(account, others), Book(account, others)
    counts = {sync_id: number * ROWS_OF_SOURCE for number, sync_id in enumerate(sources)}
    for (sync_id, _is_more), of_one in groupby(told, key=lambda one: (one.sync_id, one.is_more)):
        beat()
        group = list(of_one)
        telling = books[:1] if sync_id in without else books
        for book in telling:
            book.open(group)
        for one in group:
            numbered = list(enumerate(one.rows(), start=counts[sync_id]))
            counts[sync_id] += len(numbered)
            for book in telling:
                book.take(one, numbered, dated.get(sync_id, one.moment))
    # Of a statement some of whose rows were read later, when it was imported.
    moments = {one.sync_id: one.moment for one in reversed(told)}
    return Replay(*books, sources, moments)


_SNAPSHOT = (
    "balance",
    "available_balance",
    "holdings_value",
    "cash_value",
    "currency",
    "as_of",
)


def _day(row: Incoming) -> date:
    return row.data.transaction_date


def _is_pending(row: Incoming) -> bool:
    return row.data.status == TransactionStatus.PENDING
