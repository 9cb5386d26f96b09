"""What is told of a sync: the events of its steps, and of what they changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.services import recalculate_net_worth
from accounts.types import Counts
from connections.types import StepKind
from dashtam.events import NewEvent
from dashtam.money import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accounts.models import Account
    from accounts.types import BalanceChange
    from connections.models import Connection, Sync, SyncStep
    from dashtam.models import User


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
            **sync_names(sync),
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


def connection_names(connection: Connection) -> dict[str, str]:
    """What every event of a connection carries."""
    return {"connection_id": str(connection.pk), "provider_slug": connection.provider_slug}


def sync_names(sync: Sync) -> dict[str, str]:
    """What every event of a sync carries."""
    names = {"connection_id": str(sync.connection_id), "sync_id": str(sync.pk)}
    wanted = sync.asked.account_id
    return {**names, "account_id": str(wanted)} if wanted else names


def holdings_event(account: Account, step: SyncStep | Counts) -> NewEvent:
    """What became of an account's positions."""
    return NewEvent(
        "portfolio.holdings.updated",
        {
            "account_id": str(account.pk),
            "holdings_count": account.holdings.filter(is_active=True).count(),
            "created_count": step.created,
            "updated_count": step.updated,
            "deactivated_count": step.deactivated,
        },
    )


def balance_event(change: BalanceChange) -> NewEvent:
    """From what to what a balance moved; a new account's from nothing."""
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
