"""What the pages tell of connections: how each one is, and what became of its syncs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import Count, Q, Sum
from django.utils.timezone import now

from accounts.models import Account
from connections.models import Connection, QuarantinedRecord, Sync, SyncStep
from connections.provider import UnknownProvider, provider, providers
from connections.types import UNFINISHED, ConnectionStatus, Resolution, StepKind, StepStatus
from transactions.models import TransactionRevision

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from django.core.paginator import Page
    from django.db.models import QuerySet

    from connections.provider import Provider
    from dashtam.models import User

# Four readings in a row did not come, and the day's last one has had its time.
UNREAD_FOR = timedelta(hours=26)
# Longer than a weekend between two days of trading.
OLD_AFTER = timedelta(days=3)

SHOWN_SYNCS = 5
PAGE_SIZE = 25
SHOWN_REVISIONS = 100
SHOWN_UNREADABLE = 100
ROWS = ("fetched", "created", "updated", "unchanged", "ignored", "quarantined")
BESIDE = ("cancelled", "deactivated")
CHANGED = Q(created__gt=0) | Q(updated__gt=0) | Q(cancelled__gt=0) | Q(deactivated__gt=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a connection is; `accounts` are its active ones.

    `data_as_of` is the date of the oldest balance among the accounts that the provider still tells
    of: nothing shown is older.
    """

    connection: Connection
    accounts: Sequence[Account] = ()
    is_fetched: bool = True

    @property
    def data_as_of(self) -> datetime | None:
        """The oldest balance's date; None when none has been told."""
        return min(self.balance_dates, default=None)

    @property
    def balance_dates(self) -> list[datetime]:
        """When each balance was true, of the accounts that the provider still tells of."""
        told = [one.balance_as_of for one in self.accounts if not one.missing_since]
        return [instant for instant in told if instant]

    @property
    def missing(self) -> list[Account]:
        """The accounts that the provider no longer tells of."""
        return [one for one in self.accounts if one.missing_since]

    @property
    def is_ours(self) -> bool:
        """Whether this server can reach it at all: neither invented nor real where it must not."""
        return not self.is_fetched or self.connection.is_sandbox == settings.SANDBOX

    @property
    def is_expected(self) -> bool:
        """Whether it should be read by itself."""
        is_working = self.connection.status == ConnectionStatus.ACTIVE
        return self.is_fetched and self.is_ours and is_working

    @property
    def is_unread(self) -> bool:
        """Whether no reading has come to a good end for too long."""
        last = self.connection.last_sync_at or self.connection.connected_at
        return self.is_expected and last is not None and last < now() - UNREAD_FOR

    @property
    def is_old(self) -> bool:
        """Whether an account's data is old, whatever the last sync said of itself."""
        as_of = self.data_as_of
        return self.is_expected and as_of is not None and as_of < now() - OLD_AFTER

    @property
    def is_stale(self) -> bool:
        """Whether what is shown is older than it should be."""
        return self.is_unread or self.is_old

    @property
    def is_ending(self) -> bool:
        """Whether a consent that still holds ends soon."""
        return self.connection.is_ending and self.connection.status == ConnectionStatus.ACTIVE

    @property
    def is_recent(self) -> bool:
        """Whether it was read so recently that there can hardly be anything new."""
        last, source = self.connection.last_sync_at, _source(self.connection)
        return bool(last and source and now() < last + source.minimum_interval)

    @property
    def needs_attention(self) -> bool:
        """Whether the person should look at it."""
        if self.connection.status == ConnectionStatus.DISCONNECTED or not self.is_ours:
            return False
        is_waiting = self.connection.needs_person or self.is_ending
        return is_waiting or self.is_stale or bool(self.missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTotal:
    """What became of one kind of rows in a whole sync; `accounts` are those read to their end."""

    kind: StepKind
    accounts: int
    failed: int
    counts: Mapping[str, int]

    @property
    def synced(self) -> int:
        """The rows that are saved now, each once."""
        return self.counts["created"] + self.counts["updated"] + self.counts["unchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncLine:
    """One sync as a list shows it; `account` is the one it was asked for, if it is still there."""

    sync: Sync
    totals: Sequence[KindTotal] = ()
    account: Account | None = None

    @property
    def unreadable(self) -> int:
        """How many rows could not be read."""
        return sum(total.counts["quarantined"] for total in self.totals)

    @property
    def is_unfinished(self) -> bool:
        """Whether it still waits or runs."""
        return self.sync.status in UNFINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPart:
    """How far one account is in a sync: its state, the rows read so far, and what failed."""

    account: Account
    state: StepStatus
    rows: int
    failed: SyncStep | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a sync is: its accounts in turn."""

    parts: Mapping[UUID, AccountPart] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many accounts are read; 0 while that is not known yet."""
        return len(self.parts)

    @property
    def done(self) -> int:
        """How many are through, well or not."""
        ended = (StepStatus.SUCCEEDED, StepStatus.FAILED)
        return sum(part.state in ended for part in self.parts.values())

    @property
    def rows(self) -> int:
        """The rows of all of them so far."""
        return sum(part.rows for part in self.parts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One sync in full: its steps, the rows that could not be read, and what it changed."""

    line: SyncLine
    progress: Progress
    steps: Sequence[SyncStep]
    unreadable: Sequence[QuarantinedRecord]
    revisions: Sequence[TransactionRevision]
    revision_count: int

    @property
    def more_revisions(self) -> int:
        """How many revisions there are beside those shown."""
        return self.revision_count - len(self.revisions)

    @property
    def newcomers(self) -> list[SyncStep]:
        """The steps that brought new transactions to an account."""
        told = (one for one in self.steps if one.kind == StepKind.TRANSACTIONS and one.account_id)
        return [one for one in told if one.created]


def healths(user: User) -> list[Health]:
    """Every connection of a person with how it is, oldest first: two statements."""
    of_connection: dict[UUID, list[Account]] = defaultdict(list)
    for account in Account.objects.for_user(user).filter(is_active=True).order_by("name", "id"):
        of_connection[account.connection_id].append(account)
    fetched = {source.slug for source in providers() if source.is_fetched()}
    return [
        Health(
            connection=one,
            accounts=of_connection[one.pk],
            is_fetched=one.provider_slug in fetched,
        )
        for one in Connection.objects.for_user(user).order_by("created_at")
    ]


def attention(user: User) -> list[Health]:
    """The connections that a person should look at, those that only they can repair first."""
    found = [one for one in healths(user) if one.needs_attention]
    return sorted(found, key=lambda one: not one.connection.needs_person)


def health_of(connection: Connection, accounts: Iterable[Account]) -> Health:
    """How one connection is, of whose accounts these are all."""
    return Health(
        connection=connection,
        accounts=[one for one in accounts if one.is_active],
        is_fetched=is_fetched(connection),
    )


def is_fetched(connection: Connection) -> bool:
    """Whether there is a provider to call: none for files, nor when the code has dropped it."""
    source = _source(connection)
    return source is not None and source.is_fetched()


def last_change(connection: Connection) -> datetime | None:
    """When a sync last brought or changed anything."""
    steps = SyncStep.objects.for_user(connection.user).filter(sync__connection=connection)
    newest = steps.filter(CHANGED).select_related("sync").order_by("-sync__requested_at").first()
    return (newest.sync.finished_at or newest.updated_at) if newest else None


def latest_lines(connection: Connection, accounts: Iterable[Account]) -> list[SyncLine]:
    """The last syncs of a connection, newest first."""
    return _lines(list(_newest_first(connection)[:SHOWN_SYNCS]), accounts)


def page_of_syncs(connection: Connection, number: str) -> tuple[Page[Sync], list[SyncLine]]:
    """One page of all syncs, newest first; a number that is none is the first."""
    page = Paginator(_newest_first(connection), PAGE_SIZE).get_page(number)
    return page, _lines(list(page.object_list), connection.accounts.all())


def progress_of(sync: Sync) -> Progress:
    """How far a sync is, account by account."""
    return _progress(sync.steps.filter(account__isnull=False).select_related("account"))


def outcome_of(sync: Sync) -> Outcome:
    """Everything there is to tell of one sync, in a fixed number of statements."""
    steps = list(sync.steps.select_related("account").order_by("account__name", "created_at", "id"))
    kept = QuarantinedRecord.objects.filter(step__sync=sync)
    unreadable = kept.exclude(resolution=Resolution.UNDONE).select_related("step__account")
    revisions = TransactionRevision.objects.filter(sync=sync)
    shown = revisions.select_related("transaction__account", "transaction__edit")
    asked_for = [sync.asked.account_id] if sync.asked.account_id else []
    named = Account.objects.for_user(sync.user).filter(pk__in=asked_for)
    return Outcome(
        line=_lines([sync], named)[0],
        progress=_progress(steps),
        steps=sorted(steps, key=_place),
        unreadable=list(unreadable.order_by("created_at", "id")[:SHOWN_UNREADABLE]),
        revisions=list(shown.order_by("created_at", "id")[:SHOWN_REVISIONS]),
        revision_count=revisions.count(),
    )


def _place(step: SyncStep) -> tuple[str, str]:
    return (step.account.title, str(step.account_id)) if step.account else ("", "")


def _source(connection: Connection) -> type[Provider] | None:
    try:
        return provider(connection.provider_slug)
    except UnknownProvider:
        return None


def _newest_first(connection: Connection) -> QuerySet[Sync]:
    own = Sync.objects.for_user(connection.user).filter(connection=connection)
    return own.select_related("connection").order_by("-requested_at", "-id")


def _lines(syncs: Sequence[Sync], accounts: Iterable[Account]) -> list[SyncLine]:
    named = {account.pk: account for account in accounts}
    totals = _totals([sync.pk for sync in syncs])
    return [
        SyncLine(
            sync=sync,
            totals=totals[sync.pk],
            account=named.get(sync.asked.account_id) if sync.asked.account_id else None,
        )
        for sync in syncs
    ]


def _totals(sync_ids: Sequence[UUID]) -> Mapping[UUID, list[KindTotal]]:
    """What became of each sync's rows, kind by kind in the order of StepKind."""
    sums = {name: Sum(name) for name in (*ROWS, *BESIDE)}
    read = Count("id", filter=Q(status=StepStatus.SUCCEEDED, account__isnull=False))
    failed = Count("id", filter=Q(status=StepStatus.FAILED))
    rows = SyncStep.objects.filter(sync__in=sync_ids).values("sync_id", "kind")
    found: dict[UUID, list[KindTotal]] = defaultdict(list)
    for row in rows.annotate(**sums, of_accounts=read, of_failed=failed):
        total = KindTotal(
            kind=StepKind(row["kind"]),
            accounts=row["of_accounts"],
            failed=row["of_failed"],
            counts={name: row[name] for name in sums},
        )
        found[row["sync_id"]].append(total)
    for totals in found.values():
        totals.sort(key=lambda one: list(StepKind).index(one.kind))
    return found


def _progress(steps: Iterable[SyncStep]) -> Progress:
    of_account: dict[Account, list[SyncStep]] = defaultdict(list)
    for step in steps:
        if step.account:
            of_account[step.account].append(step)
    return Progress(parts={one.pk: _part(one, found) for one, found in of_account.items()})


def _part(account: Account, steps: Sequence[SyncStep]) -> AccountPart:
    return AccountPart(
        account=account,
        state=_state({StepStatus(one.status) for one in steps}),
        rows=sum(one.fetched for one in steps),
        failed=next((one for one in steps if one.status == StepStatus.FAILED), None),
    )


def _state(states: set[StepStatus]) -> StepStatus:
    if len(states) == 1:
        return next(iter(states))
    is_through = states <= {StepStatus.SUCCEEDED, StepStatus.FAILED}
    return StepStatus.FAILED if is_through else StepStatus.RUNNING
