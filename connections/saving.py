"""Saving what one sync brought, in fenced chunks: the one way in for providers and files alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection as db_connection
from django.db.transaction import atomic
from django.utils.timezone import now

from accounts.models import Account
from accounts.services import (
    is_older,
    recalculate_net_worth,
    save_accounts,
    set_balance,
)
from accounts.types import AccountData, Counts, SnapshotSource
from connections.models import Sync, SyncStep
from connections.quarantine import quarantine
from connections.types import StepKind, StepStatus, SyncStatus, SyncTrigger
from dashtam.events import NewEvent, record
from dashtam.models import User
from dashtam.money import canonical
from holdings.services import deactivate_missing, save_holdings
from transactions.services import (
    CHUNK,
    cancel_vanished,
    chunks,
    plan_settlements,
    save_transactions,
)
from transactions.types import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from accounts.types import BalanceChange, Rejected
    from holdings.types import HoldingData
    from transactions.matching import Incoming

# SQLite has one writer at a time: a pause between chunks lets a waiting web request through.
PAUSE_SECONDS = 0.01

BOOKKEEPING = (
    "balance",
    "available_balance",
    "balance_as_of",
    "last_synced_at",
    "transactions_synced_at",
    "transactions_through",
    "holdings_synced_at",
    "updated_at",
)

SOURCES = {
    SyncTrigger.INITIAL: SnapshotSource.INITIAL_CONNECTION,
    SyncTrigger.MANUAL: SnapshotSource.MANUAL_SYNC,
    SyncTrigger.SCHEDULED: SnapshotSource.SCHEDULED_SYNC,
    SyncTrigger.WEBHOOK: SnapshotSource.SCHEDULED_SYNC,
    SyncTrigger.FILE_IMPORT: SnapshotSource.FILE_IMPORT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Everything one account brought. None means that this kind of rows was not asked for.

    `has_all_pending`: the pending rows are all there are from the day `since` on (None: of any
    day), so the others have left the feed.
    `rejected` are the rows that could not be read, `ignored` counts positions of zero.
    """

    account: AccountData
    transactions: Sequence[Incoming] | None = None
    holdings: Sequence[HoldingData] | None = None
    has_all_pending: bool = False
    since: date | None = None
    rejected: Sequence[Rejected] = ()
    ignored: int = 0


@dataclass(slots=True)
class Progress:
    """How far a sync has come; `tell` is called with the rows saved so far inside each chunk."""

    tell: Callable[[int], list[NewEvent]]
    rows: int = 0

    def add(self, rows: int) -> list[NewEvent]:
        """Count these rows and return what is to be told of it."""
        self.rows += rows
        return self.tell(self.rows)


def save_all(sync: Sync, fetched: Sequence[Fetched], progress: Progress) -> None:
    """Save every account with its rows; Fenced when another worker has taken the sync over."""
    accounts = _save_accounts(sync, [one.account for one in fetched])
    for index, one in enumerate(fetched):
        account = accounts[one.account.provider_account_id]
        rows = len(one.transactions or ()) + len(one.holdings or ())
        if index < sync.resume_point.get("accounts_done", 0):
            progress.rows += rows
            continue
        _save_account(sync, index, account, one, progress)


def finish(
    sync: Sync,
    *,
    also: Callable[[list[SyncStep]], list[NewEvent]],
    status: SyncStatus = SyncStatus.SUCCEEDED,
) -> None:
    """End a sync that saved what it could: status, net worth and events in one transaction."""
    with atomic():
        sync.hold()
        steps = list(sync.steps.select_related("account"))
        sync.status = status
        sync.finished_at = now()
        sync.resume_point = {}
        sync.save(update_fields=["status", "finished_at", "resume_point", "updated_at"])
        connection = sync.connection
        connection.last_sync_at = sync.finished_at
        connection.failure_count = 0
        connection.save(update_fields=["last_sync_at", "failure_count", "updated_at"])
        events = [*also(steps), *completed(sync, steps), *net_worth_events(sync.user)]
        record(sync.user_id, *events)


def completed(sync: Sync, steps: Sequence[SyncStep]) -> list[NewEvent]:
    """What is told of a sync's ended steps, kind by kind."""
    events = []
    for kind in StepKind:
        of_kind = [step for step in steps if step.kind == kind]
        if not of_kind:
            continue
        total = counts_of(of_kind)
        count = total.fetched - total.quarantined
        payload = {
            **_names(sync),
            "counts": as_payload(total),
            _COUNT_NAMES[kind]: count,
        }
        if kind == StepKind.TRANSACTIONS:
            payload["accounts_synced"] = len(of_kind)
        events.append(NewEvent(f"sync.{kind}.completed", payload))
    return events


def counts_of(steps: Sequence[SyncStep]) -> Counts:
    """What became of the rows of several steps together."""
    total = Counts()
    for step in steps:
        total += Counts(**{name: getattr(step, name) for name in Counts.__dataclass_fields__})
    return total


def as_payload(counts: Counts) -> dict[str, int]:
    """Counts as events and pages carry them."""
    return {name: getattr(counts, name) for name in Counts.__dataclass_fields__}


_COUNT_NAMES = {
    StepKind.ACCOUNTS: "account_count",
    StepKind.TRANSACTIONS: "transaction_count",
    StepKind.HOLDINGS: "holding_count",
}


def _names(sync: Sync) -> dict[str, str]:
    return {"connection_id": str(sync.connection_id), "sync_id": str(sync.pk)}


def _save_accounts(sync: Sync, rows: Sequence[AccountData]) -> dict[str, Account]:
    """Save the accounts, unless an earlier attempt at this sync has done so."""
    ids = [row.provider_account_id for row in rows]
    if "accounts_done" in sync.resume_point:
        known = Account.objects.filter(
            connection_id=sync.connection_id, provider_account_id__in=ids
        )
        return {account.provider_account_id: account for account in known}
    with atomic():
        sync.hold()
        saved, accounts = save_accounts(sync.user_id, sync.connection_id, rows)
        step = _step(sync, StepKind.ACCOUNTS, None)
        step.tally(saved.counts)
        step.status = StepStatus.SUCCEEDED
        step.save()
        _checkpoint(sync, accounts_done=0, rows_done=0)
        record(sync.user_id, NewEvent("sync.transactions.started", _names(sync)))
    return accounts


def _save_account(
    sync: Sync, index: int, account: Account, fetched: Fetched, progress: Progress
) -> None:
    older = is_older(account, fetched.account)
    incoming = fetched.transactions or ()
    # A pending row of an older statement has long settled or gone: it would only mislead.
    rows = [row for row in incoming if not (older and _is_pending(row))]
    done = sync.resume_point.get("rows_done", 0)
    if not done:
        # Kept with the first chunk: after it, what is new can no longer be told from the rest.
        sync.resume_point["settled"] = {} if older else _plan(account, rows, fetched.since)
    settled = {key: UUID(pk) for key, pk in sync.resume_point.get("settled", {}).items()}
    progress.rows += done
    for chunk in chunks(rows, done):
        _save_chunk(sync, account, chunk, settled, progress)
        if db_connection.vendor == "sqlite":
            time.sleep(PAUSE_SECONDS)
    with atomic():
        sync.hold()
        events = _finish_account(sync, account, fetched, rows=rows, older=older)
        _checkpoint(sync, accounts_done=index + 1, rows_done=0, settled={})
        told = progress.add(len(incoming) - len(rows) + len(fetched.holdings or ()))
        record(sync.user_id, *told, *events)


def _plan(account: Account, rows: Sequence[Incoming], since: date | None) -> dict[str, str]:
    plan = plan_settlements(account, rows, since=since)
    return {key: str(pk) for key, pk in plan.items()}


def _is_pending(row: Incoming) -> bool:
    return row.data.status == TransactionStatus.PENDING


def _save_chunk(
    sync: Sync,
    account: Account,
    chunk: Sequence[Incoming],
    settled: dict[str, UUID],
    progress: Progress,
) -> None:
    is_file = sync.trigger == SyncTrigger.FILE_IMPORT
    with atomic():
        sync.hold()
        saved = save_transactions(account, chunk, sync_id=sync.pk, settled=settled, is_file=is_file)
        step = _step(sync, StepKind.TRANSACTIONS, account)
        step.tally(saved.counts)
        step.pages += 1
        step.save()
        _checkpoint(sync, rows_done=sync.resume_point.get("rows_done", 0) + len(chunk))
        events = progress.add(len(chunk))
        if events:
            record(sync.user_id, *events)


def _finish_account(
    sync: Sync, account: Account, fetched: Fetched, *, rows: Sequence[Incoming], older: bool
) -> list[NewEvent]:
    """The last chunk of an account: what vanished, holdings, balance, snapshot, bookkeeping."""
    events: list[NewEvent] = []
    moment = now()
    if fetched.transactions is not None:
        _finish_transactions(sync, account, fetched, rows=rows, older=older)
        account.transactions_synced_at = moment
        dates = [row.data.transaction_date for row in rows]
        account.transactions_through = max(
            filter(None, [account.transactions_through, *dates]), default=None
        )
    if fetched.holdings is not None:
        events += _finish_holdings(sync, account, fetched, older=older)
        account.holdings_synced_at = moment
    change = set_balance(
        account, fetched.account, source=SOURCES[SyncTrigger(sync.trigger)], sync_id=sync.pk
    )
    account.last_synced_at = moment
    # Not what the person may have changed meanwhile.
    account.save(update_fields=BOOKKEEPING)
    return [*events, *([_balance_event(change)] if change else [])]


def _finish_transactions(
    sync: Sync, account: Account, fetched: Fetched, *, rows: Sequence[Incoming], older: bool
) -> None:
    step = _step(sync, StepKind.TRANSACTIONS, account)
    skipped = len(fetched.transactions or ()) - len(rows)
    step.tally(Counts(fetched=skipped, ignored=skipped))
    unread = [row for row in fetched.rejected if not row.is_holding]
    quarantine(step, unread)
    # A pending row that seems to have left may be the one that could not be read.
    if fetched.has_all_pending and not older and not unread:
        step.cancelled += cancel_vanished(account, rows, sync_id=sync.pk, since=fetched.since)
    step.status = StepStatus.SUCCEEDED
    step.save()


def _finish_holdings(
    sync: Sync, account: Account, fetched: Fetched, *, older: bool
) -> list[NewEvent]:
    holdings = fetched.holdings or ()
    step = _step(sync, StepKind.HOLDINGS, account)
    unread = [row for row in fetched.rejected if row.is_holding]
    quarantine(step, unread)
    left_out = fetched.ignored + (len(holdings) if older else 0)
    step.tally(Counts(fetched=left_out, ignored=left_out))
    if not older:
        for offset in range(0, len(holdings), CHUNK):
            step.tally(save_holdings(account, holdings[offset : offset + CHUNK]).counts)
        # A position that seems to have left may be the one that could not be read.
        if not unread:
            held = [row.provider_holding_id for row in holdings if row.quantity]
            step.deactivated += deactivate_missing(account, held)
    step.status = StepStatus.SUCCEEDED
    step.save()
    if not step.created + step.updated + step.deactivated:
        return []
    return [
        NewEvent(
            "portfolio.holdings.updated",
            {
                "account_id": str(account.pk),
                "holdings_count": account.holdings.filter(is_active=True).count(),
                "created_count": step.created,
                "updated_count": step.updated,
                "deactivated_count": step.deactivated,
            },
        )
    ]


def _step(sync: Sync, kind: StepKind, account: Account | None) -> SyncStep:
    step, _created = SyncStep.objects.get_or_create(
        sync=sync, kind=kind, account=account, defaults={"user_id": sync.user_id}
    )
    return step


def quarantine_without_account(sync: Sync, rejected: Sequence[Rejected]) -> None:
    """Keep the rows of accounts that could not be saved at all, in a step without an account."""
    with atomic():
        sync.hold()
        step = _step(sync, StepKind.TRANSACTIONS, None)
        if step.status == StepStatus.RUNNING:
            quarantine(step, rejected)
            step.status = StepStatus.SUCCEEDED
            step.save()


def _checkpoint(sync: Sync, **point: object) -> None:
    sync.resume_point = {**sync.resume_point, **point}
    sync.save(update_fields=["resume_point"])


def _balance_event(change: BalanceChange) -> NewEvent:
    previous = change.previous or 0
    return NewEvent(
        "portfolio.balance.updated",
        {
            "account_id": str(change.account_id),
            "previous_balance": canonical(change.new * 0 + previous),
            "new_balance": canonical(change.new),
            "delta": canonical(change.new - previous),
            "currency": change.currency,
        },
    )


def net_worth_events(user: User) -> list[NewEvent]:
    """Recalculate a person's net worth inside the caller's transaction; what is told of it."""
    change = recalculate_net_worth(user)
    if change is None:
        return []
    return [
        NewEvent(
            "portfolio.networth.updated",
            {
                "previous_net_worth": canonical(change.previous),
                "new_net_worth": canonical(change.new),
                "delta": canonical(change.new - change.previous),
                "currency": change.currency,
                "account_count": change.account_count,
            },
        )
    ]
