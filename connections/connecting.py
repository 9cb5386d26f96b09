"""A connection's credentials: proved, kept, refreshed, replaced in place, and destroyed."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError
from django.db.transaction import atomic
from django.utils.timezone import now

from accounts.twins import hand_over
from accounts.types import AccountData
from connections import oauth
from connections.auth import ApiKey, OAuth2
from connections.errors import NeedsReauthentication, SyncError
from connections.gathering import gather, home_of, lock
from connections.models import Connection, SyncStep
from connections.provider import provider
from connections.reach import app_of, check_usable, client_of, credentials_of, oauth_of, opened
from connections.telling import connection_names, net_worth_events
from connections.types import Capability, ConnectionStatus, StepStatus, SyncStatus
from dashtam.events import NewEvent, record
from dashtam.http import Limits
from dashtam.vault import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connections.auth import Credentials, Environment
    from connections.provider import Provider
    from dashtam.models import User

# An access token with less left than this is replaced before it is used.
REFRESH_AHEAD = timedelta(seconds=60)
# A refresh holds the row's lock (on SQLite the database's): shorter than anybody's patience for it.
TOKEN_LIMITS = Limits(connect_seconds=5, read_seconds=8, deadline_seconds=12)

# What a sign-in changes of a connection that is there already.
SIGNED_IN = (
    "status",
    "status_reason",
    "credentials",
    "credentials_expires_at",
    "provider_user_key",
    "connected_at",
    "next_sync_at",
    "refresh_started_at",
    "failure_count",
    "notified_at",
    "notice_retry_at",
    "warned_at",
    "updated_at",
)


def connect_by_key(
    user: User,
    source: type[Provider],
    credentials: Credentials,
    *,
    environment: str = "",
    reconnecting: Connection | None = None,
) -> Connection:
    """Prove keys by a real call, then keep them: in a new connection, or in that of the same login.

    Nothing is saved when the call fails: NeedsReauthentication, Retryable or BadProviderData;
    NotConfigured or SyncError("provider_disabled") without a call; and
    SyncError("connection_not_active") when the one to repair was disconnected meanwhile.
    """
    check_usable(source)
    arrived = new_connection(user, source, environment)
    arrived.seal(credentials)
    account_ids = _prove(arrived, credentials)
    return _settle(arrived, account_ids, reconnecting)


def other_environment(
    source: type[Provider], credentials: Credentials, environment: str
) -> Environment | None:
    """Another of the provider's environments that accepts keys which this one refused."""
    environments = source.auth.environments if isinstance(source.auth, ApiKey) else ()
    for other in environments:
        if other.slug != environment and _is_accepted(source, credentials, other.slug):
            return other
    return None


def _is_accepted(source: type[Provider], credentials: Credentials, environment: str) -> bool:
    try:
        with opened(source, credentials, environment=environment) as reached:
            reached.check()
    except SyncError:
        return False
    return True


def new_connection(user: User, source: type[Provider], environment: str = "") -> Connection:
    """A pending connection, not saved yet."""
    life = source.auth.consent_life
    return Connection(
        user=user,
        provider_slug=source.slug,
        institution_name=source.institution_name or source.name,
        credential_type=source.auth.credential_type,
        environment=environment,
        is_sandbox=settings.SANDBOX,
        credentials_expires_at=now() + life if life else None,
    )


def complete(pending: Connection, reconnecting: Connection | None = None) -> Connection:
    """Prove what a pending connection holds and make it active, or part of one of the same login.

    NeedsReauthentication when it is refused: the connection has failed, or is gone when it was to
    repair another. Retryable, BadProviderData and what `check_usable` raises leave it pending, to
    be completed later. SyncError("connection_not_active") when it, or the one to repair, was
    disconnected meanwhile.
    """
    check_usable(provider(pending.provider_slug))
    try:
        account_ids = _prove(pending, credentials_of(pending))
    except NeedsReauthentication as refusal:
        _turn_away(pending, refusal.reason, is_repair=reconnecting is not None)
        raise
    try:
        return _settle(pending, account_ids, reconnecting)
    except SyncError:
        # A repair of what is gone leaves nothing behind to be completed.
        if reconnecting:
            Connection.objects.filter(pk=pending.pk, status=ConnectionStatus.PENDING).delete()
        raise


def _turn_away(pending: Connection, reason: str, *, is_repair: bool) -> None:
    with atomic():
        locked = _still_pending(pending)
        if is_repair:
            locked.delete()
        else:
            locked.become(ConnectionStatus.FAILED, reason)
            locked.save(update_fields=["status", "status_reason", "updated_at"])


def _still_pending(pending: Connection) -> Connection:
    """Its locked row: meanwhile it may have been disconnected, or completed by somebody else."""
    waiting = Connection.objects.filter(pk=pending.pk, status=ConnectionStatus.PENDING)
    locked = waiting.select_for_update().first()
    if locked is None:
        raise SyncError("connection_not_active")
    return locked


def _prove(connection: Connection, credentials: Credentials) -> list[str]:
    """Make the provider's own check, and return the ids of the accounts it shows."""
    source = provider(connection.provider_slug)
    with opened(source, credentials, environment=connection.environment) as reached:
        reached.check()
        if Capability.ACCOUNTS not in source.capabilities:
            return []
        rows = [row for row in reached.accounts() if isinstance(row, AccountData)]
    return sorted({row.provider_account_id for row in rows})


def _settle(
    arrived: Connection, account_ids: list[str], reconnecting: Connection | None
) -> Connection:
    # Asked before the first attempt, which may have saved it and taken that back.
    is_new = arrived._state.adding
    try:
        return _settle_once(arrived, account_ids, reconnecting, is_new=is_new)
    except IntegrityError:
        # The same login arrived twice at once: the other one made the connection.
        return _settle_once(arrived, account_ids, reconnecting, is_new=is_new)


def _settle_once(
    arrived: Connection, account_ids: list[str], reconnecting: Connection | None, *, is_new: bool
) -> Connection:
    login_key = _login_key(arrived, account_ids)
    with atomic():
        if not is_new:
            arrived = _still_pending(arrived)
        repaired = _still_living(reconnecting) if reconnecting else None
        same = Connection.objects.of_login(arrived, login_key=login_key, account_ids=account_ids)
        found = lock(same)
        home = home_of(arrived, found, repaired)
        if home is not arrived:
            home.seal(arrived.open())
            home.credentials_expires_at = arrived.credentials_expires_at
            Connection.objects.filter(pk=arrived.pk).delete()
        others = [one for one in found if one.pk != home.pk]
        for other in others:
            _replace(other)
        home.provider_user_key = home.provider_user_key or login_key
        _activate(home, is_new=is_new and home is arrived)
        if gather(home, others, account_ids):
            record(home.user_id, *net_worth_events(home.user))
    return home


def _still_living(connection: Connection) -> Connection:
    locked = lock(Connection.objects.filter(pk=connection.pk))
    if not locked:
        raise SyncError("connection_not_active")
    return locked[0]


def _login_key(connection: Connection, account_ids: list[str]) -> str:
    if not account_ids:
        return ""
    world = "sandbox" if connection.is_sandbox else "real"
    login = " ".join((connection.provider_slug, world, connection.environment, account_ids[0]))
    return fingerprint(login, key=settings.DASHTAM_FINGERPRINT_KEY, purpose="login")


def _activate(connection: Connection, *, is_new: bool) -> None:
    connection.become(ConnectionStatus.ACTIVE)
    connection.connected_at = connection.next_sync_at = now()
    connection.refresh_started_at = None
    connection.failure_count = 0
    connection.notified_at = connection.notice_retry_at = connection.warned_at = None
    # Never an INSERT in the place of a row that somebody deleted.
    if is_new:
        connection.save(force_insert=True)
    else:
        connection.save(update_fields=SIGNED_IN)
    record(connection.user_id, NewEvent("provider.connected", connection_names(connection)))


def directly(errand: Callable[[], Credentials]) -> Credentials:
    """Do it here and now."""
    return errand()


@contextmanager
def open_provider(
    connection: Connection,
    through: Callable[[Callable[[], Credentials]], Credentials] = directly,
) -> Iterator[Provider]:
    """The connection's provider, signed in with tokens that last, renewed when they are refused.

    Renewing writes to the database: `through` has it done where that may be, when the provider is
    called from other threads than this one.
    NeedsReauthentication when the person must sign in again: the connection says so already.
    """
    source = provider(connection.provider_slug)
    check_usable(source)
    is_oauth = isinstance(source.auth, OAuth2)
    credentials = refresh(connection) if is_oauth else credentials_of(connection)
    with opened(
        source,
        credentials,
        environment=connection.environment,
        renew=(lambda used: through(lambda: refresh(connection, refused=used)))
        if is_oauth
        else None,
    ) as reached:
        yield reached


def refresh(connection: Connection, *, refused: Credentials | None = None) -> Credentials:
    """Return tokens that last, from the provider when those kept are about to end or were refused.

    The row is locked meanwhile: of many at once one asks, the others get its answer. What comes
    back is committed before anything else happens. NeedsReauthentication when the provider will not
    (the connection is expired then), Retryable, BadProviderData, or SyncError.
    """
    kept = credentials_of(connection)
    if not _is_due(kept, refused):
        return kept
    # Committed before the call: should nobody see its end, this mark does.
    unmarked = Connection.objects.filter(pk=connection.pk, refresh_started_at=None)
    is_first = bool(unmarked.update(refresh_started_at=now()))
    with atomic(durable=True):
        locked = Connection.objects.select_for_update().get(pk=connection.pk)
        outcome = _refresh_locked(locked, refused, is_first=is_first)
    connection.refresh_from_db()
    if isinstance(outcome, NeedsReauthentication):
        raise outcome
    return outcome


def _is_due(kept: Credentials, refused: Credentials | None) -> bool:
    if refused and refused["access_token"] == kept["access_token"]:
        return True
    ends_at = oauth.expires_at(kept)
    return ends_at is not None and ends_at <= now() + REFRESH_AHEAD


def _refresh_locked(
    connection: Connection, refused: Credentials | None, *, is_first: bool
) -> Credentials | NeedsReauthentication:
    if connection.status != ConnectionStatus.ACTIVE:
        raise SyncError("connection_not_active")
    kept = credentials_of(connection)
    if not _is_due(kept, refused):
        # Somebody else was quicker, and the mark is of no refresh at all.
        if is_first:
            connection.refresh_started_at = None
            connection.save(update_fields=["refresh_started_at", "updated_at"])
        return kept
    if connection.is_consent_over:
        return _refused(connection, "consent_ended")
    try:
        fresh = _ask_for_tokens(connection, kept)
    except NeedsReauthentication:
        # After a refresh nobody saw the end of, the refusal is most likely our own doing.
        return _refused(connection, "refresh_refused" if is_first else "refresh_interrupted")
    connection.seal(fresh)
    connection.refresh_started_at = None
    connection.save(update_fields=["credentials", "refresh_started_at", "updated_at"])
    ends_at = oauth.expires_at(fresh)
    payload = {
        **connection_names(connection),
        "expires_at": ends_at.isoformat() if ends_at else None,
    }
    record(connection.user_id, NewEvent("provider.token.refreshed", payload))
    return fresh


def _ask_for_tokens(connection: Connection, kept: Credentials) -> Credentials:
    source = provider(connection.provider_slug)
    with client_of(source, limits=TOKEN_LIMITS, in_transaction=True) as client:
        return oauth.refresh(oauth_of(source), client, app_of(source), kept)


def _refused(connection: Connection, reason: str) -> NeedsReauthentication:
    expire(connection, reason, NewEvent("provider.token.failed", _because(connection, reason)))
    return NeedsReauthentication(reason)


def expire(connection: Connection, reason: str, *also: NewEvent) -> None:
    """Say that only the person can repair it, inside the caller's transaction."""
    connection.become(ConnectionStatus.EXPIRED, reason)
    connection.refresh_started_at = None
    connection.next_sync_at = None
    connection.save()
    needed = NewEvent("provider.needs_reauthentication", _because(connection, reason))
    record(connection.user_id, *also, needed)


def disconnect(connection: Connection, *, keep_data: bool) -> None:
    """Destroy the credentials; the accounts stay as history (no longer active), or all rows go."""
    with atomic():
        locked = Connection.objects.select_for_update().get(pk=connection.pk)
        told = NewEvent("provider.disconnected", connection_names(locked))
        locked.accounts.update(is_active=False, updated_at=now())
        # What else the person has of its accounts leads from now on, also when these are deleted.
        hand_over(connection.user)
        if keep_data:
            _retire(locked)
        else:
            locked.delete()
        record(connection.user_id, told, *net_worth_events(connection.user))


def _replace(connection: Connection) -> None:
    # What it still could fetch is another's now, and would be counted twice.
    _retire(connection)
    record(connection.user_id, NewEvent("provider.disconnected", connection_names(connection)))


def _retire(connection: Connection) -> None:
    connection.become(ConnectionStatus.DISCONNECTED)
    connection.credentials = ""
    connection.provider_user_key = ""
    connection.credentials_expires_at = connection.refresh_started_at = None
    connection.next_sync_at = None
    connection.save()
    # A worker in the middle of one is fenced out at its next chunk.
    steps = SyncStep.objects.unfinished().filter(sync__in=connection.syncs.unfinished())
    steps.update(status=StepStatus.FAILED, error_code="connection_not_active", updated_at=now())
    connection.syncs.unfinished().update(
        status=SyncStatus.FAILED,
        error_code="connection_not_active",
        finished_at=now(),
        updated_at=now(),
    )


def _because(connection: Connection, reason: str) -> dict[str, str]:
    return {**connection_names(connection), "reason": reason}
