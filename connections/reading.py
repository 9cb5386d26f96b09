"""Reading several accounts of one provider at a time, each in a thread of its own.

The threads only call the provider. Whatever touches the database happens in the thread that
iterates: it saves what the others read, and does their errands (renewing a token).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Future
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, TypeVar

from accounts.types import Rejected
from connections.errors import BadProviderData, NeedsReauthentication, SyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date
    from typing import Any, Self

    from accounts.types import AccountData
    from connections.provider import Provider
    from connections.recognition import Memory
    from holdings.types import HoldingData
    from transactions.types import Known, TransactionData

    Days = tuple[date | None, date]

Result = TypeVar("Result")

# So many accounts are read at a time.
AT_ONCE = 12
# What waits to be saved: a thread that is further ahead waits for the database.
WAITING_PAGES = 24
# A provider that tells more rows than this at once is not believed.
MAX_ROWS = 200_000
# While nothing comes, the one who waits is woken this often.
TICK_SECONDS = 20.0
# So long whoever stops early waits for the calls under way.
LET_GO_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to read of one account.

    `days` are those of its newest transactions, all of which are read before any is given out;
    `history` are the days before, part by part. None, and empty, are not asked for. `is_current`:
    what it is now is known already, and only its history is left. By `memory` its newest rows are
    recognised.
    """

    account: AccountData
    is_current: bool = False
    days: Days | None = None
    history: Iterable[Days] = ()
    wants_holdings: bool = False
    memory: Memory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """An account as it is now. None was not asked for, or could not be read: then there is why."""

    task: Task
    transactions: list[TransactionData | Known | Rejected] | None = None
    transactions_error: SyncError | None = None
    holdings: list[HoldingData | Rejected] | None = None
    holdings_error: SyncError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Some of an account's history; `is_whole` when these were the last of the days' rows."""

    task: Task
    days: Days
    rows: Sequence[TransactionData | Known | Rejected]
    is_whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Nothing more comes of this account: all was read, reading was stopped, or this is why."""

    task: Task
    error: BaseException | None = None
    is_stopped: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing came for a while."""


Message = Current | Past | Ended | Tick


@dataclass(slots=True)
class _Errand:
    do: Callable[[], Any]
    done: Future[Any] = field(default_factory=Future)


class Desk:
    """Where threads hand in what they read, and have done what only the desk's own thread may do.

    Iterating gives the messages out until every account has ended. Leaving the `with` block stops
    the threads: nothing they still bring is taken, and a call under way is waited for a moment.
    """

    def __init__(self) -> None:
        self._owner = threading.get_ident()
        self._inbox: Queue[Message | _Errand] = Queue(WAITING_PAGES)
        self._stop = threading.Event()
        self._closed = threading.Event()
        self._tasks: deque[Task] = deque()
        self._open = 0
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._closed.set()
        # Whoever waits at a full inbox, or for an errand, is let go.
        while True:
            try:
                waiting = self._inbox.get_nowait()
            except Empty:
                break
            if isinstance(waiting, _Errand):
                waiting.done.cancel()
        gone_at = time.monotonic() + LET_GO_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, gone_at - time.monotonic()))

    def do(self, errand: Callable[[], Result]) -> Result:
        """Have something done in the desk's own thread, and wait for what comes of it."""
        if threading.get_ident() == self._owner:
            return errand()
        asked = _Errand(errand)
        self._put(asked)
        while True:
            try:
                result: Result = asked.done.result(timeout=TICK_SECONDS)
            except TimeoutError:
                if self._closed.is_set():
                    raise CancelledError from None
            else:
                return result

    def stop(self) -> None:
        """Begin no other account and no other part; what is being read is read to its end."""
        self._stop.set()

    def read(self, source: Provider, tasks: Iterable[Task], *, at_once: int | None = None) -> None:
        """Start reading these accounts."""
        self._tasks.extend(tasks)
        self._open = len(self._tasks)
        for _ in range(min(at_once or AT_ONCE, self._open)):
            # What is logged there is about the same sync.
            work = partial(copy_context().run, self._work, source)
            thread = threading.Thread(target=work, daemon=True)
            self._threads.append(thread)
            thread.start()

    def __iter__(self) -> Iterator[Message]:
        """What was read, as it comes; a Tick when nothing came for a while."""
        while self._open:
            try:
                found = self._inbox.get(timeout=TICK_SECONDS)
            except Empty:
                yield Tick()
                continue
            if isinstance(found, _Errand):
                _run(found)
                continue
            self._open -= isinstance(found, Ended)
            yield found

    def _work(self, source: Provider) -> None:
        while True:
            try:
                task = self._tasks.popleft()
            except IndexError:
                return
            try:
                ended = self._read(source, task)
            except BaseException as error:  # noqa: BLE001 - raised again by whoever saves
                ended = Ended(task=task, error=error)
            try:
                self._put(ended)
            except CancelledError:
                return

    def _read(self, source: Provider, task: Task) -> Ended:
        if self._stop.is_set():
            return Ended(task=task, is_stopped=True)
        source.remember(task.account, task.memory)
        if not task.is_current:
            current = _current(source, task)
            self._put(current)
            if current.transactions_error:
                return Ended(task=task)
        # What comes now is older than what is remembered.
        source.remember(task.account, task.memory and task.memory.of_nothing())
        for days in task.history:
            if self._stop.is_set():
                return Ended(task=task, is_stopped=True)
            count = 0
            for rows in source.transactions(task.account, *days):
                count += len(rows)
                _refuse_too_many(count)
                self._put(Past(task=task, days=days, rows=rows))
            self._put(Past(task=task, days=days, rows=[], is_whole=True))
        return Ended(task=task)

    def _put(self, found: Message | _Errand) -> None:
        """Hand something in; CancelledError once nobody takes it any more."""
        while not self._closed.is_set():
            try:
                self._inbox.put(found, timeout=0.2)
            except Full:
                # Perhaps nobody is there any more.
                continue
            else:
                return
        raise CancelledError


def _run(errand: _Errand) -> None:
    try:
        result = errand.do()
    except Exception as error:  # noqa: BLE001 - it belongs to the thread that asked
        errand.done.set_exception(error)
    else:
        errand.done.set_result(result)


def _current(source: Provider, task: Task) -> Current:
    """The newest transactions and the holdings; one that cannot be read leaves the other."""
    transactions, transactions_error = None, None
    holdings, holdings_error = None, None
    if task.days:
        try:
            transactions = _rows(source, task.account, task.days)
        except NeedsReauthentication:
            raise
        except SyncError as problem:
            transactions_error = problem
    if task.wants_holdings:
        try:
            holdings = list(source.holdings(task.account))
        except NeedsReauthentication:
            raise
        except SyncError as problem:
            holdings_error = problem
    return Current(
        task=task,
        transactions=transactions,
        transactions_error=transactions_error,
        holdings=holdings,
        holdings_error=holdings_error,
    )


def _rows(
    source: Provider, account: AccountData, days: Days
) -> list[TransactionData | Known | Rejected]:
    rows: list[TransactionData | Known | Rejected] = []
    for page in source.transactions(account, *days):
        rows += page
        _refuse_too_many(len(rows))
    return rows


def _refuse_too_many(count: int) -> None:
    if count > MAX_ROWS:
        raise BadProviderData("too_many_rows")
