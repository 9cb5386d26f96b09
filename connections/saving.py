"""Saving what one sync brought, in fenced chunks: the one way in for providers and files alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection as db_connection
from django.db.transaction import atomic
from django.utils.timezone import now

from accounts.coverage import keep_period
from accounts.models import Account
from accounts.services import is_older, note_absences, save_accounts, set_balance
from accounts.types import AccountData, Counts, SnapshotSource
from connections.fetched import kinds_of
from connections.models import Connection, Sync, SyncStep
from connections.quarantine import close_what_is_over, quarantine
from connections.steps import Steps
from connections.telling import (
    balance_event,
    completed,
    holdings_event,
    net_worth_events,
    sync_names,
)
from connections.types import StepKind, StepStatus, SyncStatus, SyncTrigger, SyncWork
from dashtam.events import NewEvent, record
from holdings.services import deactivate_missing, save_holdings
from transactions.matching import sift
from transactions.services import (
    CHUNK,
    cancel_vanished,
    chunks,
    plan_settlements,
    save_transactions,
    vanished_from,
)
from transactions.types import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from connections.fetched import Fetched
    from transactions.matching import Incoming

# SQLite has one writer at a time: a pause between chunks lets a waiting web request through.
PAUSE_SECONDS = 0.01

BOOKKEEPING = (
    "balance",
    "available_balance",
    "balance_as_of",
    "last_synced_at",
    "transactions_synced_at",
    "transactions_from",
    "transactions_through",
    "is_history_complete",
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
    steps = Steps(sync)
    told = [one.account for one in fetched]
    accounts = save_told_accounts(sync, steps, told, brings=kinds_of(fetched))
    for index, one in enumerate(fetched):
        account = accounts[one.account.provider_account_id]
        rows = len(one.transactions or ()) + len(one.holdings or ())
        if index < sync.resume_point.get("accounts_done", 0):
            progress.rows += rows
            continue
        saving = AccountSaving(sync, steps, account, one, progress.add)
        progress.rows += sync.resume_point.get("rows_done", 0)
        saving.save({"accounts_done": index + 1, "rows_done": 0})


def finish(
    sync: Sync,
    *,
    also: Callable[[list[SyncStep]], list[NewEvent]] = lambda _steps: [],
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
        if sync.work == SyncWork.READ:
            _note_on_connection(sync)
            if sync.trigger != SyncTrigger.FILE_IMPORT:
                close_what_is_over(sync)
        events = [*also(steps), *completed(sync, steps), *net_worth_events(sync.user)]
        record(sync.user_id, *events)


def _note_on_connection(sync: Sync) -> None:
    """Only what this sync knows: a person may be signing in again at this moment."""
    noted: dict[str, object] = {"updated_at": sync.finished_at}
    if sync.asked.is_everything:
        noted["last_sync_at"] = sync.finished_at
    if sync.status == SyncStatus.SUCCEEDED:
        noted["failure_count"] = 0
    Connection.objects.filter(pk=sync.connection_id).update(**noted)


def save_told_accounts(
    sync: Sync,
    steps: Steps,
    rows: Sequence[AccountData],
    *,
    brings: Iterable[StepKind],
    is_whole_list: bool = False,
) -> dict[str, Account]:
    """Save the accounts, unless an earlier attempt at this sync has done so.

    `brings` are the kinds of rows that come next. `is_whole_list`: these are all that the provider
    tells of; what is not among them is absent.
    """
    ids = [row.provider_account_id for row in rows]
    if "accounts_done" in sync.resume_point:
        return known_accounts(sync, ids)
    with atomic():
        sync.hold(accounts_done=0, rows_done=0)
        saved, accounts = save_accounts(sync.user_id, sync.connection_id, rows)
        if is_whole_list:
            note_absences(sync.connection_id, ids)
        step = steps.of(StepKind.ACCOUNTS, None)
        step.tally(saved.counts)
        step.status = StepStatus.SUCCEEDED
        step.save()
        names = sync_names(sync)
        record(sync.user_id, *(NewEvent(f"sync.{kind}.started", names) for kind in brings))
    return accounts


def known_accounts(sync: Sync, ids: Iterable[str]) -> dict[str, Account]:
    """Those of the connection's stored accounts that have one of these provider ids."""
    known = Account.objects.filter(connection_id=sync.connection_id, provider_account_id__in=ids)
    return {account.provider_account_id: account for account in known}


class AccountSaving:
    """Saves what one account brought, in fenced chunks; the last of them ends the account.

    `source` is what its balance is said to come from, None when no balance was asked for. `tell` is
    called with the rows of each chunk, inside its transaction.
    """

    def __init__(
        self,
        sync: Sync,
        steps: Steps,
        account: Account,
        fetched: Fetched,
        tell: Callable[[int], list[NewEvent]],
    ) -> None:
        self.sync = sync
        self.steps = steps
        self.account = account
        self.fetched = fetched
        self.tell = tell
        self.source: SnapshotSource | None = SOURCES[SyncTrigger(sync.trigger)]
        # Whether more of the account's rows come after these: its history, in parts.
        self.goes_on = False
        self.is_older = is_older(account, fetched.account)
        incoming = fetched.transactions or ()
        # A pending row of an older statement has long settled or gone: it would only mislead.
        self.rows = [row for row in incoming if not (self.is_older and _is_pending(row))]
        self._unchanged = len(fetched.known)
        self._may_have_vanished = True

    def save(self, end_point: Mapping[str, object]) -> None:
        """Save all of it; `end_point` is where the sync stands when the last chunk is in."""
        # Only a file is the same on every reading: what a provider tells anew is saved anew.
        is_file = self.sync.trigger == SyncTrigger.FILE_IMPORT
        done = self.sync.resume_point.get("rows_done", 0) if is_file else 0
        settled = self._settlements()
        left = list(chunks(self.rows, done) if is_file else chunks(self._news())) or [()]
        # Another account may have been cut off in the middle: its plan is not ours to drop.
        others = {key: plan for key, plan in self._plans().items() if key != self._key}
        for chunk in left[:-1]:
            done += len(chunk)
            with atomic():
                self.sync.hold(rows_done=done, settled={**others, self._key: settled})
                self._save_rows(chunk, settled)
                record(self.sync.user_id, *self.tell(len(chunk)))
            pause()
        with atomic():
            self.sync.hold(**end_point, settled=others)
            self._save_rows(left[-1], settled)
            events = self._end()
            rest = self._skipped() + self._unchanged
            told = self.tell(len(left[-1]) + rest + len(self.fetched.holdings or ()))
            record(self.sync.user_id, *told, *events)
        pause()

    def _news(self) -> Sequence[Incoming]:
        """The rows that are not stored word for word: only these take chunks.

        Looked up outside of any transaction: nobody else writes this account's rows while the sync
        is ours, and nothing is counted once it is not.
        """
        if not self.account.transactions_synced_at:
            return self.rows
        unchanged, news = sift(self.account, self.rows)
        self._unchanged += len(unchanged)
        return news

    def _skipped(self) -> int:
        left_out = len(self.fetched.transactions or ()) - len(self.rows)
        return left_out + self.fetched.repeats

    @property
    def _key(self) -> str:
        return self.account.provider_account_id

    def _plans(self) -> dict[str, dict[str, str]]:
        plans: dict[str, dict[str, str]] = self.sync.resume_point.get("settled", {})
        return plans

    def _settlements(self) -> dict[str, str]:
        """Which newcomers are pending rows: planned before the first chunk, and kept with it.

        After it, what is new can no longer be told from the rest.
        """
        kept = self._plans().get(self._key)
        if kept is not None:
            return kept
        # Days in the middle say nothing about what is still pending after them.
        is_up_to_date = self.fetched.is_newest or self.fetched.has_all_pending
        if self.is_older or not is_up_to_date:
            return {}
        vanished = vanished_from(self.account, self.rows, self.fetched.since, self.fetched.known)
        self._may_have_vanished = bool(vanished)
        plan = plan_settlements(self.account, self.rows, vanished)
        return {key: str(pk) for key, pk in plan.items()}

    def _save_rows(self, chunk: Sequence[Incoming], settled: Mapping[str, str]) -> None:
        if chunk:
            save_rows(self.sync, self.steps, self.account, chunk, settled)

    def _end(self) -> list[NewEvent]:
        """The end of an account: what vanished, holdings, balance, snapshot, bookkeeping."""
        events: list[NewEvent] = []
        account, fetched, moment = self.account, self.fetched, now()
        if fetched.transactions is not None:
            self._end_transactions()
            if fetched.is_newest:
                account.transactions_synced_at = moment
                dates = [row.data.transaction_date for row in self.rows]
                dates += [row.transaction_date for row in fetched.known]
                account.transactions_through = max(
                    filter(None, [account.transactions_through, *dates]), default=None
                )
        if fetched.holdings is not None:
            events += self._end_holdings()
            account.holdings_synced_at = moment
        if fetched.covers:
            keep_period(account, fetched.covers, sync_id=self.sync.pk)
        if self.source:
            change = set_balance(account, fetched.account, source=self.source, sync_id=self.sync.pk)
            account.last_synced_at = moment
            events += [balance_event(change)] if change else []
        # Not what the person may have changed meanwhile.
        account.save(update_fields=BOOKKEEPING)
        return events

    def _end_transactions(self) -> None:
        fetched = self.fetched
        step = self.steps.of(StepKind.TRANSACTIONS, self.account)
        skipped, same = self._skipped(), self._unchanged
        step.tally(Counts(fetched=skipped + same, ignored=skipped, unchanged=same))
        step.pages += bool(same)
        ids = (row.claimed_id for row in self.rows)
        known_ids = (row.provider_transaction_id for row in fetched.known)
        self.steps.unread.close(self.account, chain(ids, known_ids))
        unread = [row for row in fetched.rejected if not row.is_holding]
        quarantine(step, unread)
        # A pending row that seems to have left may be the one that could not be read.
        is_sure = fetched.has_all_pending and not self.is_older and not unread
        if is_sure and self._may_have_vanished:
            step.cancelled += cancel_vanished(
                self.account,
                self.rows,
                sync_id=self.sync.pk,
                since=fetched.since,
                also=fetched.known,
            )
        _succeed(step, goes_on=self.goes_on)

    def _end_holdings(self) -> list[NewEvent]:
        fetched, holdings = self.fetched, self.fetched.holdings or ()
        step = self.steps.of(StepKind.HOLDINGS, self.account)
        unread = [row for row in fetched.rejected if row.is_holding]
        quarantine(step, unread)
        left_out = fetched.ignored + (len(holdings) if self.is_older else 0)
        step.tally(Counts(fetched=left_out, ignored=left_out))
        if not self.is_older:
            for offset in range(0, len(holdings), CHUNK):
                step.tally(save_holdings(self.account, holdings[offset : offset + CHUNK]).counts)
            # A position that seems to have left may be the one that could not be read.
            if not unread:
                held = [row.provider_holding_id for row in holdings if row.quantity]
                step.deactivated += deactivate_missing(self.account, held)
        _succeed(step)
        if not step.created + step.updated + step.deactivated:
            return []
        return [holdings_event(self.account, step)]


def save_rows(
    sync: Sync,
    steps: Steps,
    account: Account,
    chunk: Sequence[Incoming],
    settled: Mapping[str, str],
) -> None:
    """Save one chunk of an account's rows inside the caller's transaction, and count them."""
    is_file = sync.trigger == SyncTrigger.FILE_IMPORT
    plan = {key: UUID(pk) for key, pk in settled.items()}
    saved = save_transactions(account, chunk, sync_id=sync.pk, settled=plan, is_file=is_file)
    step = steps.of(StepKind.TRANSACTIONS, account)
    step.tally(saved.counts)
    step.pages += 1
    step.save()


def pause() -> None:
    """Let a waiting web request through: SQLite has one writer at a time."""
    if db_connection.vendor == "sqlite":
        time.sleep(PAUSE_SECONDS)


def _succeed(step: SyncStep, *, goes_on: bool = False) -> None:
    step.status = StepStatus.RUNNING if goes_on else StepStatus.SUCCEEDED
    # An earlier attempt may have failed.
    step.error_code, step.error_params = "", {}
    step.save()


def _is_pending(row: Incoming) -> bool:
    return row.data.status == TransactionStatus.PENDING
