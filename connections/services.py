"""Connections and the life of a sync: asked for, claimed, ended, and rescued when a worker died."""

from __future__ import annotations

import logging
import os
import socket
from math import ceil
from typing import TYPE_CHECKING

from django.db import IntegrityError
from django.db.models import Count
from django.db.transaction import atomic, on_commit
from django.utils.timezone import now
from django_q.tasks import async_task

from accounts.models import Account
from connections.errors import RecentlySynced, SyncError, SyncInProgress
from connections.models import (
    MAX_ATTEMPTS,
    Connection,
    ProviderSetting,
    Sync,
)
from connections.provider import provider, providers
from connections.telling import connection_names, sync_names
from connections.types import (
    ConnectionStatus,
    CredentialType,
    Scope,
    StepKind,
    StepStatus,
    SyncStatus,
    SyncTrigger,
    SyncWork,
)
from dashtam.events import NewEvent, record
from dashtam.queueing import put_all, waiting_since

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from connections.provider import Provider
    from connections.types import FileLogin
    from dashtam.models import User

logger = logging.getLogger(__name__)

EVERYTHING = Scope()


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
    record(user.pk, NewEvent("provider.connected", connection_names(connection)))
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


def request_sync(
    connection: Connection,
    *,
    trigger: SyncTrigger,
    scope: Scope = EVERYTHING,
    force: bool = False,
) -> Sync:
    """Queue a sync inside the caller's transaction; SyncInProgress when one is unfinished."""
    _refuse_if_unusable(connection)
    return _queue(connection, trigger=trigger, scope=scope.as_json(), force=force)


def request_undo(connection: Connection) -> Sync:
    """Queue a sync that takes back what a file brought, however the connection is by now.

    Inside the caller's transaction; SyncInProgress when another sync of it is unfinished.
    """
    return _queue(connection, trigger=SyncTrigger.MANUAL, work=SyncWork.UNDO)


def request_retry(connection: Connection, kinds: Collection[StepKind]) -> Sync:
    """Queue a sync that reads unreadable rows of these kinds again, from what was kept of them.

    Like `request_undo`: the provider is not asked.
    """
    scope = Scope(kinds=frozenset(kinds)).as_json()
    return _queue(connection, trigger=SyncTrigger.MANUAL, work=SyncWork.RETRY, scope=scope)


def _queue(connection: Connection, **fields: object) -> Sync:
    try:
        with atomic():
            sync = Sync.objects.create(user_id=connection.user_id, connection=connection, **fields)
    except IntegrityError:
        raise SyncInProgress from None
    enqueue(sync)
    return sync


def ask(
    connection: Connection,
    *,
    scope: Scope = EVERYTHING,
    trigger: SyncTrigger = SyncTrigger.MANUAL,
    force: bool = False,
) -> Sync:
    """Queue a sync of this scope, or return the unfinished one that covers it.

    SyncInProgress when the unfinished one does not, RecentlySynced when the same was read minutes
    ago and `force` is not set (no row is made), SyncError("connection_not_active") or
    ("provider_disabled"). A refusal is on record.
    """
    connection.refresh_from_db(fields=["status", "last_sync_at"])
    try:
        with atomic():
            _refuse_if_unusable(connection)
            busy = connection.syncs.unfinished().first()
            if busy is None:
                if not force:
                    _refuse_if_recent(connection, scope)
                return request_sync(connection, trigger=trigger, scope=scope, force=force)
    except SyncInProgress:
        # Another request was quicker between our look and our insert.
        busy = connection.syncs.unfinished().first()
    except SyncError as problem:
        _record_refusal(connection, scope, problem)
        raise
    if busy and busy.work == SyncWork.READ and busy.asked.covers(scope):
        return busy
    in_progress = SyncInProgress(busy.pk if busy else None)
    _record_refusal(connection, scope, in_progress)
    raise in_progress


def sync_now(connection: Connection, trigger: SyncTrigger = SyncTrigger.MANUAL) -> Sync:
    """Queue a sync of everything however recent the last, or return the unfinished one."""
    try:
        return ask(connection, trigger=trigger, force=True)
    except SyncInProgress:
        return connection.syncs.latest("requested_at")


def _refuse_if_unusable(connection: Connection) -> None:
    source = provider(connection.provider_slug)
    if connection.status != ConnectionStatus.ACTIVE:
        raise SyncError("connection_not_active")
    if not is_enabled(source.slug):
        raise SyncError("provider_disabled", provider=source.name)


def _refuse_if_recent(connection: Connection, scope: Scope) -> None:
    """RecentlySynced when what is asked for was read so recently that it can hardly be new."""
    if scope.start_date or scope.end_date:
        return
    last = _last_read(connection, scope)
    wait = provider(connection.provider_slug).minimum_interval
    if last and now() < last + wait:
        raise RecentlySynced(seconds=ceil((last + wait - now()).total_seconds()))


_MOMENTS = {
    StepKind.ACCOUNTS: "last_synced_at",
    StepKind.TRANSACTIONS: "transactions_synced_at",
    StepKind.HOLDINGS: "holdings_synced_at",
}


def _last_read(connection: Connection, scope: Scope) -> datetime | None:
    if scope.is_everything:
        return connection.last_sync_at
    accounts = connection.accounts.filter(is_active=True)
    if scope.account_id:
        accounts = accounts.filter(pk=scope.account_id)
    moments = list(accounts.values_list(_MOMENTS[_first_kind(scope)], flat=True))
    # One that was never read makes the whole of them due.
    return None if None in moments else min(moments, default=None)


def _record_refusal(connection: Connection, scope: Scope, problem: SyncError) -> None:
    names = {"connection_id": str(connection.pk)}
    if scope.account_id:
        names["account_id"] = str(scope.account_id)
    kind = _first_kind(scope)
    told: list[NewEvent]
    if isinstance(problem, RecentlySynced):
        told = [NewEvent("sync.accounts.skipped", {**names, "seconds": problem.seconds})]
    else:
        failed = {**names, "error_code": problem.code}
        told = [
            NewEvent(f"sync.{kind}.started", names),
            NewEvent(f"sync.{kind}.failed", failed),
        ]
    with atomic():
        record(connection.user_id, *told)


def enqueue(sync: Sync) -> None:
    """Hand a sync to the queue when the caller's transaction commits."""
    task = task_of(sync)
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
        # The first claim of all: not after a crash, nor when it goes on from where it stopped.
        if sync.fence == 1:
            record(
                sync.user_id, NewEvent(f"sync.{_first_kind(sync.asked)}.started", sync_names(sync))
            )
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
    sync.steps.unfinished().update(status=StepStatus.FAILED, error_code=code, updated_at=now())
    payload = {**sync_names(sync), "error_code": code}
    failed = NewEvent(f"sync.{_first_kind(sync.asked)}.failed", payload)
    record(sync.user_id, *also, failed)


def _first_kind(scope: Scope) -> StepKind:
    """What a sync begins with: it is named after that until it says more."""
    return next(kind for kind in StepKind if kind in scope.kinds)


def rescue_stalled() -> int:
    """Queue again what a dead worker left; how many. A claim decides whether it is really free.

    What still waits behind others on a long queue is not stalled.
    """
    stalled = Sync.objects.stalled().select_related("connection")
    waiting_from = waiting_since()
    if waiting_from:
        stalled = stalled.exclude(status=SyncStatus.QUEUED, updated_at__gte=waiting_from)
    found = list(stalled[:500])
    for sync in found:
        logger.warning("sync %s stalled in attempt %s: queued again", sync.pk, sync.attempt)
    with atomic():
        Sync.objects.filter(pk__in=[sync.pk for sync in found]).update(updated_at=now())
        put_all((task_of(sync), str(sync.pk)) for sync in found)
    return len(found)


def task_of(sync: Sync) -> str:
    """The task that does a sync."""
    return provider(sync.connection.provider_slug).auth.task
