"""What importing a statement would do, told before anything is saved."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from accounts.models import Account
from accounts.services import is_older
from accounts.types import INVESTMENT_TYPES
from connections.saving import redact
from connections.services import find_file_connection
from dashtam.money import canonical
from transactions.services import foresee
from transactions.types import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from accounts.types import Rejected
    from connections.saving import Fetched
    from dashtam.models import User
    from imports.mapping import MappedFile
    from transactions.models import Transaction

# A page shows this many unreadable rows; the import keeps them all.
SHOWN_UNREADABLE = 50


def summarise(user: User, mapped: MappedFile, notices: Sequence[str]) -> dict[str, Any]:
    """The preview of one file as JSON: money as decimal text, numbers masked.

    A balance is checked against the one known before: `expected_balance` is that plus the new rows,
    `difference` how far the file's own balance is from it, both None where nothing can be said.
    """
    connection = find_file_connection(user, mapped.source, login_key=mapped.login_key)
    known = {
        account.provider_account_id: account
        for account in Account.objects.for_user(user).filter(connection=connection)
    }
    accounts = [
        _account(known.get(one.account.provider_account_id), one, period)
        for one, period in zip(mapped.accounts, mapped.periods, strict=True)
    ]
    return {
        "institution": mapped.institution_name,
        "login_key": mapped.login_key,
        "provider_slug": mapped.source.slug,
        "provider_name": mapped.source.name,
        "is_new_connection": connection is None,
        "notices": list(notices),
        "accounts": accounts,
        "unreadable": list(_unreadable(mapped))[:SHOWN_UNREADABLE],
        "totals": _totals(accounts, mapped.orphans),
    }


def _account(
    stored: Account | None, fetched: Fetched, period: tuple[date | None, date | None]
) -> dict[str, Any]:
    data = fetched.account
    older = stored is not None and is_older(stored, data)
    pending = [row for row in fetched.transactions or () if _is_pending(row.data.status)]
    rows = [row for row in fetched.transactions or () if not (older and row in pending)]
    foreseen = foresee(stored, rows)
    skipped = len(fetched.transactions or ()) - len(rows)
    return {
        "key": data.provider_account_id,
        "account_id": str(stored.pk) if stored else None,
        "name": stored.title if stored else "",
        "mask": data.account_number_masked,
        "account_type": data.account_type,
        "currency": data.currency,
        "is_new": stored is None,
        "period_start": _day(period[0]),
        "period_end": _day(period[1]),
        "rows": {
            "new": foreseen.counts.created,
            "changed": foreseen.counts.updated,
            "known": foreseen.counts.unchanged,
            "unreadable": len(fetched.rejected),
            "ignored": foreseen.counts.ignored + skipped + fetched.ignored,
        },
        "pending": len(pending),
        "holdings": len(fetched.holdings or ()),
        "balance": _text(data.balance),
        "balance_as_of": data.balance_as_of.isoformat() if data.balance_as_of else None,
        "is_older": older,
        **_check(None if older else stored, fetched, foreseen.settled),
    }


def _check(
    stored: Account | None, fetched: Fetched, settled: Iterable[Transaction]
) -> dict[str, str | None]:
    """How far the file's balance is from the one known before and the rows since."""
    data = fetched.account
    added = [txn for txn in settled if txn.currency == data.currency]
    opening = stored.balance if stored else None
    since = stored.balance_as_of if stored else None
    is_checked = (
        opening is not None
        and since is not None
        and data.balance is not None
        and data.account_type not in INVESTMENT_TYPES
    )
    if is_checked and since:
        # What happened before the known balance is part of it already.
        added = [txn for txn in added if txn.transaction_date >= since.date()]
    rows_sum = sum((txn.amount for txn in added), Decimal(0))
    expected = (opening or 0) + rows_sum if is_checked else None
    difference = data.balance - expected if data.balance is not None and is_checked else None
    return {
        "opening_balance": _text(opening) if is_checked else None,
        "rows_sum": _text(rows_sum),
        "expected_balance": _text(expected),
        "difference": _text(difference),
    }


def _unreadable(mapped: MappedFile) -> Iterator[dict[str, Any]]:
    for one in mapped.accounts:
        for row in one.rejected:
            yield _shown(row, one.account.account_number_masked)
    for row in mapped.orphans:
        yield _shown(row, "")


def _shown(row: Rejected, mask: str) -> dict[str, Any]:
    return {
        "account": mask,
        "reason": row.reason,
        "params": dict(row.params),
        "provider_id": row.provider_id,
        "row": redact(row.payload),
    }


def _totals(accounts: Iterable[dict[str, Any]], orphans: Sequence[Rejected]) -> dict[str, int]:
    listed = list(accounts)
    totals = {
        name: sum(account["rows"][name] for account in listed)
        for name in ("new", "changed", "known", "unreadable")
    }
    totals["unreadable"] += len(orphans)
    totals["holdings"] = sum(account["holdings"] for account in listed)
    return totals


def _is_pending(status: str) -> bool:
    return status == TransactionStatus.PENDING


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _text(value: Decimal | None) -> str | None:
    return None if value is None else canonical(value)
