"""Connections and the life of a sync: asked for, claimed, ended, and rescued when a worker died."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

from django.db import IntegrityError
from django.db.models import Count
from django.db.transaction import atomic, on_commit
from django.utils.timezone import now
from django_q.tasks import async_task

from accounts.models import Account
from connections.errors import SyncError, SyncInProgress
from connections.models import MAX_ATTEMPTS, Connection, ProviderSetting, Sync
from connections.provider import provider, providers
from connections.types import ConnectionStatus, CredentialType, StepKind, SyncStatus, SyncTrigger
from dashtam.events import NewEvent, record

if TYPE_CHECKING:
    from uuid import UUID

    from connections.provider import Provider
    from connections.types import FileLogin
    from dashtam.models import User

logger = logging.getLogger(__name__)


def is_enabled(slug: str) -> bool:
    """Whether the operator lets this provider be used."""
    return not ProviderSetting.objects.filter(slug=slug, enabled=False).exists()


def keep_provider_settings() -> None:
    """Give every registered provider its switch, leaving those there are alone."""
    known = [ProviderSetting(slug=one.slug) for one in providers()]
    ProviderSetting.objects.bulk_create(known, ignore_conflicts=True)


def file_connection(
    user: User, source: type[Provider], login: FileLogin, *, institution_name: str
) -> Connection:
    """The connection that files of this institution belong to, made when there is none."""
    connection = find_file_connection(user, source, login)
    if connection:
        return connection
    try:
        with atomic():
            return _connect(user, source, institution_name, login)
    except IntegrityError:
        # Two files of one institution confirmed at once: the other request made it.
        return Connection.objects.for_user(user).get(
            provider_slug=source.slug,
            provider_user_key=login.key,
            status=ConnectionStatus.ACTIVE,
        )


def find_file_connection(user: User, source: type[Provider], login: FileLogin) -> Connection | None:
    """The living connection that files of this institution belong to, if there is one.

    A file that does not say whose it is belongs to the connection that has its account, and the
    other way round: an account must not be counted twice because one file said less.
    """
    living = (
        Connection.objects.for_user(user)
        .filter(credential_type=CredentialType.FILE_IMPORT)
        .exclude(status=ConnectionStatus.DISCONNECTED)
    )
    known = living.filter(provider_slug=source.slug, provider_user_key=login.key).first()
    if known:
        return known
    holders = living.filter(accounts__provider_account_id__in=login.account_keys)
    if login.is_marked:
        holders = holders.filter(provider_user_key__in=login.unmarked_keys)
    return holders.annotate(held=Count("accounts")).order_by("-held", "created_at").first()


def _connect(
    user: User, source: type[Provider], institution_name: str, login: FileLogin
) -> Connection:
    connection = Connection(
        user=user,
        provider_slug=source.slug,
        institution_name=institution_name,
        credential_type=source.auth.credential_type,
        provider_user_key=login.key,
        connected_at=now(),
    )
    connection.become(ConnectionStatus.ACTIVE)
    connection.save()
    _adopt(connection, login)
    names = {"connection_id": str(connection.pk), "provider_slug": source.slug}
    record(user.pk, NewEvent("provider.connected", names))
    return connection


def _adopt(connection: Connection, login: FileLogin) -> None:
    """Take over what was kept of a disconnected one, so that its history goes on in one account."""
    kept = Account.objects.filter(
        user_id=connection.user_id,
        connection__status=ConnectionStatus.DISCONNECTED,
        connection__credential_type=CredentialType.FILE_IMPORT,
        provider_account_id__in=login.account_keys,
    )
    newest = {account.provider_account_id: account.pk for account in kept.order_by("created_at")}
    Account.objects.filter(pk__in=newest.values()).update(
        connection=connection, is_active=True, updated_at=now()
    )


def request_sync(connection: Connection, *, trigger: SyncTrigger) -> Sync:
    """Queue a sync inside the caller's transaction; SyncInProgress when one is unfinished."""
    source = provider(connection.provider_slug)
    if connection.status != ConnectionStatus.ACTIVE:
        raise SyncError("connection_not_active")
    if not is_enabled(source.slug):
        raise SyncError("provider_disabled", provider=source.name)
    try:
        with atomic():
            sync = Sync.objects.create(
                user_id=connection.user_id, connection=connection, trigger=trigger
            )
    except IntegrityError:
        raise SyncInProgress from None
    enqueue(sync)
    return sync


def sync_now(connection: Connection, trigger: SyncTrigger = SyncTrigger.MANUAL) -> Sync:
    """Queue a sync, or return the unfinished one that will do as well."""
    connection.refresh_from_db(fields=["status"])
    try:
        with atomic():
            return request_sync(connection, trigger=trigger)
    except SyncInProgress:
        return connection.syncs.unfinished().latest("requested_at")


def enqueue(sync: Sync) -> None:
    """Hand a sync to the queue when the caller's transaction commits."""
    task = provider(sync.connection.provider_slug).auth.task
    sync_id = str(sync.pk)
    on_commit(lambda: async_task(task, sync_id))


def start(sync_id: UUID | str) -> Sync | None:
    """Claim a sync for this worker and say so; None when it is done or another worker has it."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    with atomic():
        sync = Sync.objects.claim(sync_id, owner)
        if sync is None:
            return None
        if sync.attempt > MAX_ATTEMPTS:
            _end_in_failure(sync, "gave_up", {})
            return None
        if sync.attempt == 1:
            names = {"connection_id": str(sync.connection_id), "sync_id": str(sync.pk)}
            record(sync.user_id, NewEvent("sync.accounts.started", names))
    return sync


def fail(sync: Sync, code: str, params: dict[str, str], *also: NewEvent) -> None:
    """End a sync that could not do its work, in one transaction with what is told of it."""
    with atomic():
        sync.hold()
        _end_in_failure(sync, code, params, *also)


def _end_in_failure(sync: Sync, code: str, params: dict[str, str], *also: NewEvent) -> None:
    sync.status = SyncStatus.FAILED
    sync.error_code = code
    sync.error_params = params
    sync.finished_at = now()
    sync.save(update_fields=["status", "error_code", "error_params", "finished_at", "updated_at"])
    payload = {
        "connection_id": str(sync.connection_id),
        "sync_id": str(sync.pk),
        "error_code": code,
    }
    failed = NewEvent(f"sync.{StepKind.ACCOUNTS}.failed", payload)
    record(sync.user_id, *also, failed)


def rescue_stalled() -> int:
    """Queue again what a dead worker left; how many. A claim decides whether it is really free."""
    stalled = list(Sync.objects.stalled().select_related("connection")[:500])
    for sync in stalled:
        logger.warning("sync %s stalled in attempt %s: queued again", sync.pk, sync.attempt)
        Sync.objects.filter(pk=sync.pk).update(updated_at=now())
        enqueue(sync)
    return len(stalled)
