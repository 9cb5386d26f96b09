"""What the transactions app accepts: enums and the frozen record, free of Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from accounts.types import AssetType


class TransactionType(StrEnum):
    """What a transaction is, broadly."""

    TRADE = "trade"
    TRANSFER = "transfer"
    INCOME = "income"
    FEE = "fee"
    OTHER = "other"


class TransactionSubtype(StrEnum):
    """What a transaction is, precisely."""

    BUY = "buy"
    SELL = "sell"
    SHORT_SELL = "short_sell"
    BUY_TO_COVER = "buy_to_cover"
    EXERCISE = "exercise"
    ASSIGNMENT = "assignment"
    EXPIRATION = "expiration"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    WIRE_IN = "wire_in"
    WIRE_OUT = "wire_out"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"
    INTERNAL = "internal"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    CAPITAL_GAIN = "capital_gain"
    DISTRIBUTION = "distribution"
    COMMISSION = "commission"
    ACCOUNT_FEE = "account_fee"
    MARGIN_INTEREST = "margin_interest"
    OTHER_FEE = "other_fee"
    ADJUSTMENT = "adjustment"
    JOURNAL = "journal"
    PURCHASE = "purchase"
    PAYMENT = "payment"
    REFUND = "refund"
    UNKNOWN = "unknown"


class TransactionStatus(StrEnum):
    """Where a transaction is in its life."""

    PENDING = "pending"
    SETTLED = "settled"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionData:
    """One transaction as a provider or a file tells it.

    `amount` is positive when money comes into the account. `transaction_date` is the source's own
    calendar date; `occurred_at` the instant, where it is known. `provider_transaction_id` is empty
    when the source has none. Unknown words became other/unknown and stand in `raw_type`.
    """

    provider_transaction_id: str
    amount: Decimal
    currency: str
    transaction_date: date
    transaction_type: TransactionType
    subtype: TransactionSubtype
    status: TransactionStatus = TransactionStatus.SETTLED
    description: str = ""
    settlement_date: date | None = None
    occurred_at: datetime | None = None
    asset_type: AssetType | None = None
    symbol: str = ""
    cusip: str = ""
    isin: str = ""
    security_name: str = ""
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    commission: Decimal | None = None
    raw_type: str = ""
    pending_provider_id: str = ""
    is_flagged: bool = False
    metadata: Mapping[str, object] = field(default_factory=dict)
