"""What can go wrong with a connection, named by its remedy. Free of Django."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID


class SyncError(Exception):
    """A sync could not do its work; `code` is one of the outcome codes, `params` fill its words."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


class Fenced(Exception):
    """Another worker has taken this sync over: stop at once and write nothing more."""


class SyncInProgress(SyncError):
    """The connection is busy with another sync (`sync_id`); ask again when it has finished."""

    def __init__(self, sync_id: UUID | None = None) -> None:
        super().__init__("sync_in_progress", **({"sync_id": str(sync_id)} if sync_id else {}))
        self.sync_id = sync_id


class RecentlySynced(SyncError):
    """What was asked for was read moments ago: a skip, not a failure; `seconds` to wait."""

    def __init__(self, *, seconds: int) -> None:
        super().__init__("recently_synced", seconds=str(seconds))
        self.seconds = seconds


class Retryable(SyncError):
    """Nothing is wrong with the connection: ask again later, not before `retry_at` (UTC) if set."""

    def __init__(
        self, *, retry_at: datetime | None = None, code: str = "provider_unavailable", **params: str
    ) -> None:
        super().__init__(code, **params)
        self.retry_at = retry_at


class RateLimited(Retryable):
    """The provider asked to wait."""

    def __init__(self, *, retry_at: datetime | None = None, **params: str) -> None:
        super().__init__(retry_at=retry_at, code="provider_rate_limited", **params)


class NeedsReauthentication(SyncError):
    """Only the person can repair it, by signing in again.

    `reason` is credentials_refused, or wrong_environment for keys that look like another
    environment's.
    """

    def __init__(self, reason: str = "credentials_refused", **params: str) -> None:
        super().__init__("provider_authentication_failed", reason=reason, **params)
        self.reason = reason


class BadProviderData(SyncError):
    """An answer, as a whole, is not what the provider's documentation promises.

    `reason` says what is wrong with it: not_json, wrong_shape, refused, pages_repeat,
    too_many_pages, too_many_rows, account_unknown or other_account.
    """

    def __init__(self, reason: str, **params: str) -> None:
        super().__init__("provider_invalid_response", reason=reason, **params)
        self.reason = reason


class AccountUnknown(BadProviderData):
    """The provider no longer knows the account by this id: read the list of accounts again."""

    def __init__(self) -> None:
        super().__init__("account_unknown")


class NotConfigured(SyncError):
    """The operator has not set what the provider needs; `missing` names it."""

    def __init__(self, provider_name: str, missing: Iterable[str]) -> None:
        self.missing = tuple(missing)
        names = ", ".join(self.missing)
        super().__init__("provider_not_configured", provider=provider_name, missing=names)

    def __str__(self) -> str:
        return (
            f"{self.params['provider']} needs settings that are missing: {self.params['missing']}."
        )
