"""Plain functions that make what tests need, with everything optional."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from accounts.models import Account
from accounts.types import AccountData, AccountType
from connections.models import Connection, Sync
from connections.services import start
from connections.types import ConnectionStatus, CredentialType, SyncTrigger
from dashtam.models import User
from transactions.types import (
    TransactionData,
    TransactionStatus,
    TransactionSubtype,
    TransactionType,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


def make_user(email: str = "", **fields: Any) -> User:
    """A person with PASSWORD who may sign in."""
    return User.objects.create_user(
        email or f"person{next(_numbers)}@example.com", PASSWORD, **fields
    )


def make_connection(user: User, **fields: Any) -> Connection:
    """An active connection for statement files."""
    return Connection.objects.create(
        **{
            "user": user,
            "provider_slug": "statement_file",
            "institution_name": "First Bank",
            "status": ConnectionStatus.ACTIVE,
            "credential_type": CredentialType.FILE_IMPORT,
            "provider_user_key": f"key{next(_numbers)}",
            **fields,
        }
    )


def make_account(user: User, connection: Connection | None = None, **fields: Any) -> Account:
    """A checking account in dollars."""
    return Account.objects.create(
        **{
            "user": user,
            "connection": connection or make_connection(user),
            "provider_account_id": f"account{next(_numbers)}",
            "account_number_masked": "••••1234",
            "institution_name": "First Bank",
            "account_type": AccountType.CHECKING,
            "currency": "USD",
            "balance": Decimal("100.00"),
            "balance_as_of": datetime(2024, 1, 31, 12, tzinfo=UTC),
            **fields,
        }
    )


def make_sync(connection: Connection, **fields: Any) -> Sync:
    """A sync that this process has claimed."""
    queued = Sync.objects.create(
        **{
            "user": connection.user,
            "connection": connection,
            "trigger": SyncTrigger.FILE_IMPORT,
            **fields,
        }
    )
    claimed = start(queued.pk)
    assert claimed is not None
    return claimed


def account_data(**fields: Any) -> AccountData:
    """What a source says of a checking account."""
    return AccountData(
        **{
            "provider_account_id": "a1",
            "name": "Checking",
            "account_type": AccountType.CHECKING,
            "currency": "USD",
            "balance": Decimal("100.00"),
            "balance_as_of": datetime(2024, 1, 31, 12, tzinfo=UTC),
            **fields,
        }
    )


def row(
    amount: str = "-4.50", day: str | date = "2024-01-05", name: str = "COFFEE", **fields: Any
) -> TransactionData:
    """What a source says of a settled purchase."""
    return TransactionData(
        **{
            "provider_transaction_id": "",
            "amount": Decimal(amount),
            "currency": "USD",
            "transaction_date": date.fromisoformat(day) if isinstance(day, str) else day,
            "transaction_type": TransactionType.OTHER,
            "subtype": TransactionSubtype.PURCHASE,
            "description": name,
            **fields,
        }
    )


def pending(amount: str = "-20.00", day: str = "2024-01-05", **fields: Any) -> TransactionData:
    """What a source says of a purchase that may still change."""
    return row(amount, day, status=TransactionStatus.PENDING, **fields)


def many(count: int, **fields: Any) -> Sequence[TransactionData]:
    """Rows with ids of their own."""
    return [row(f"-{n}.00", provider_transaction_id=f"t{n}", **fields) for n in range(1, count + 1)]
