"""What the accounts app accepts and answers: enums and frozen records, free of Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID


class AccountType(StrEnum):
    """The kind of a financial account; the value is what is stored and sent over the API."""

    BROKERAGE = "brokerage"
    IRA = "ira"
    ROTH_IRA = "roth_ira"
    K401 = "401k"
    B403 = "403b"
    HSA = "hsa"
    EDUCATION_529 = "education_529"
    CRYPTO_WALLET = "crypto_wallet"
    CHECKING = "checking"
    SAVINGS = "savings"
    MONEY_MARKET = "money_market"
    CD = "cd"
    CREDIT_CARD = "credit_card"
    LINE_OF_CREDIT = "line_of_credit"
    LOAN = "loan"
    MORTGAGE = "mortgage"
    PROPERTY = "property"
    VEHICLE = "vehicle"
    CASH = "cash"
    OTHER = "other"


INVESTMENT_TYPES = frozenset(
    {
        AccountType.BROKERAGE,
        AccountType.IRA,
        AccountType.ROTH_IRA,
        AccountType.K401,
        AccountType.B403,
        AccountType.HSA,
        AccountType.EDUCATION_529,
        AccountType.CRYPTO_WALLET,
    }
)
BANKING_TYPES = frozenset(
    {AccountType.CHECKING, AccountType.SAVINGS, AccountType.MONEY_MARKET, AccountType.CD}
)
# What is owed: a negative balance of one of these is money owed.
LIABILITY_TYPES = frozenset(
    {
        AccountType.CREDIT_CARD,
        AccountType.LINE_OF_CREDIT,
        AccountType.LOAN,
        AccountType.MORTGAGE,
    }
)


class AssetType(StrEnum):
    """What kind of security a holding or a trade is about."""

    EQUITY = "equity"
    ETF = "etf"
    OPTION = "option"
    MUTUAL_FUND = "mutual_fund"
    FIXED_INCOME = "fixed_income"
    FUTURES = "futures"
    CRYPTOCURRENCY = "cryptocurrency"
    CASH_EQUIVALENT = "cash_equivalent"
    OTHER = "other"


_ASSET_WORDS = {
    **{str(asset): asset for asset in AssetType},
    "stock": AssetType.EQUITY,
    "common_stock": AssetType.EQUITY,
    "adr": AssetType.EQUITY,
    "call": AssetType.OPTION,
    "put": AssetType.OPTION,
    "fund": AssetType.MUTUAL_FUND,
    "bond": AssetType.FIXED_INCOME,
    "treasury": AssetType.FIXED_INCOME,
    "future": AssetType.FUTURES,
    "crypto": AssetType.CRYPTOCURRENCY,
    "cash": AssetType.CASH_EQUIVALENT,
    "money_market": AssetType.CASH_EQUIVALENT,
    "currency": AssetType.CASH_EQUIVALENT,
}


@lru_cache(maxsize=1024)
def as_word(said: str) -> str:
    """A provider's word as the tables of words have it: `Money Market` is `money_market`."""
    return "_".join(said.replace("-", " ").replace("_", " ").lower().split())


def asset_type_of(said: str) -> AssetType:
    """The kind of security a provider's word means; a word nobody knows is `other`."""
    return _ASSET_WORDS.get(as_word(said), AssetType.OTHER)


class SnapshotSource(StrEnum):
    """Why a balance snapshot was taken."""

    ACCOUNT_SYNC = "account_sync"
    HOLDINGS_SYNC = "holdings_sync"
    MANUAL_SYNC = "manual_sync"
    SCHEDULED_SYNC = "scheduled_sync"
    INITIAL_CONNECTION = "initial_connection"
    FILE_IMPORT = "file_import"
    MANUAL_ENTRY = "manual_entry"
    PROVIDER_HISTORY = "provider_history"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountData:
    """One account as a provider or a file tells it, signs already ours.

    `provider_account_id` never holds a full account number (a file's is a keyed fingerprint).
    `balance` is None when the source did not say; a liability's is negative when money is owed.
    """

    provider_account_id: str
    name: str
    account_type: AccountType
    currency: str
    balance: Decimal | None = None
    available_balance: Decimal | None = None
    balance_as_of: datetime | None = None
    holdings_value: Decimal | None = None
    cash_value: Decimal | None = None
    account_number_masked: str = ""
    institution_name: str = ""
    is_active: bool = True
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """One row that could not be read: a reason code with parameters, and the row itself.

    `payload` is the row as it was written (sealed before it is stored). `source` is what it can be
    read from again, where the row alone is not enough.
    """

    reason: str
    params: Mapping[str, str] = field(default_factory=dict)
    provider_id: str = ""
    payload: str = ""
    source: str = ""
    is_holding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the rows of one step.

    fetched = created + updated + unchanged + ignored + quarantined; the others are beside it.
    """

    fetched: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    ignored: int = 0
    quarantined: int = 0
    cancelled: int = 0
    deactivated: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Both together, field by field."""
        return Counts(
            fetched=self.fetched + other.fetched,
            created=self.created + other.created,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            ignored=self.ignored + other.ignored,
            quarantined=self.quarantined + other.quarantined,
            cancelled=self.cancelled + other.cancelled,
            deactivated=self.deactivated + other.deactivated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChange:
    """An account's balance before and after, in its currency; `previous` is None when unknown."""

    account_id: UUID
    previous: Decimal | None
    new: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetWorthChange:
    """A person's net worth before and after, in their base currency."""

    previous: Decimal
    new: Decimal
    currency: str
    account_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What one call of save_* did: counts, and the rows it refused."""

    counts: Counts
    rejected: tuple[Rejected, ...] = ()
