"""The words of connections and syncs: enums, free of Django."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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


class StepKind(StrEnum):
    """What one step of a sync saves."""

    ACCOUNTS = "accounts"
    TRANSACTIONS = "transactions"
    HOLDINGS = "holdings"


class StepStatus(StrEnum):
    """How one step of a sync ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
