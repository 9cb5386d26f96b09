"""Two accounts of a person are one, or two again: their net worth follows, and is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.transaction import atomic

from accounts import twins
from connections.telling import net_worth_events
from dashtam.events import record

if TYPE_CHECKING:
    from uuid import UUID

    from accounts.models import Account
    from dashtam.models import User


def join_accounts(user: User, leading_id: UUID, other_id: UUID) -> Account:
    """Count and list two accounts as one; who leads. As `accounts.twins.join` in what it raises."""
    with atomic():
        leading = twins.join(user, leading_id, other_id)
        record(user.pk, *net_worth_events(user))
    return leading


def separate_account(user: User, account_id: UUID) -> Account:
    """Count and list a duplicate by itself again; Account.DoesNotExist when it is not theirs."""
    with atomic():
        account = twins.separate(user, account_id)
        record(user.pk, *net_worth_events(user))
    return account


def keep_accounts_apart(user: User, one_id: UUID, other_id: UUID) -> None:
    """Suggest these two no more; Account.DoesNotExist when one is not theirs."""
    with atomic():
        twins.keep_apart(user, one_id, other_id)
