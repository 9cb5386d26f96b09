"""One sync of a connection: read over the network, several accounts at a time, and saved."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError
from django.db.transaction import atomic

from accounts.types import AccountData, Rejected
from connections import retrying
from connections.arriving import Arrivals, kinds_asked
from connections.connecting import expire, open_provider
from connections.errors import Fenced, NeedsReauthentication, SyncError
from connections.models import Connection
from connections.quarantine import quarantine_without_account
from connections.reading import Desk, Tick
from connections.saving import (
    finish,
    known_accounts,
    save_told_accounts,
)
from connections.scheduling import plan_after_failure, plan_after_success
from connections.services import enqueue, fail, start
from connections.steps import Steps
from connections.types import ConnectionStatus, StepKind, StepStatus, SyncStatus, SyncWork
from dashtam.logs import about
from dashtam.vault import VaultError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from accounts.models import Account
    from connections.models import Sync
    from connections.provider import Provider

logger = logging.getLogger(__name__)

# After this long no other account or part of a history is begun: the queue has other work too.
STOPS_AFTER_SECONDS = 90.0


def run(sync_id: UUID | str) -> None:
    """Do a queued sync; whatever goes wrong ends it with a code that the page has words for."""
    sync = start(sync_id)
    if sync is None:
        return
    with about(sync_id=sync.pk, user_id=sync.user_id):
        _run(sync)


def _run(sync: Sync) -> None:
    try:
        if sync.work == SyncWork.RETRY:
            retrying.run(sync)
        else:
            _sync(sync)
    except Fenced:
        logger.warning("sync %s: another worker took over", sync.pk)
    except NeedsReauthentication as refusal:
        _give_up_until_signed_in(sync, refusal)
    except SyncError as problem:
        _fail(sync, problem.code, problem.params, getattr(problem, "retry_at", None))
    except VaultError:
        logger.exception("sync %s: the credentials cannot be opened", sync.pk)
        _fail(sync, "credentials_decryption_failed", {})
    except (OperationalError, InterfaceError):
        # The database went away: nothing can be said there now. The lease runs out, and whoever
        # finds it then begins where the last chunk was saved.
        logger.exception("sync %s: the database does not answer", sync.pk)
        raise
    except Exception:
        # Whatever the defect, the person learns that the sync ended, and the next one may work.
        logger.exception("sync %s failed", sync.pk)
        _fail(sync, "internal_error", {})


def _sync(sync: Sync) -> None:
    desk, steps = Desk(), Steps(sync)
    with open_provider(sync.connection, through=desk.do) as source, desk:
        told = list(source.accounts())
        arrivals = Arrivals(sync, source, _accounts(sync, source, steps, told), steps)
        desk.read(source, arrivals.tasks(_each_once(told)))
        _take_all(sync, desk, arrivals)
    if arrivals.is_stopped:
        _put_back(sync)
        return
    _end(sync, steps, arrivals)


def _accounts(
    sync: Sync, source: Provider, steps: Steps, told: Sequence[AccountData | Rejected]
) -> dict[str, Account]:
    """The stored accounts that this sync is about, by the provider's id."""
    rows = [row for row in told if isinstance(row, AccountData)]
    unread = [row for row in told if isinstance(row, Rejected)]
    if not told:
        raise SyncError("no_accounts")
    if StepKind.ACCOUNTS not in sync.asked.kinds:
        return _asked_for(sync, [row.provider_account_id for row in rows])
    is_whole_list = sync.asked.is_everything and not unread
    brings = kinds_asked(sync, source)
    accounts = save_told_accounts(sync, steps, rows, brings=brings, is_whole_list=is_whole_list)
    if unread:
        quarantine_without_account(sync, unread)
    return accounts


def _asked_for(sync: Sync, ids: Sequence[str]) -> dict[str, Account]:
    """Those that a command for a part of the connection means."""
    known = known_accounts(sync, ids)
    wanted = sync.asked.account_id
    found = {key: account for key, account in known.items() if wanted in (None, account.pk)}
    if not found:
        raise SyncError("account_not_found" if wanted else "no_accounts")
    return found


def _each_once(told: Sequence[AccountData | Rejected]) -> list[AccountData]:
    """Every account once, however often the provider tells it."""
    rows = {row.provider_account_id: row for row in told if isinstance(row, AccountData)}
    return list(rows.values())


def _take_all(sync: Sync, desk: Desk, arrivals: Arrivals) -> None:
    stops_at = time.monotonic() + STOPS_AFTER_SECONDS
    for brought in desk:
        if isinstance(brought, Tick):
            # The provider takes its time; the sync stays ours.
            with atomic():
                sync.hold()
        else:
            arrivals.take(brought)
        if time.monotonic() > stops_at:
            desk.stop()


def _put_back(sync: Sync) -> None:
    """Go on later, from where it stands; others on the queue come first."""
    with atomic():
        sync.put_back()
        enqueue(sync)


def _end(sync: Sync, steps: Steps, arrivals: Arrivals) -> None:
    failed = [step for step in steps.all() if step.status == StepStatus.FAILED]
    finish(sync, status=SyncStatus.PARTIAL if failed else SyncStatus.SUCCEEDED)
    waits = [getattr(problem, "retry_at", None) for problem in arrivals.failures]
    if failed:
        _plan_another_try(sync, max(filter(None, waits), default=None))
    elif sync.asked.is_everything:
        plan_after_success(sync.connection_id)


def _plan_another_try(sync: Sync, not_before: datetime | None) -> None:
    # What was asked for beside the schedule leaves it alone, unless the provider asks for peace.
    if sync.asked.is_everything or not_before:
        plan_after_failure(sync.connection_id, not_before=not_before)


def _give_up_until_signed_in(sync: Sync, refusal: NeedsReauthentication) -> None:
    with atomic():
        locked = Connection.objects.select_for_update().filter(pk=sync.connection_id).first()
        # A refused refresh has said so already; and who signed in meanwhile was not refused.
        if locked and locked.status == ConnectionStatus.ACTIVE and _is_as_used(locked, sync):
            expire(locked, refusal.reason)
        _fail(sync, refusal.code, refusal.params)


def _is_as_used(locked: Connection, sync: Sync) -> bool:
    """Whether the credentials are still those of the sync, however they are sealed by now."""
    return locked.open() == sync.connection.open()


def _fail(
    sync: Sync, code: str, params: dict[str, str], not_before: datetime | None = None
) -> None:
    try:
        with atomic():
            fail(sync, code, params)
            if sync.work == SyncWork.READ:
                _plan_another_try(sync, not_before)
    except Fenced:
        logger.warning("sync %s: another worker took over", sync.pk)
