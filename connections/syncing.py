"""One sync of a connection: read over the network, then saved in fenced chunks."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.transaction import atomic
from django.utils.timezone import now

from accounts.models import Account
from accounts.types import AccountData, Rejected
from connections.connecting import expire, open_provider
from connections.errors import Fenced, NeedsReauthentication, SyncError
from connections.models import Connection, SyncStep
from connections.saving import Fetched, Progress, finish, quarantine_without_account, save_all
from connections.scheduling import plan_after_failure, plan_after_success
from connections.services import fail, start
from connections.types import Capability, ConnectionStatus, StepKind, StepStatus, SyncStatus
from dashtam.vault import VaultError
from transactions.matching import from_provider

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from uuid import UUID

    from connections.models import Sync
    from connections.provider import Provider
    from holdings.types import HoldingData
    from transactions.types import TransactionData

logger = logging.getLogger(__name__)

# How far back a sync looks again: rows are written late, and pending ones settle.
LOOKS_BACK = timedelta(days=30)
OVERLAP = timedelta(days=14)


def run(sync_id: UUID | str) -> None:
    """Do a queued sync; whatever goes wrong ends it with a code that the page has words for."""
    sync = start(sync_id)
    if sync is None:
        return
    try:
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
    except Exception:
        # Whatever the defect, the person learns that the sync ended, and the next one may work.
        logger.exception("sync %s failed", sync.pk)
        _fail(sync, "internal_error", {})


def _sync(sync: Sync) -> None:
    if sync.resume_point:
        _start_over(sync)
    failures: dict[str, SyncError] = {}
    with open_provider(sync.connection) as source:
        told = list(source.accounts())
        accounts = [row for row in told if isinstance(row, AccountData)]
        fetched = [_fetch(sync, source, account, failures) for account in accounts]
    save_all(sync, fetched, Progress(lambda rows: []))
    unread = [row for row in told if isinstance(row, Rejected)]
    if unread:
        quarantine_without_account(sync, unread)
    _keep_failures(sync, failures)
    finish(
        sync,
        status=SyncStatus.PARTIAL if failures else SyncStatus.SUCCEEDED,
        also=lambda steps: [],
    )
    plan_after_success(sync.connection_id)


def _start_over(sync: Sync) -> None:
    """Forget how far a dead worker came: what is read anew need not stand in the same order.

    Only a file is the same on every reading; here a place in the list may be another row's by now.
    What was saved is found unchanged.
    """
    with atomic():
        sync.hold()
        sync.steps.all().delete()
        sync.resume_point = {}
        sync.save(update_fields=["resume_point"])


def _fetch(
    sync: Sync, source: Provider, account: AccountData, failures: dict[str, SyncError]
) -> Fetched:
    """Everything of one account; its balance alone when the rest cannot be read now."""
    _hold(sync)
    try:
        return _fetch_all(sync, source, account)
    except NeedsReauthentication:
        raise
    except SyncError as problem:
        failures[account.provider_account_id] = problem
        return Fetched(account=account)


def _hold(sync: Sync) -> None:
    """Keep the sync ours while the provider takes its time."""
    with atomic():
        sync.hold()


def _fetch_all(sync: Sync, source: Provider, account: AccountData) -> Fetched:
    rows: list[TransactionData | Rejected] = []
    held: list[HoldingData | Rejected] = []
    since = _first_day(sync, account)
    if Capability.TRANSACTIONS in source.capabilities:
        for page in source.transactions(account, since, now().date()):
            rows += page
            _hold(sync)
    if Capability.HOLDINGS in source.capabilities:
        held += source.holdings(account)
    transactions = [row for row in rows if not isinstance(row, Rejected)]
    return Fetched(
        account=account,
        transactions=from_provider(transactions),
        holdings=[row for row in held if not isinstance(row, Rejected)],
        has_all_pending=True,
        since=since,
        rejected=_rejected((*rows, *held)),
    )


def _rejected(rows: Iterable[object]) -> list[Rejected]:
    return [row for row in rows if isinstance(row, Rejected)]


def _first_day(sync: Sync, account: AccountData) -> date | None:
    """From where to read: None on the first sync, which takes all that the provider offers."""
    known = Account.objects.filter(
        connection=sync.connection, provider_account_id=account.provider_account_id
    ).first()
    if known is None or known.transactions_through is None:
        return None
    return min(now().date() - LOOKS_BACK, known.transactions_through - OVERLAP)


def _keep_failures(sync: Sync, failures: dict[str, SyncError]) -> None:
    if not failures:
        return
    accounts = Account.objects.filter(connection=sync.connection, provider_account_id__in=failures)
    with atomic():
        sync.hold()
        for account in accounts:
            SyncStep.objects.update_or_create(
                sync=sync,
                kind=StepKind.TRANSACTIONS,
                account=account,
                defaults={
                    "user_id": sync.user_id,
                    "status": StepStatus.FAILED,
                    "error_code": failures[account.provider_account_id].code,
                },
            )


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
            plan_after_failure(sync.connection_id, not_before=not_before)
    except Fenced:
        logger.warning("sync %s: another worker took over", sync.pk)
