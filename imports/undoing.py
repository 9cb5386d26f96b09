"""Taking an imported statement back: what would happen, told before, and then all of it at once.

What remains is what importing the other statements, in their order, would have made.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError
from django.db.models import Q
from django.db.transaction import atomic
from django.utils.timezone import now

from accounts.coverage import forget_periods
from accounts.models import Account
from accounts.rewriting import restate, rewrite_history
from accounts.twins import hand_over
from accounts.types import BalanceChange
from connections.errors import Fenced, SyncError, SyncInProgress
from connections.models import Connection, Sync
from connections.services import fail, request_undo
from connections.telling import balance_event, holdings_event, net_worth_events
from connections.undo import (
    end_undo,
    forget_unreadable,
    keep_counts,
    remove_if_empty,
    reopen_outdated,
)
from dashtam.events import NewEvent, record
from holdings import services as holding_services
from imports.differences import change_of
from imports.formats.types import StatementRefused
from imports.models import StatementFile, Telling
from imports.types import StatementStatus
from transactions import rewriting
from transactions.models import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from django.db.models import QuerySet

    from accounts.models import AccountQuerySet
    from dashtam.models import User
    from imports.differences import AccountChange
    from imports.models import StatementFileQuerySet

logger = logging.getLogger(__name__)

# The lease is lengthened this often while everything is told again in memory.
BEAT_SECONDS = 20.0
# A page lists this many of the transactions that go although the person wrote on them.
SHOWN_CONFLICTS = 50
# So often it is worked out anew because something else changed an account meanwhile.
TRIES = 3
UNDOABLE = (StatementStatus.IMPORTED, StatementStatus.FAILED)

Stamp = list[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """What taking a statement back does: to each account, and of which syncs.

    `stamp` is what the accounts looked like when it was worked out.
    """

    sync_ids: list[UUID]
    changes: list[AccountChange]
    stamp: Stamp

    @property
    def counts(self) -> dict[str, int]:
        """How many transactions and accounts go, stay, change and return."""
        return {
            "removed": sum(len(one.removed) for one in self.changes),
            "kept": sum(one.staying for one in self.changes),
            "changed": sum(len(one.rows_changed) for one in self.changes),
            "restored": sum(len(one.added) for one in self.changes),
            "conflicts": sum(len(one.conflicts) for one in self.changes),
            "accounts_removed": sum(one.is_leaving for one in self.changes),
        }

    @property
    def conflicts(self) -> QuerySet[Transaction]:
        """The transactions that go although the person wrote on them, or they are marked."""
        pks = [pk for one in self.changes for pk in one.conflicts]
        rows = Transaction.objects.filter(pk__in=pks[:SHOWN_CONFLICTS])
        return rows.newest_first().select_related("account", "edit")

    @property
    def is_known(self) -> bool:
        """Whether all that the statements said is known."""
        return all(one.is_known for one in self.changes)


def request(statement: StatementFile, by: User) -> Sync | None:
    """Queue the undo of an import; asked for twice it answers the same sync.

    None when nothing is left of what it brought: then it is undone at once. StatementRefused when
    it was undone before or never imported, SyncInProgress while its institution is being imported.
    """
    with atomic():
        # The row's lock makes two clicks one.
        locked = StatementFile.objects.light().select_for_update(of=("self",)).get(pk=statement.pk)
        _refuse_unless_undoable(locked)
        if locked.is_undoing:
            return locked.undo_sync
        locked.undone_by = by
        sync = _queue(locked)
        locked.undo_sync = sync
        locked.save(update_fields=["undo_sync", "undone_by", "updated_at"])
        if sync is None:
            _close([locked])
            record(locked.user_id, NewEvent("import.undone", {**_names(locked), "counts": {}}))
    return sync


def run(sync: Sync) -> None:
    """Do a claimed undo; whatever goes wrong, nothing is changed and the person learns of it."""
    statement = StatementFile.objects.filter(undo_sync=sync).light().first()
    if statement is None:
        _fail(sync, "not_imported", {})
        return
    try:
        _undo(sync, statement)
    except Fenced:
        logger.warning("undo %s: another worker took over", statement.pk)
    except SyncError as problem:
        _fail(sync, problem.code, problem.params)
    except (OperationalError, InterfaceError):
        # Nothing can be said there now: whoever finds it when the lease has run out begins anew.
        logger.exception("undo %s: the database does not answer", statement.pk)
        raise
    except Exception:
        logger.exception("undo %s failed", statement.pk)
        _fail(sync, "internal_error", {})


def can_undo(statement: StatementFile) -> bool:
    """Whether there is something of it that could be taken back."""
    if statement.is_undoing:
        return False
    if statement.status == StatementStatus.FAILED:
        return Telling.objects.filter(sync=statement.sync_id).exists()
    return statement.status == StatementStatus.IMPORTED


def plan_of(statement: StatementFile, beat: Callable[[], None] = lambda: None) -> UndoPlan:
    """Work out what taking this statement back does; nothing is changed."""
    sync_ids = [one.sync_id for one in _with_failures(statement) if one.sync_id]
    accounts = list(_accounts_of(sync_ids))
    stamp = _stamp_of(accounts)
    return UndoPlan(sync_ids, [change_of(one, sync_ids, beat) for one in accounts], stamp)


def _refuse_unless_undoable(statement: StatementFile) -> None:
    if statement.status == StatementStatus.UNDONE:
        raise StatementRefused("undone_before")
    if statement.status not in UNDOABLE:
        raise StatementRefused("not_imported")


def _queue(statement: StatementFile) -> Sync | None:
    connection = Connection.objects.filter(syncs__statements=statement).first()
    return request_undo(connection) if connection else None


def _with_failures(statement: StatementFile) -> StatementFileQuerySet:
    """It, and the earlier attempts at the same file that failed in the middle."""
    same = Q(pk=statement.pk) | Q(sha256=statement.sha256, status=StatementStatus.FAILED)
    return StatementFile.objects.filter(same, user_id=statement.user_id).light()


def _accounts_of(sync_ids: Sequence[UUID]) -> AccountQuerySet:
    told = Q(tellings__sync__in=sync_ids) | Q(steps__sync__in=sync_ids)
    return Account.objects.filter(told).distinct().order_by("pk")


def _stamp_of(accounts: Sequence[Account]) -> Stamp:
    told = Telling.objects.filter(account__in=accounts).order_by("pk").values_list("pk")
    return [*((one.pk, one.updated_at) for one in accounts), *told]


def _undo(sync: Sync, statement: StatementFile) -> None:
    beat = _Beat(sync)
    for _try in range(TRIES):
        plan = plan_of(statement, beat)
        with atomic():
            sync.hold()
            if _is_up_to_date(sync, plan):
                _apply(sync, statement, plan)
                return
    raise SyncInProgress


class _Beat:
    """Lengthens the lease now and then."""

    def __init__(self, sync: Sync) -> None:
        self.sync = sync
        self.last = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self.last > BEAT_SECONDS:
            self.last = time.monotonic()
            with atomic():
                self.sync.hold()


def _is_up_to_date(sync: Sync, plan: UndoPlan) -> bool:
    """Whether nothing has changed since the plan; SyncInProgress when something is about to.

    An account may have come to another connection: it is locked, so that nothing begins there.
    """
    pks = [one.account.pk for one in plan.changes]
    connections = Connection.objects.filter(accounts__in=pks).values_list("pk", flat=True)
    list(Connection.objects.select_for_update().filter(pk__in=set(connections)).order_by("pk"))
    others = Sync.objects.unfinished().filter(connection__in=set(connections)).exclude(pk=sync.pk)
    if others.exists():
        raise SyncInProgress
    return _stamp_of(list(Account.objects.filter(pk__in=pks).order_by("pk"))) == plan.stamp


def _apply(sync: Sync, statement: StatementFile, plan: UndoPlan) -> None:
    """Do it, and say so, in the caller's transaction."""
    rewriting.forget_sightings(plan.sync_ids)
    events = [event for change in plan.changes for event in _change(change)]
    Telling.objects.filter(sync__in=plan.sync_ids).delete()
    for sync_id in plan.sync_ids:
        forget_periods(sync_id)
    forget_unreadable(plan.sync_ids)
    reopen_outdated([one.account.pk for one in plan.changes])
    closed = [one for one in _with_failures(statement) if one.status in UNDOABLE]
    connection, user = sync.connection, sync.user
    changed = sum(bool(one.fields or one.is_leaving) for one in plan.changes)
    events += end_undo(sync, accounts=len(plan.changes), changed=changed)
    _close(closed)
    events += remove_if_empty(connection, but=sync)
    undone = {**_names(statement), "counts": plan.counts}
    events.insert(0, NewEvent("import.undone", undone))
    record(user.pk, *events, *net_worth_events(user))


def _change(change: AccountChange) -> list[NewEvent]:
    account = change.account
    rewriting.remove(list(change.removed))
    if change.is_leaving:
        return _remove(account)
    sources = change.sources
    rewriting.rewrite(account, change.changed, sources)
    rewriting.add(account, change.added, sources)
    rewriting.see_otherwise(account, change.seen_otherwise, sources)
    previous = account.balance
    restate(account, {**change.fields, **change.moments})
    rewrite_history(
        account,
        removed=change.snapshots_removed,
        added={key: change.replay.after.snapshots[key] for key in change.snapshots_added},
        moments=sources.moments,
    )
    return [*_balance_events(account, previous), *_holdings_events(change)]


def _remove(account: Account) -> list[NewEvent]:
    keep_counts(account)
    previous, gone = (
        account.balance,
        BalanceChange(
            account_id=account.pk,
            previous=account.balance,
            new=Decimal(0),
            currency=account.currency,
        ),
    )
    # Where it leads others of the same money, one of them leads from now on.
    account.is_active = False
    account.save(update_fields=["is_active", "updated_at"])
    hand_over(account.user)
    account.delete()
    return [balance_event(gone)] if previous else []


def _balance_events(account: Account, previous: Decimal | None) -> list[NewEvent]:
    if previous == account.balance:
        return []
    change = BalanceChange(
        account_id=account.pk,
        previous=previous,
        new=account.balance or Decimal(0),
        currency=account.currency,
    )
    return [balance_event(change)]


def _holdings_events(change: AccountChange) -> list[NewEvent]:
    if not change.has_holdings_changes:
        return []
    counts = holding_services.rewrite(
        change.account,
        removed=change.holdings_removed,
        changed=change.holdings_changed,
        added=change.holdings_added,
    )
    return [holdings_event(change.account, counts)]


def _close(statements: Sequence[StatementFile]) -> None:
    StatementFile.objects.filter(pk__in=[one.pk for one in statements]).update(
        status=StatementStatus.UNDONE, undone_at=now(), content=None, updated_at=now()
    )


def _fail(sync: Sync, code: str, params: dict[str, str]) -> None:
    try:
        fail(sync, code, params)
    except Fenced:
        logger.warning("sync %s: another worker took over its undo", sync.pk)


def _names(statement: StatementFile) -> dict[str, str]:
    return {"statement_id": str(statement.pk), "file_name": statement.file_name}
