"""The words of connections and syncs: enums, free of Django."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping


class Category(StrEnum):
    """What kind of business a provider is (ProviderCategory)."""

    BROKERAGE = "brokerage"
    BANK = "bank"
    CRYPTO = "crypto"
    RETIREMENT = "retirement"
    INVESTMENT = "investment"
    OTHER = "other"


class AuthType(StrEnum):
    """How a person lets us in (ProviderAuthType)."""

    OAUTH = "oauth"
    API_KEY = "api_key"
    FILE_IMPORT = "file_import"
    LINK_TOKEN = "link_token"  # noqa: S105 - a kind of sign-in, not a secret
    CERTIFICATE = "certificate"
    SETUP_TOKEN = "setup_token"  # noqa: S105


class CredentialType(StrEnum):
    """What is kept sealed for a connection."""

    OAUTH2 = "oauth2"
    API_KEY = "api_key"
    LINK_TOKEN = "link_token"  # noqa: S105
    CERTIFICATE = "certificate"
    FILE_IMPORT = "file_import"
    CUSTOM = "custom"


class Capability(StrEnum):
    """What a provider can tell."""

    ACCOUNTS = "accounts"
    TRANSACTIONS = "transactions"
    HOLDINGS = "holdings"
    BALANCE_HISTORY = "balance_history"


class ConnectionStatus(StrEnum):
    """Where a connection is in its life."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    FAILED = "failed"
    DISCONNECTED = "disconnected"


# expired, revoked and failed connections come back by reconnecting in place.
TRANSITIONS = {
    ConnectionStatus.PENDING: {ConnectionStatus.ACTIVE, ConnectionStatus.FAILED},
    ConnectionStatus.ACTIVE: {
        ConnectionStatus.EXPIRED,
        ConnectionStatus.REVOKED,
        ConnectionStatus.FAILED,
    },
    ConnectionStatus.EXPIRED: {ConnectionStatus.ACTIVE},
    ConnectionStatus.REVOKED: {ConnectionStatus.ACTIVE},
    ConnectionStatus.FAILED: {ConnectionStatus.ACTIVE},
    ConnectionStatus.DISCONNECTED: set(),
}
# Worked once and cannot go on: back to active by signing in again, and in no other way.
BROKEN = (ConnectionStatus.EXPIRED, ConnectionStatus.REVOKED, ConnectionStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLogin:
    """What a statement file says of whose it is, each part a keyed hash.

    `key` stands for the institution's own marks, `account_keys` for accounts with their number
    written out. A file without any marks belongs wherever its accounts are; `unmarked_keys` are the
    keys under which a file of this bank without marks would have been kept.
    """

    key: str
    account_keys: tuple[str, ...] = ()
    unmarked_keys: tuple[str, ...] = ()
    is_marked: bool = True


class SyncStatus(StrEnum):
    """Where a sync is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"


UNFINISHED = (SyncStatus.QUEUED, SyncStatus.RUNNING)


class SyncTrigger(StrEnum):
    """Who or what asked for a sync."""

    INITIAL = "initial"
    MANUAL = "manual"
    SCHEDULED = "scheduled"
    WEBHOOK = "webhook"
    FILE_IMPORT = "file_import"


class SyncWork(StrEnum):
    """What a sync is for: it reads, takes an import back, or tries unreadable rows again."""

    READ = "read"
    UNDO = "undo"
    RETRY = "retry"


class Resolution(StrEnum):
    """What became of a row that could not be read; none of these while it is open.

    `read`: it is saved now. `repeated`: a later sync was told it again, and keeps it. `outdated`:
    something newer was read since. `undone`: the import that brought it was taken back.
    """

    READ = "read"
    REPEATED = "repeated"
    OUTDATED = "outdated"
    DISMISSED = "dismissed"
    UNDONE = "undone"


class StepKind(StrEnum):
    """What one step of a sync saves."""

    ACCOUNTS = "accounts"
    TRANSACTIONS = "transactions"
    HOLDINGS = "holdings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a sync was asked to read: which kinds of rows, of all accounts or one, of which days.

    Without days, transactions are read from where they are known to. It is kept as JSON, an
    everyday sync of everything as {}.
    """

    kinds: frozenset[StepKind] = frozenset(StepKind)
    account_id: UUID | None = None
    start_date: date | None = None
    end_date: date | None = None

    @property
    def is_everything(self) -> bool:
        """Whether this is the everyday sync of a whole connection."""
        return self == Scope()

    def covers(self, other: Scope) -> bool:
        """Whether whoever waits for `other` gets it from this one as well."""
        same_days = (self.start_date, self.end_date) == (other.start_date, other.end_date)
        return (
            other.kinds <= self.kinds
            and self.account_id in (None, other.account_id)
            and (StepKind.TRANSACTIONS not in other.kinds or same_days)
        )

    def as_json(self) -> dict[str, object]:
        """How a sync keeps it."""
        parts: dict[str, object] = {}
        if self.kinds != frozenset(StepKind):
            parts["kinds"] = sorted(self.kinds)
        if self.account_id:
            parts["account_id"] = str(self.account_id)
        for name in ("start_date", "end_date"):
            day = getattr(self, name)
            if day:
                parts[name] = day.isoformat()
        return parts

    @classmethod
    def from_json(cls, parts: Mapping[str, object]) -> Scope:
        """What `as_json` wrote."""
        days = {
            name: date.fromisoformat(str(parts[name]))
            for name in ("start_date", "end_date")
            if name in parts
        }
        kinds = parts.get("kinds", list(StepKind))
        account_id = parts.get("account_id")
        return cls(
            kinds=frozenset(StepKind(one) for one in kinds),  # type: ignore[attr-defined]
            account_id=UUID(str(account_id)) if account_id else None,
            **days,
        )


class StepStatus(StrEnum):
    """How far one step of a sync has come."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
