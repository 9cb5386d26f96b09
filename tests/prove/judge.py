"""The judge: when everything is quiet, is the database what the bank told, and at peace?"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.timezone import now

from accounts.models import Account, NetWorth
from accounts.services import net_worth
from connections.models import Connection, Sync, SyncStep
from connections.sandbox.ledger import State
from connections.types import ConnectionStatus, StepStatus, SyncStatus
from dashtam.models import Event, Feed, User
from dashtam.money import amount
from dashtam.vault import VaultError
from holdings.models import Holding
from imports.models import StatementFile
from imports.types import StatementStatus
from transactions.models import Transaction
from transactions.types import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connections.sandbox.truth import Truth

LOST, DOUBLED, WRONG = "lost", "doubled", "wrong"
# What became of a pending row that the bank no longer tells of.
VANISHED = "vanished"
_STATUSES = {
    State.PENDING: {TransactionStatus.PENDING},
    State.SETTLED: {TransactionStatus.SETTLED},
    # The wire has one word for both.
    State.FAILED: {TransactionStatus.FAILED, TransactionStatus.CANCELLED},
    State.CANCELLED: {TransactionStatus.FAILED, TransactionStatus.CANCELLED},
    VANISHED: {TransactionStatus.CANCELLED},
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be: a row lost, one too many, or something wrong."""

    kind: str
    words: str


def judge(truth: Truth) -> list[Finding]:
    """Everything that is wrong with the database, held against what the bank has told."""
    told = [finding for check in _OF_THE_BANK for finding in check(truth)]
    return [*told, *(finding for check in _OF_ITSELF for finding in check())]


def as_json(findings: list[Finding]) -> list[dict[str, str]]:
    """What a worker hands back."""
    return [asdict(finding) for finding in findings]


# --- held against the bank


def _accounts(truth: Truth) -> Iterator[Finding]:
    for slug, accounts in truth.items():
        known = _accounts_of(slug)
        for key in accounts.keys() - {account.provider_account_id for account in known}:
            yield Finding(LOST, f"account {key}")
        for account in known:
            told = accounts.get(account.provider_account_id, {}).get("account")
            if told is None:
                yield Finding(DOUBLED, f"account {account.provider_account_id}: never told")
            elif told and account.balance != amount(Decimal(told["balance"])):
                balances = f"{account.balance}, told {told['balance']}"
                yield Finding(WRONG, f"balance {account.provider_account_id}: {balances}")


def _transactions(truth: Truth) -> Iterator[Finding]:
    for slug, accounts in truth.items():
        for account in _accounts_of(slug):
            told = accounts.get(account.provider_account_id, {}).get("transactions", {})
            rows = list(Transaction.objects.filter(account=account))
            yield from _set_of_rows(account, told, rows)
            for row in rows:
                if row.provider_transaction_id in told:
                    yield from _row(row, told[row.provider_transaction_id])


def _set_of_rows(
    account: Account, told: dict[str, Any], rows: list[Transaction]
) -> Iterator[Finding]:
    name = account.provider_account_id[:8]
    times = Counter(row.provider_transaction_id for row in rows)
    for key in told.keys() - times.keys():
        if told[key]["status"] != VANISHED:
            yield Finding(LOST, f"transaction {key} of {name}")
    for key, count in times.items():
        if key not in told:
            yield Finding(DOUBLED, f"transaction {key} of {name}: the bank has no such row")
        elif count > 1:
            yield Finding(DOUBLED, f"transaction {key} of {name}: {count} times")


def _row(row: Transaction, told: dict[str, Any]) -> Iterator[Finding]:
    pairs = {
        "amount": (row.amount, amount(Decimal(told["amount"]))),
        "date": (row.transaction_date.isoformat(), told["date"]),
        "description": (row.description, told["description"] or row.description),
        "quantity": (row.quantity, Decimal(told["quantity"]) or row.quantity),
    }
    for name, (kept, said) in pairs.items():
        if kept != said:
            yield _differs(row, name, kept, said)
    if row.status not in _STATUSES[told["status"]]:
        yield _differs(row, "status", row.status, told["status"])


def _differs(row: Transaction, name: str, kept: object, said: object) -> Finding:
    return Finding(WRONG, f"transaction {row.provider_transaction_id}: {name} {kept}, told {said}")


def _holdings(truth: Truth) -> Iterator[Finding]:
    for slug, accounts in truth.items():
        for account in _accounts_of(slug):
            told = accounts.get(account.provider_account_id, {}).get("positions", {})
            held = {row.symbol.replace(" ", ""): row for row in _active_holdings(account)}
            said = {symbol.replace(" ", ""): position for symbol, position in told.items()}
            for symbol in said.keys() - held.keys():
                yield Finding(LOST, f"position {symbol}")
            for symbol in held.keys() - said.keys():
                yield Finding(DOUBLED, f"position {symbol}: not held any more")
            for symbol in held.keys() & said.keys():
                yield from _position(held[symbol], said[symbol])


def _position(row: Holding, told: dict[str, Any]) -> Iterator[Finding]:
    kept = row.quantity, row.market_value
    said = Decimal(told["quantity"]), amount(Decimal(told["market_value"]))
    if kept != said:
        yield Finding(WRONG, f"position {row.symbol}: {kept}, told {said}")


def _accounts_of(slug: str) -> list[Account]:
    return list(Account.objects.filter(connection__provider_slug=slug))


def _active_holdings(account: Account) -> list[Holding]:
    return list(Holding.objects.filter(account=account, is_active=True))


# --- held against itself


def _steps() -> Iterator[Finding]:
    for step in SyncStep.objects.select_related("sync"):
        parts = step.created + step.updated + step.unchanged + step.ignored + step.quarantined
        if step.fetched != parts:
            yield Finding(WRONG, f"step {step.kind}: {step.fetched} rows, {parts} accounted for")
        if step.sync.status == SyncStatus.SUCCEEDED and step.status != StepStatus.SUCCEEDED:
            yield Finding(WRONG, f"step {step.kind} is {step.status} in a sync that succeeded")


def _syncs() -> Iterator[Finding]:
    unfinished: Counter[object] = Counter()
    for sync in Sync.objects.all():
        if sync.status in (SyncStatus.QUEUED, SyncStatus.RUNNING):
            unfinished[sync.connection_id] += 1
            if sync.lease_expires_at is None or sync.lease_expires_at < now():
                yield Finding(WRONG, f"sync is {sync.status}, and nobody's")
        elif sync.finished_at is None:
            yield Finding(WRONG, f"sync {sync.status} ended at no time")
        elif sync.status == SyncStatus.FAILED and not sync.error_code:
            yield Finding(WRONG, "sync failed and does not say why")
    for count in unfinished.values():
        if count > 1:
            yield Finding(WRONG, f"{count} unfinished syncs of one connection")


def _credentials() -> Iterator[Finding]:
    for connection in Connection.objects.exclude(credentials=""):
        try:
            connection.open()
        except VaultError:
            yield Finding(WRONG, f"credentials of {connection} do not open")


def _needs_person() -> Iterator[Finding]:
    expired = Connection.objects.filter(status=ConnectionStatus.EXPIRED)
    for connection in expired:
        told = Event.objects.filter(
            user_id=connection.user_id, name="provider.needs_reauthentication"
        )
        if not any(event.payload["connection_id"] == str(connection.pk) for event in told):
            yield Finding(WRONG, "a connection waits for its person, who was not told")
        if not connection.status_reason:
            yield Finding(WRONG, "a connection waits for its person and does not say why")


def _events() -> Iterator[Finding]:
    for user in User.objects.all():
        numbers = list(
            Event.objects.filter(user=user).order_by("sequence").values_list("sequence", flat=True)
        )
        feed = Feed.objects.filter(pk=user.pk).first()
        last = feed.last_sequence if feed else 0
        if numbers != list(range(1, last + 1)):
            yield Finding(WRONG, f"events of {user} have gaps: {len(numbers)} up to {last}")
        yield from _told_once(user)
        yield from _chain(user)


def _told_once(user: User) -> Iterator[Finding]:
    ends: Counter[tuple[str, str]] = Counter()
    for event in Event.objects.filter(user=user, name__endswith=".completed"):
        ends[event.name, str(event.payload.get("sync_id", event.payload.get("statement_id")))] += 1
    for (name, _which), count in ends.items():
        if count > 1:
            yield Finding(DOUBLED, f"{name} told {count} times of one sync")


def _chain(user: User) -> Iterator[Finding]:
    """Each net worth that is told begins where the one before ended, and the last is the kept."""
    before = None
    told = Event.objects.filter(user=user, name="portfolio.networth.updated").order_by("sequence")
    for event in told:
        previous = Decimal(event.payload["previous_net_worth"])
        if before is not None and previous != before:
            yield Finding(WRONG, f"net worth told from {previous} after {before}")
        before = Decimal(event.payload["new_net_worth"])
    kept = NetWorth.objects.filter(user=user).first()
    if kept and before is not None and kept.value != before:
        yield Finding(WRONG, f"net worth {kept.value}, told {before}")


def _net_worth() -> Iterator[Finding]:
    for kept in NetWorth.objects.select_related("user"):
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for account in Account.objects.filter(user=kept.user, is_active=True):
            sums[account.currency] += account.balance or Decimal(0)
        if set(sums) <= {kept.currency} and sums[kept.currency] != kept.value:
            yield Finding(WRONG, f"net worth {kept.value}, accounts {sums[kept.currency]}")
        shown = net_worth(kept.user)
        if (kept.value, kept.account_count) != (shown.converted.total, shown.account_count):
            yield Finding(WRONG, f"net worth {kept.value}, shown {shown.converted.total}")


def _snapshots() -> Iterator[Finding]:
    for account in Account.objects.exclude(balance=None):
        latest = account.snapshots.order_by("-as_of", "-captured_at").first()
        if latest is None:
            yield Finding(LOST, f"the balance of {account} has no history")
        elif latest.balance != account.balance:
            words = f"{account.balance}, its history ends with {latest.balance}"
            yield Finding(WRONG, f"balance of {account}: {words}")


def _files() -> Iterator[Finding]:
    for statement in StatementFile.objects.select_related("sync"):
        is_over = statement.sync is None or statement.sync.finished_at is not None
        if statement.status == StatementStatus.IMPORTING and is_over:
            yield Finding(WRONG, "a file is being imported by nobody")
        if statement.status == StatementStatus.IMPORTED:
            missing = statement.rows_total - statement.rows_done
            if missing:
                yield Finding(WRONG, f"a file is imported but for {missing} rows")


_OF_THE_BANK: tuple[Callable[[Truth], Iterator[Finding]], ...] = (
    _accounts,
    _transactions,
    _holdings,
)
_OF_ITSELF: tuple[Callable[[], Iterator[Finding]], ...] = (
    _steps,
    _syncs,
    _credentials,
    _needs_person,
    _events,
    _net_worth,
    _snapshots,
    _files,
)
