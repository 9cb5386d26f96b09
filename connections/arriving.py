"""What the readers of a provider bring is saved as it comes, account by account."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from django.db.models import Min
from django.db.transaction import atomic
from django.utils.timezone import now

from accounts.models import Account
from accounts.types import Rejected, SnapshotSource
from connections.errors import NeedsReauthentication, SyncError
from connections.fetched import Fetched
from connections.quarantine import quarantine
from connections.reading import AT_ONCE, Current, Ended, Past, Task
from connections.remembering import memories
from connections.saving import AccountSaving, pause, save_rows
from connections.steps import Steps
from connections.types import Capability, StepKind, StepStatus
from dashtam.events import NewEvent, record
from holdings.types import HoldingData
from transactions.matching import from_provider
from transactions.models import Transaction
from transactions.services import CHUNK, FINAL
from transactions.types import Known, TransactionData, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from accounts.types import AccountData
    from connections.models import Sync, SyncStep
    from connections.provider import Provider
    from connections.reading import Days

Row = TypeVar("Row")
logger = logging.getLogger(__name__)

# How far back a sync looks again: rows are written late, and pending ones settle.
LOOKS_BACK = timedelta(days=30)
OVERLAP = timedelta(days=14)
# A row that stays pending is looked for this long.
STAYS_PENDING = timedelta(days=60)
DAY = timedelta(days=1)
# Days in which nothing happened are kept with those before them, or after so long.
KEEP_EVERY_SECONDS = 5.0
# A page is told of progress at most this often.
TELL_EVERY_SECONDS = 0.5


@dataclass(slots=True)
class _Waiting:
    """Rows of one account's history that do not make a chunk yet."""

    rows: list[TransactionData] = field(default_factory=list)
    unread: list[Rejected] = field(default_factory=list)
    # The days that are read and not kept to be: nothing happened in them.
    empty: Days | None = None
    kept_at: float = field(default_factory=time.monotonic)


class Arrivals:
    """Takes in what the readers bring of one sync; `failures` says what they could not read.

    `accounts` are the stored ones by the provider's id.
    """

    def __init__(
        self, sync: Sync, source: Provider, accounts: Mapping[str, Account], steps: Steps
    ) -> None:
        self.failures: list[SyncError] = []
        self.is_stopped = False
        self._sync = sync
        self._source = source
        self._accounts = accounts
        self._steps = steps
        self._today = now().date()
        self._waiting: dict[str, _Waiting] = {}
        self._told_at = 0.0
        self._done: list[str] = list(sync.resume_point.get("current", ()))
        self._pending = self._first_pending()
        self._kinds = kinds_asked(sync, source)

    def tasks(self, told: Iterable[AccountData]) -> list[Task]:
        """What is to be read of each account, less what was read before the sync was cut off."""
        known = [row for row in told if row.provider_account_id in self._accounts]
        tasks = self._with_memories([self._task(row) for row in known])
        planned = [
            (kind, self._account(task), status)
            for task, status in zip(tasks, _first_run(len(tasks)), strict=True)
            for kind in self._kinds
        ]
        with atomic():
            self._sync.hold()
            self._steps.plan(planned)
        return [task for task in tasks if task.history or not task.is_current]

    def take(self, brought: Current | Past | Ended) -> None:
        """Save this; Fenced when another worker has taken the sync over."""
        if isinstance(brought, Current):
            self._take_current(brought)
        elif isinstance(brought, Past):
            self._take_past(brought)
        else:
            self._take_end(brought)

    def _account(self, task: Task) -> Account:
        return self._accounts[task.account.provider_account_id]

    def _task(self, row: AccountData) -> Task:
        account, kinds = self._accounts[row.provider_account_id], self._kinds
        is_done = row.provider_account_id in self._done
        wants_rows = StepKind.TRANSACTIONS in kinds
        days = self._days(account)
        return Task(
            account=row,
            is_current=is_done,
            days=days if wants_rows and not is_done else None,
            history=self._history(account, days) if wants_rows else (),
            wants_holdings=StepKind.HOLDINGS in kinds and not is_done,
        )

    def _with_memories(self, tasks: list[Task]) -> list[Task]:
        """The tasks with what their rows are recognised by."""
        starts = [
            task.days[0]
            for task in tasks
            if task.days and task.days[0] and self._account(task).transactions_synced_at
        ]
        told = {self._account(task).pk: task.account for task in tasks}
        found = memories(self._source, told, min(starts, default=None))
        return [replace(task, memory=found[self._account(task).pk]) for task in tasks]

    def _days(self, account: Account) -> Days:
        """The days of the newest rows: explicit ones win, and a pending row is looked for."""
        asked = self._sync.asked
        end = asked.end_date or self._today
        if asked.start_date:
            return min(asked.start_date, end), end
        starts = [
            end - LOOKS_BACK,
            account.transactions_through and account.transactions_through - OVERLAP,
            self._pending.get(account.pk),
        ]
        return min(day for day in starts if day), end

    def _history(self, account: Account, days: Days) -> Sequence[Days]:
        """The days before, newest first, down to the first that the provider keeps."""
        asked = self._sync.asked
        if account.is_history_complete or asked.start_date or asked.end_date:
            return ()
        known_from = account.transactions_from or days[0]
        return list(self._source.history(known_from - DAY)) if known_from else ()

    def _first_pending(self) -> dict[UUID, date]:
        rows = (
            Transaction.objects.pending()
            .filter(
                account__in=self._accounts.values(),
                transaction_date__gte=self._today - STAYS_PENDING,
            )
            .order_by()
            .values_list("account")
            .annotate(first=Min("transaction_date"))
        )
        return dict(rows)

    def _take_current(self, brought: Current) -> None:
        task = brought.task
        account = self._account(task)
        self._keep_failures(brought)
        rows, held = brought.transactions, brought.holdings
        news, known, repeats = last_words(rows or ())
        is_newest = self._is_everyday()
        if rows is not None and task.days and is_newest:
            account.transactions_from = account.transactions_from or task.days[0]
            if not news and not known:
                # There is no row at whose day the next reading could begin.
                account.transactions_through = account.transactions_through or task.days[1]
        saving = AccountSaving(
            self._sync,
            self._steps,
            account,
            Fetched(
                account=task.account,
                transactions=from_provider(news) if rows is not None else None,
                known=known,
                repeats=repeats,
                holdings=None if held is None else _those(held, HoldingData),
                has_all_pending=bool(task.days and task.days[1] >= self._today),
                since=task.days[0] if task.days else None,
                is_newest=is_newest,
                rejected=[*_unread(rows), *_unread(held)],
            ),
            lambda count: self._progress(account),
        )
        saving.source = self._balance_source(saving.source)
        saving.goes_on = bool(task.history) and not brought.transactions_error
        done = self._done_after(brought)
        saving.save({"current": done})
        # Only now: a chunk in the middle must not say that the account is through.
        self._done = done

    def _is_everyday(self) -> bool:
        return not (self._sync.asked.start_date or self._sync.asked.end_date)

    def _done_after(self, brought: Current) -> list[str]:
        """Whose newest rows are in then: what could not be read is read again after a crash."""
        if brought.transactions_error or brought.holdings_error:
            return self._done
        return [*self._done, brought.task.account.provider_account_id]

    def _balance_source(self, usual: SnapshotSource | None) -> SnapshotSource | None:
        kinds = self._sync.asked.kinds
        if kinds == {StepKind.ACCOUNTS}:
            return SnapshotSource.ACCOUNT_SYNC
        if kinds == {StepKind.HOLDINGS}:
            return SnapshotSource.HOLDINGS_SYNC
        return usual if StepKind.ACCOUNTS in kinds else None

    def _keep_failures(self, brought: Current) -> None:
        account = self._account(brought.task)
        for kind, error in (
            (StepKind.TRANSACTIONS, brought.transactions_error),
            (StepKind.HOLDINGS, brought.holdings_error),
        ):
            if error:
                self._fail(kind, account, error)

    def _fail(self, kind: StepKind, account: Account, error: SyncError) -> None:
        """Keep why an account's rows could not be read; the other accounts go on."""
        self.failures.append(error)
        step = self._steps.of(kind, account)
        step.status = StepStatus.FAILED
        step.error_code, step.error_params = error.code, error.params
        names = {**self._names(account), "error_code": error.code}
        with atomic():
            self._sync.hold()
            step.save()
            record(self._sync.user_id, NewEvent(f"sync.{kind}.failed", names))

    def _take_past(self, brought: Past) -> None:
        account = self._account(brought.task)
        waiting = self._waiting.setdefault(brought.task.account.provider_account_id, _Waiting())
        waiting.rows += _those(brought.rows, TransactionData)
        waiting.unread += _unread(brought.rows)
        while len(waiting.rows) > CHUNK:
            with atomic():
                self._sync.hold()
                self._save_past(account, waiting.rows[:CHUNK])
            pause()
            del waiting.rows[:CHUNK]
        if not brought.is_whole:
            return
        is_early = time.monotonic() - waiting.kept_at < KEEP_EVERY_SECONDS
        if is_early and brought.days[0] and not waiting.rows and not waiting.unread:
            waiting.empty = brought.days
        else:
            self._keep(account, waiting, brought.days)

    def _keep(self, account: Account, waiting: _Waiting, days: Days) -> None:
        with atomic():
            self._sync.hold()
            self._save_last(account, waiting, days)
        pause()
        waiting.rows, waiting.unread, waiting.empty = [], [], None
        waiting.kept_at = time.monotonic()

    def _save_past(self, account: Account, rows: Sequence[TransactionData]) -> None:
        if rows:
            save_rows(self._sync, self._steps, account, from_provider(rows), {})
            self._steps.unread.close(account, (row.provider_transaction_id for row in rows))
        record(self._sync.user_id, *self._progress(account))

    def _save_last(self, account: Account, waiting: _Waiting, days: Days) -> None:
        """The last rows of these days, and with them, in one transaction, that the days are known.

        Their unreadable rows are kept with them too: read again after a crash, they are kept once.
        """
        step = self._steps.of(StepKind.TRANSACTIONS, account)
        quarantine(step, waiting.unread)
        self._save_past(account, waiting.rows)
        account.transactions_from = days[0] or _first_day(account)
        account.is_history_complete = days[0] is None
        if account.is_history_complete:
            step.status = StepStatus.SUCCEEDED
        step.save()
        account.save(update_fields=["transactions_from", "is_history_complete", "updated_at"])

    def _take_end(self, ended: Ended) -> None:
        waiting = self._waiting.pop(ended.task.account.provider_account_id, None)
        if waiting and waiting.empty:
            self._keep(self._account(ended.task), _Waiting(), waiting.empty)
        self.is_stopped |= ended.is_stopped
        if ended.error:
            self._take_error(ended, ended.error)

    def _take_error(self, ended: Ended, error: BaseException) -> None:
        if isinstance(error, NeedsReauthentication) or not isinstance(error, Exception):
            raise error
        if not isinstance(error, SyncError):
            # A defect of ours in one account's rows is no reason to leave out the others.
            logger.error("sync %s: an account could not be read", self._sync.pk, exc_info=error)
            error = SyncError("internal_error")
        account = self._account(ended.task)
        for kind in self._kinds:
            if self._steps.of(kind, account).status in (StepStatus.WAITING, StepStatus.RUNNING):
                self._fail(kind, account, error)

    def _progress(self, account: Account) -> list[NewEvent]:
        is_early = time.monotonic() - self._told_at < TELL_EVERY_SECONDS
        if is_early or StepKind.TRANSACTIONS not in self._kinds:
            return []
        self._told_at = time.monotonic()
        step: SyncStep = self._steps.of(StepKind.TRANSACTIONS, account)
        payload = {**self._names(account), "pages": step.pages, "fetched": step.fetched}
        return [NewEvent("sync.transactions.progress", payload)]

    def _names(self, account: Account) -> dict[str, str]:
        return {
            "connection_id": str(self._sync.connection_id),
            "sync_id": str(self._sync.pk),
            "account_id": str(account.pk),
        }


def kinds_asked(sync: Sync, source: Provider) -> list[StepKind]:
    """The kinds of rows, accounts apart, that are asked for and that the provider tells."""
    return [
        kind
        for kind in (StepKind.TRANSACTIONS, StepKind.HOLDINGS)
        if kind in sync.asked.kinds and Capability(kind) in source.capabilities
    ]


def _first_day(account: Account) -> date | None:
    """The day from which the whole history of an account is known: that of its first row."""
    first, _last = Transaction.objects.filter(account=account).period()
    return min(filter(None, [first, account.transactions_from]), default=None)


def _first_run(count: int) -> Iterator[StepStatus]:
    """The state of as many accounts: so many are read at a time, the others wait."""
    for index in range(count):
        yield StepStatus.RUNNING if index < AT_ONCE else StepStatus.WAITING


def last_words(
    rows: Sequence[TransactionData | Known | Rejected],
) -> tuple[list[TransactionData], list[Known], int]:
    """The rows to save, those that are stored so, and how many were told otherwise beside.

    Of a row told in two ways the last word counts, except that none is pending again.
    """
    news, known = _those(rows, TransactionData), _those(rows, Known)
    twice = {row.provider_transaction_id for row in known}
    twice.intersection_update(row.provider_transaction_id for row in news)
    if not twice:
        return news, known, 0
    last = {row.provider_transaction_id: row for row in rows if not isinstance(row, Rejected)}
    over = {row.provider_transaction_id for row in news if row.status in FINAL}
    stays = {
        key
        for key in twice
        if isinstance(last[key], Known)
        and not (last[key].status == TransactionStatus.PENDING and key in over)
    }
    left = [row for row in news if row.provider_transaction_id not in stays]
    kept = [row for row in known if row.provider_transaction_id not in twice - stays]
    return left, kept, len(news) + len(known) - len(left) - len(kept)


def _those(rows: Iterable[object], kind: type[Row]) -> list[Row]:
    return [row for row in rows if isinstance(row, kind)]


def _unread(rows: Iterable[object] | None) -> list[Rejected]:
    return [row for row in rows or () if isinstance(row, Rejected)]
