"""What happened, numbered gaplessly per person in the transaction of the change it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connection as db_connection
from django.db.models import F
from django.db.transaction import TransactionManagementError

from dashtam.models import Event, Feed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The channel on which PostgreSQL says that somebody's feed grew; on SQLite the file itself tells.
CHANNEL = "dashtam_events"

_CATEGORIES = {
    "data_sync": (
        "sync.accounts.started sync.accounts.completed sync.accounts.failed sync.accounts.skipped "
        "sync.transactions.started sync.transactions.progress sync.transactions.completed "
        "sync.transactions.failed "
        "sync.holdings.started sync.holdings.completed sync.holdings.failed"
    ),
    "provider": (
        "provider.connected provider.disconnected provider.needs_reauthentication "
        "provider.token.refreshed provider.token.failed provider.token.expiring"
    ),
    "import": "import.started import.progress import.completed import.failed import.undone",
    "portfolio": "portfolio.balance.updated portfolio.holdings.updated portfolio.networth.updated",
    "security": (
        "security.session.new security.session.revoked security.password.changed "
        "security.login.failed"
    ),
}


def _is_audit(name: str, category: str) -> bool:
    return category != "portfolio" and not name.endswith(".progress")


# Name → (category, whether it is part of the audit and outlives retention).
EVENTS = {
    name: (category, _is_audit(name, category))
    for category, names in _CATEGORIES.items()
    for name in names.split()
}


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something to record: a name of EVENTS and what it carries (money as canonical text)."""

    name: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resync:
    """Not everything after the asked number is there: start anew from `sequence`."""

    sequence: int


def record(user_id: UUID, *events: NewEvent, request_id: str = "", ip: str | None = None) -> None:
    """Write events of one person, as the last thing of the caller's transaction.

    The row lock on the person's feed is held from here to the commit: that keeps the numbers
    gapless and in the order of the commits. TransactionManagementError outside a transaction,
    ValueError for an unknown name, TypeError for a payload with a float or a Decimal in it.
    """
    if not db_connection.in_atomic_block:
        raise TransactionManagementError("Events are recorded inside their change's transaction.")
    rows = [_row(user_id, event, request_id, ip) for event in events]
    if not rows:
        return
    last = _take_numbers(user_id, len(rows))
    for sequence, row in enumerate(rows, start=last - len(rows) + 1):
        row.sequence = sequence
    Event.objects.bulk_create(rows)
    if db_connection.vendor == "postgresql":
        with db_connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(user_id)])


def after(user_id: UUID, since: int, limit: int) -> list[Event] | Resync:
    """Return the person's next events after `since`, at most `limit`, oldest first.

    Resync when some of them are gone already, or when `since` is a number never given out.
    """
    found = list(Event.objects.filter(user_id=user_id).after(since)[:limit])
    # Read after the events: had they been removed in between, that shows here.
    last, pruned_through = _numbers(user_id)
    return found if pruned_through <= since <= last else Resync(last)


def last_sequence(user_id: UUID) -> int:
    """Return the person's newest number (0 when nothing happened yet).

    A page reads it before its data: then what happens in between is replayed, not missed.
    """
    return _numbers(user_id)[0]


def last_sequences(user_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return the newest number of each of these people to whom anything happened."""
    rows = Feed.objects.filter(user_id__in=list(user_ids))
    return dict(rows.values_list("user_id", "last_sequence"))


def as_message(event: Event) -> dict[str, Any]:
    """Return an event as the socket and the API send it."""
    return {
        "type": "event",
        "sequence": event.sequence,
        "name": event.name,
        "category": event.category,
        "payload": event.payload,
        "occurred_at": event.occurred_at.isoformat(),
    }


def _row(user_id: UUID, event: NewEvent, request_id: str, ip: str | None) -> Event:
    if event.name not in EVENTS:
        raise ValueError(f"{event.name!r} is no event")
    category, is_audit = EVENTS[event.name]
    return Event(
        user_id=user_id,
        name=event.name,
        category=category,
        is_audit=is_audit,
        payload=_plain(event.payload),
        request_id=request_id,
        ip=ip,
    )


def _plain(value: Any) -> Any:
    """The value as JSON keeps it exactly; ids and enums become text."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, UUID | str):
        return str(value)
    if value is None or isinstance(value, int):
        return value
    raise TypeError(f"an event carries text and whole numbers, not {type(value).__name__}")


def _take_numbers(user_id: UUID, count: int) -> int:
    """Advance the person's feed and return its new last number, under its row lock."""
    feed = Feed.objects.filter(pk=user_id)
    grown = F("last_sequence") + count
    if not feed.update(last_sequence=grown):
        # Two first events at once: the second waits here for the first, then both count.
        Feed.objects.bulk_create([Feed(user_id=user_id)], ignore_conflicts=True)
        feed.update(last_sequence=grown)
    return feed.values_list("last_sequence", flat=True).get()


def _numbers(user_id: UUID) -> tuple[int, int]:
    rows = Feed.objects.filter(pk=user_id).values_list("last_sequence", "pruned_through")
    return rows.first() or (0, 0)
