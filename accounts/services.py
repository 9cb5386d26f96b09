"""Saving accounts and balances, and what everything together is worth."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db.models import F
from django.db.models.functions import Least
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, BalanceSnapshot, ExchangeRate, NetWorth
from accounts.twins import hand_over
from accounts.types import (
    BANKING_TYPES,
    INVESTMENT_TYPES,
    LIABILITY_TYPES,
    AccountData,
    AccountType,
    BalanceChange,
    Counts,
    NetWorthChange,
    Saved,
    SnapshotSource,
)
from dashtam.money import amount
from dashtam.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from typing import Any
    from uuid import UUID

    from django_stubs_ext import StrPromise

    from dashtam.models import User

EURO = "EUR"
# In so many whole syncs in a row an account is not told of before its person hears of it.
MISSING_AFTER = 2

# What accounts are for, in the order a page shows it.
GROUPS = (
    (_("Banking"), BANKING_TYPES | {AccountType.CASH}),
    (_("Investments"), INVESTMENT_TYPES),
    (_("Cards and loans"), LIABILITY_TYPES),
)
OTHER_GROUP = _("Property and other")

# What a provider says of an account, its balance apart: that is set when all its rows are saved.
FIELDS = (
    "account_number_masked",
    "name",
    "institution_name",
    "account_type",
    "currency",
    "is_active",
    "provider_metadata",
)


@dataclass(frozen=True, slots=True)
class Worth:
    """Assets (≥ 0), liabilities (≤ 0) and their sum in one currency."""

    currency: str
    assets: Decimal
    liabilities: Decimal

    @property
    def total(self) -> Decimal:
        """Assets less what is owed."""
        return self.assets + self.liabilities

    @property
    def assets_percent(self) -> int:
        """The assets' part of everything that is owned or owed, 0 to 100."""
        whole = self.assets - self.liabilities
        return int(100 * self.assets / whole) if whole else 100


@dataclass(frozen=True, slots=True)
class AccountGroup:
    """Accounts that serve one purpose; `sums` are (currency, amount), known balances only."""

    label: StrPromise
    accounts: list[Account]
    sums: list[tuple[str, Decimal]]


@dataclass(frozen=True, slots=True)
class NetWorthView:
    """Net worth by currency and converted; `unconverted` names the currencies without a rate."""

    by_currency: tuple[Worth, ...]
    converted: Worth
    unconverted: tuple[str, ...]
    account_count: int


def save_accounts(
    user_id: UUID, connection_id: UUID, rows: Sequence[AccountData]
) -> tuple[Saved, dict[str, Account]]:
    """Save accounts (without balances) inside the caller's transaction.

    Returns the counts and the stored accounts by provider id. A balance that will change counts
    its account as updated.
    """
    ids = {row.provider_account_id for row in rows}
    stored = {
        account.provider_account_id: account
        for account in Account.objects.filter(
            connection_id=connection_id, provider_account_id__in=ids
        )
    }
    new = {
        row.provider_account_id: new_account(user_id, connection_id, row)
        for row in rows
        if row.provider_account_id not in stored
    }
    changed = [
        stored[row.provider_account_id]
        for row in rows
        if row.provider_account_id in stored and overwrite(stored[row.provider_account_id], row)
    ]
    Account.objects.bulk_create(new.values())
    Account.objects.bulk_update(changed, [*FIELDS, "absences", "missing_since", "updated_at"])
    moved = {
        row.provider_account_id
        for row in rows
        if row.provider_account_id in stored and _is_news(stored[row.provider_account_id], row)
    } | {account.provider_account_id for account in changed}
    counts = Counts(
        fetched=len(rows),
        created=len(new),
        updated=len(moved),
        unchanged=len(ids) - len(new) - len(moved),
        ignored=len(rows) - len(ids),
    )
    return Saved(counts=counts), {**stored, **new}


def new_account(user_id: UUID, connection_id: UUID, row: AccountData) -> Account:
    """An account of which this is the first word, not saved and without its balance."""
    return Account(
        user_id=user_id,
        connection_id=connection_id,
        provider_account_id=row.provider_account_id,
        **_values(row),
    )


def as_told(account: Account) -> AccountData:
    """What a source said of a stored account, without any figures."""
    return AccountData(
        provider_account_id=account.provider_account_id,
        name=account.name,
        account_type=AccountType(account.account_type),
        currency=account.currency,
        account_number_masked=account.account_number_masked,
        institution_name=account.institution_name,
        is_active=account.is_active,
        metadata=account.provider_metadata,
    )


def overwrite(account: Account, row: AccountData) -> bool:
    """Have the account, in memory, say what this says, unless it is older; whether it changed."""
    if is_older(account, row):
        return False
    values: dict[str, Any] = {**_values(row), "absences": 0, "missing_since": None}
    if row.account_type == AccountType.BROKERAGE and account.account_type in INVESTMENT_TYPES:
        # Some files of a retirement account say no more than that it holds securities.
        del values["account_type"]
    changes = {name: value for name, value in values.items() if getattr(account, name) != value}
    for name, value in changes.items():
        setattr(account, name, value)
    if changes:
        account.updated_at = now()
    return bool(changes)


def note_absences(connection_id: UUID, told_ids: Iterable[str]) -> None:
    """Note, inside the caller's transaction, which accounts a whole list does not tell of.

    One absence may be a fault of the provider's; from the second in a row on the account is
    missing. Nothing of it is deleted, nor left out of any sum.
    """
    absent = Account.objects.filter(connection_id=connection_id, is_active=True).exclude(
        provider_account_id__in=list(told_ids)
    )
    absent.update(absences=Least(F("absences") + 1, MISSING_AFTER), updated_at=now())
    absent.filter(absences__gte=MISSING_AFTER, missing_since=None).update(missing_since=now())


def set_balance(
    account: Account, data: AccountData, *, source: SnapshotSource, sync_id: UUID
) -> BalanceChange | None:
    """Take a snapshot, and move the account's balance when this one is not older.

    Runs inside the caller's transaction; returns the change of the balance, if it changed. A source
    that did not say a balance changes nothing.
    """
    moment = now()
    if not tells_balance(account, data, source=source):
        return None
    take_snapshot(account, snapshot_of(account, data, moment), source=source, sync_id=sync_id)
    return move_balance(account, data, moment)


def tells_balance(account: Account, data: AccountData, *, source: SnapshotSource) -> bool:
    """Whether this says a balance to go by: one without a date, in a file, only if it is the first.

    It may be of last year: it never beats a balance with a date.
    """
    is_undated = not data.balance_as_of and source == SnapshotSource.FILE_IMPORT
    return data.balance is not None and not (is_undated and account.balance_as_of)


def move_balance(account: Account, data: AccountData, moment: datetime) -> BalanceChange | None:
    """Give the account, in memory, this balance if it is not older; the change, if it changed."""
    if data.balance is None or is_older(account, data):
        return None
    previous = account.balance
    account.balance = data.balance
    account.available_balance = data.available_balance
    account.balance_as_of = data.balance_as_of or moment
    if previous == data.balance:
        return None
    return BalanceChange(
        account_id=account.pk, previous=previous, new=data.balance, currency=account.currency
    )


def is_older(account: Account, data: AccountData) -> bool:
    """Whether the account knows something newer than what this says."""
    told = account.provider_metadata.get("told_as_of")
    known = [
        account.balance_as_of,
        # A statement without a balance has a date too.
        datetime.fromisoformat(told) if told else None,
    ]
    latest = max(filter(None, known), default=None)
    return bool(latest and data.balance_as_of and data.balance_as_of < latest)


def snapshot_of(account: Account, data: AccountData, moment: datetime) -> dict[str, Any]:
    """What a snapshot of this balance says; without a date of its own it is of `moment`."""
    return {
        "balance": data.balance,
        "available_balance": data.available_balance,
        "holdings_value": data.holdings_value,
        "cash_value": data.cash_value,
        "currency": account.currency,
        "as_of": data.balance_as_of or moment,
    }


def take_snapshot(
    account: Account, snapshot: Mapping[str, Any], *, source: SnapshotSource, sync_id: UUID
) -> None:
    """Add one balance to the account's history, unless it says that very thing already."""
    history = BalanceSnapshot.objects.filter(account=account)
    if not history.filter(**snapshot).exists():
        BalanceSnapshot.objects.create(
            user_id=account.user_id, account=account, sync_id=sync_id, source=source, **snapshot
        )


def net_worth(user: User, *, on: date | None = None) -> NetWorthView:
    """What a person's counted accounts are worth: two statements, whatever their number."""
    accounts = Account.objects.for_user(user).counted()
    assets: defaultdict[str, Decimal] = defaultdict(Decimal)
    liabilities: defaultdict[str, Decimal] = defaultdict(Decimal)
    count = 0
    for account in accounts.only("balance", "currency"):
        # The sign decides, not the kind: a card may be in credit and a checking account overdrawn.
        balance = account.balance or Decimal(0)
        (liabilities if balance < 0 else assets)[account.currency] += balance
        count += 1
    worths = tuple(
        Worth(currency, assets[currency], liabilities[currency])
        for currency in sorted(assets.keys() | liabilities.keys())
    )
    rates = _rates({worth.currency for worth in worths} | {user.base_currency}, on=on)
    return NetWorthView(
        by_currency=worths,
        converted=_converted(worths, user.base_currency, rates),
        unconverted=tuple(
            worth.currency for worth in worths if _rate(worth.currency, user, rates) is None
        ),
        account_count=count,
    )


def grouped(accounts: Iterable[Account]) -> list[AccountGroup]:
    """Accounts by what they are for, empty groups left out; sums are per currency."""
    by_group: defaultdict[StrPromise, list[Account]] = defaultdict(list)
    for account in accounts:
        by_group[_group_of(account.kind)].append(account)
    return [
        AccountGroup(label, by_group[label], _sums(by_group[label]))
        for label in (*(label for label, _kinds in GROUPS), OTHER_GROUP)
        if by_group[label]
    ]


def recalculate_net_worth(user: User) -> NetWorthChange | None:
    """Keep the net worth of now inside the caller's transaction; the change, when it changed."""
    hand_over(user)
    start = {"value": 0, "currency": user.base_currency, "account_count": 0}
    NetWorth.objects.get_or_create(user=user, defaults=start)
    # Locked before anything is added up: two syncs that end together tell one after the other.
    kept = NetWorth.objects.select_for_update().get(user=user)
    view = net_worth(user)
    previous = kept.value if kept.currency == user.base_currency else Decimal(0)
    now_worth = view.converted.total
    if (kept.value, kept.currency, kept.account_count) != (
        now_worth,
        user.base_currency,
        view.account_count,
    ):
        kept.value, kept.currency = now_worth, user.base_currency
        kept.account_count = view.account_count
        kept.save()
    if previous == now_worth:
        return None
    return NetWorthChange(
        previous=previous,
        new=now_worth,
        currency=user.base_currency,
        account_count=view.account_count,
    )


def _group_of(kind: AccountType) -> StrPromise:
    return next((label for label, kinds in GROUPS if kind in kinds), OTHER_GROUP)


def _sums(accounts: Iterable[Account]) -> list[tuple[str, Decimal]]:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for account in accounts:
        if account.balance is not None:
            sums[account.currency] += account.balance
    return sorted(sums.items())


def _values(row: AccountData) -> dict[str, Any]:
    return {
        "account_number_masked": clean_text(row.account_number_masked, 64),
        "name": clean_text(row.name, 200),
        "institution_name": clean_text(row.institution_name, 200),
        "account_type": row.account_type,
        "currency": row.currency,
        "is_active": row.is_active,
        "provider_metadata": dict(row.metadata),
    }


def _is_news(account: Account, row: AccountData) -> bool:
    return (
        row.balance is not None
        and not is_older(account, row)
        and (account.balance, account.available_balance) != (row.balance, row.available_balance)
    )


def _rates(currencies: Iterable[str], *, on: date | None) -> Mapping[str, Decimal]:
    wanted = set(currencies) - {EURO}
    if len(wanted | {EURO}) == 1 or len(set(currencies)) == 1:
        return {EURO: Decimal(1)}
    latest = ExchangeRate.objects.latest_on(on or now().date()).filter(currency__in=wanted)
    return {EURO: Decimal(1), **dict(latest.values_list("currency", "per_euro"))}


def _rate(currency: str, user: User, rates: Mapping[str, Decimal]) -> Decimal | None:
    """How much of the person's base currency one unit is worth; None when no rate is known."""
    if currency == user.base_currency:
        return Decimal(1)
    if currency not in rates or user.base_currency not in rates:
        return None
    return rates[user.base_currency] / rates[currency]


def _converted(worths: Iterable[Worth], base: str, rates: Mapping[str, Decimal]) -> Worth:
    assets = liabilities = Decimal(0)
    for worth in worths:
        if worth.currency == base:
            assets, liabilities = assets + worth.assets, liabilities + worth.liabilities
        elif worth.currency in rates and base in rates:
            rate = rates[base] / rates[worth.currency]
            assets += amount(worth.assets * rate)
            liabilities += amount(worth.liabilities * rate)
    return Worth(base, assets, liabilities)
