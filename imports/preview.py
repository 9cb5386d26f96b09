"""What importing a statement would do, told before anything is saved."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from accounts.models import Account
from accounts.reconciling import KnownBalance
from accounts.services import is_older
from accounts.types import INVESTMENT_TYPES, LIABILITY_TYPES
from connections.quarantine import redact
from connections.services import find_file_connection
from dashtam.money import canonical
from imports.mapping import Signs
from transactions.foresight import foresee
from transactions.reconciling import Check, CheckState, check
from transactions.types import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from accounts.types import Rejected
    from connections.fetched import Fetched
    from connections.models import Connection
    from dashtam.models import User
    from imports.mapping import MappedFile, Reading
    from transactions.matching import Incoming
    from transactions.types import Effect

# A page shows this many unreadable rows; the import keeps them all.
SHOWN_UNREADABLE = 50


def summarise(user: User, mapped: MappedFile, notices: Sequence[str]) -> dict[str, Any]:
    """The preview of one file as JSON: money as decimal text, numbers masked.

    `check` of an account says whether its balances and transactions would agree after the import.
    """
    connection = find_file_connection(user, mapped.source, mapped.login)
    known = _known(user, connection)
    accounts = [
        _account(known.get(one.account.provider_account_id), one, reading)
        for one, reading in zip(mapped.accounts, mapped.readings, strict=True)
    ]
    return {
        "institution": mapped.institution_name,
        "login": asdict(mapped.login),
        "provider_slug": mapped.source.slug,
        "provider_name": mapped.source.name,
        "is_new_connection": connection is None,
        "notices": list(notices),
        "accounts": accounts,
        "unreadable": list(_unreadable(mapped))[:SHOWN_UNREADABLE],
        "totals": _totals(accounts, mapped.orphans),
    }


def remembered_signs(user: User, mapped: MappedFile) -> dict[str, Signs]:
    """How the bank writes signs, as it was settled when each account was first imported."""
    known = _known(user, find_file_connection(user, mapped.source, mapped.login))
    return {key: Signs.kept_in(account.provider_metadata) for key, account in known.items()}


def chosen_signs(summary: Mapping[str, Any]) -> dict[str, Signs]:
    """What a preview, or the person looking at it, settled; by account."""
    return {account["key"]: Signs.kept_in(account) for account in summary["accounts"]}


def with_choice(summary: Mapping[str, Any], key: str, choice: Signs) -> dict[str, Signs] | None:
    """The signs of a preview with one account's changed; None when the file has no such account.

    Rows turned after some of them were saved would be taken for others and counted twice: where
    there are any, they stay as they were first imported.
    """
    for account in summary["accounts"]:
        if account["key"] == key:
            rows_turned = account["rows_turned"] if account["rows_fixed"] else choice.rows_turned
            return {**chosen_signs(summary), key: Signs(rows_turned, choice.balance_turned)}
    return None


def _known(user: User, connection: Connection | None) -> dict[str, Account]:
    if connection is None:
        return {}
    accounts = Account.objects.for_user(user).filter(connection=connection)
    return {account.provider_account_id: account for account in accounts}


def _account(stored: Account | None, fetched: Fetched, reading: Reading) -> dict[str, Any]:
    data = fetched.account
    older = stored is not None and is_older(stored, data)
    incoming = fetched.transactions or ()
    rows = [row for row in incoming if not (older and _is_pending(row))]
    rows_fixed = stored is not None and stored.transactions.exists()
    foreseen = foresee(stored, rows)
    skipped = len(incoming) - len(rows)
    return {
        "key": data.provider_account_id,
        "account_id": str(stored.pk) if stored else None,
        "name": stored.title if stored else "",
        "mask": data.account_number_masked,
        "account_type": data.account_type,
        "is_liability": data.account_type in LIABILITY_TYPES,
        "currency": data.currency,
        "is_new": stored is None,
        "period_start": _day(reading.period_start),
        "period_end": _day(reading.period_end),
        "rows": {
            "new": foreseen.counts.created,
            "changed": foreseen.counts.updated,
            "known": foreseen.counts.unchanged,
            "unreadable": len(fetched.rejected),
            "ignored": foreseen.counts.ignored + skipped + fetched.ignored,
        },
        "pending": sum(map(_is_pending, incoming)),
        "holdings": len(fetched.holdings or ()),
        "balance": _text(data.balance),
        "balance_as_of": data.balance_as_of.isoformat() if data.balance_as_of else None,
        "is_older": older,
        **asdict(reading.signs),
        "rows_fixed": rows_fixed,
        "suggests_rows": not rows_fixed and reading.suggested.rows_turned,
        "suggests_balance": stored is None and reading.suggested.balance_turned,
        "check": _check(stored, fetched, reading, foreseen.effects),
    }


def _check(
    stored: Account | None, fetched: Fetched, reading: Reading, effects: Sequence[Effect]
) -> dict[str, Any]:
    """Whether the account would add up around this file, were it imported."""
    if stored is None:
        return Check(state=CheckState.NOTHING_YET).as_json()
    data = fetched.account
    is_investment = data.account_type in INVESTMENT_TYPES
    amount = data.cash_value if is_investment else data.balance
    told = []
    days = {row.day for row in effects} | {reading.period_start, reading.period_end}
    if amount is not None and data.balance_as_of is not None:
        balance = KnownBalance(as_of=data.balance_as_of, amount=amount)
        told.append(balance)
        days.add(balance.day)
    known = sorted(day for day in days if day)
    span = (known[0], known[-1]) if known else None
    return check(stored, told=told, effects=effects, days=span).as_json()


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


def _is_pending(row: Incoming) -> bool:
    return row.data.status == TransactionStatus.PENDING


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _text(value: Decimal | None) -> str | None:
    return None if value is None else canonical(value)
