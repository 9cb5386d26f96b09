"""One login, one connection: what lies under another one of the same login comes home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.models import Account
from connections.models import Connection
from connections.types import ConnectionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from connections.models import ConnectionQuerySet


def lock(found: ConnectionQuerySet) -> list[Connection]:
    """Lock the living ones inside the caller's transaction, oldest first."""
    # By key: PostgreSQL locks no rows that are told DISTINCT from each other.
    keys = list(found.values_list("pk", flat=True))
    living = Connection.objects.living().filter(pk__in=keys).order_by("created_at")
    return list(living.select_for_update())


def home_of(
    arrived: Connection, same: Sequence[Connection], repaired: Connection | None
) -> Connection:
    """The one to repair when it is of this login, else the oldest of it, else the arrived one.

    When nothing tells whose login the one to repair was, it is taken for this one's, if both are of
    one world.
    """
    if repaired and any(one.pk == repaired.pk for one in same):
        return repaired
    if same:
        return same[0]
    if repaired and not repaired.provider_user_key and _world(repaired) == _world(arrived):
        return repaired
    return arrived


def _world(connection: Connection) -> tuple[object, ...]:
    return (
        connection.user_id,
        connection.provider_slug,
        connection.environment,
        connection.is_sandbox,
    )


def gather(home: Connection, others: Sequence[Connection], account_ids: Sequence[str]) -> bool:
    """Move accounts to `home` inside the caller's transaction; whether anything changed.

    All of the living `others` come as they are. Those kept of a disconnected connection come when
    the login shows them again, and are active again. What `home` has already stays behind,
    inactive: no account is counted twice.
    """
    at_others = Account.objects.filter(connection__in=others).order_by("created_at")
    came = _move(home, at_others)
    return _move(home, _kept(home, account_ids), is_active=True) or came


def _kept(home: Connection, account_ids: Sequence[str]) -> Iterable[Account]:
    """What disconnected connections of the same world left of these, newest history first."""
    return Account.objects.filter(
        provider_account_id__in=account_ids,
        user_id=home.user_id,
        connection__provider_slug=home.provider_slug,
        connection__environment=home.environment,
        connection__is_sandbox=home.is_sandbox,
        connection__status=ConnectionStatus.DISCONNECTED,
    ).order_by("-connection__updated_at")


def _move(home: Connection, accounts: Iterable[Account], *, is_active: bool | None = None) -> bool:
    present = set(home.accounts.values_list("provider_account_id", flat=True))
    is_changed = False
    for account in accounts:
        if account.provider_account_id in present:
            is_changed |= account.is_active
            account.is_active = False
        else:
            present.add(account.provider_account_id)
            account.connection = home
            account.is_active = account.is_active if is_active is None else is_active
            is_changed = True
        account.save(update_fields=["connection", "is_active", "updated_at"])
    return is_changed
