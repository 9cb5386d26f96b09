"""The three commands and all of them together: asked for here, done on the queue.

Each is scoped to the person: what belongs to somebody else does not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.models import Account
from connections.errors import SyncError
from connections.models import Connection
from connections.services import ask
from connections.types import Scope, StepKind, SyncTrigger

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from connections.models import Sync
    from dashtam.models import User


def sync_connection(user: User, connection_id: UUID, *, force: bool = False) -> Sync:
    """Read everything of a connection: its accounts, their transactions and holdings.

    Returns the sync that does it, an unfinished one if that covers it. Errors of every command:
    SyncError("connection_not_found"), what `ask` raises, RecentlySynced unless forced.
    """
    return ask(_connection(user, connection_id), force=force)


def sync_accounts(user: User, connection_id: UUID, *, force: bool = False) -> Sync:
    """Read a connection's accounts and balances alone."""
    scope = Scope(kinds=frozenset({StepKind.ACCOUNTS}))
    return ask(_connection(user, connection_id), scope=scope, force=force)


def sync_transactions(
    user: User,
    connection_id: UUID,
    *,
    start_date: date | None = None,
    end_date: date | None = None,
    account_id: UUID | None = None,
    force: bool = False,
) -> Sync:
    """Read the transactions of all accounts or of one, of these days or since the last time.

    SyncError("account_not_found"), ("account_not_owned_by_connection"), ("no_accounts") when the
    connection has none yet, and ("bad_dates") when they end before they start.
    """
    connection = _connection(user, connection_id)
    if start_date and end_date and end_date < start_date:
        raise SyncError("bad_dates")
    if account_id:
        account = _account(user, account_id)
        if account.connection_id != connection.pk:
            raise SyncError("account_not_owned_by_connection")
    elif not connection.accounts.filter(is_active=True).exists():
        raise SyncError("no_accounts")
    scope = Scope(
        kinds=frozenset({StepKind.TRANSACTIONS}),
        account_id=account_id,
        start_date=start_date,
        end_date=end_date,
    )
    return ask(connection, scope=scope, force=force)


def sync_holdings(user: User, account_id: UUID, *, force: bool = False) -> Sync:
    """Read the holdings of one account. SyncError("account_not_found")."""
    account = _account(user, account_id)
    scope = Scope(kinds=frozenset({StepKind.HOLDINGS}), account_id=account.pk)
    return ask(account.connection, scope=scope, force=force)


def run_again(sync: Sync) -> Sync:
    """Ask once more for what a sync was asked for, however recently that was."""
    return ask(sync.connection, scope=sync.asked, trigger=SyncTrigger.MANUAL, force=True)


def _connection(user: User, connection_id: UUID) -> Connection:
    found = Connection.objects.for_user(user).filter(pk=connection_id).first()
    if found is None:
        raise SyncError("connection_not_found")
    return found


def _account(user: User, account_id: UUID) -> Account:
    found = (
        Account.objects.for_user(user).select_related("connection").filter(pk=account_id).first()
    )
    if found is None:
        raise SyncError("account_not_found")
    return found
