"""What the transactions app accepts: enums and the frozen record, free of Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from accounts.types import as_word

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from accounts.types import AssetType


# How much of a row's mark says who reads it: another version may read the same words otherwise.
READER_LENGTH = 8


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


SUBTYPES = {
    TransactionType.TRADE: (
        TransactionSubtype.BUY,
        TransactionSubtype.SELL,
        TransactionSubtype.SHORT_SELL,
        TransactionSubtype.BUY_TO_COVER,
        TransactionSubtype.EXERCISE,
        TransactionSubtype.ASSIGNMENT,
        TransactionSubtype.EXPIRATION,
    ),
    TransactionType.TRANSFER: (
        TransactionSubtype.DEPOSIT,
        TransactionSubtype.WITHDRAWAL,
        TransactionSubtype.WIRE_IN,
        TransactionSubtype.WIRE_OUT,
        TransactionSubtype.TRANSFER_IN,
        TransactionSubtype.TRANSFER_OUT,
        TransactionSubtype.INTERNAL,
    ),
    TransactionType.INCOME: (
        TransactionSubtype.DIVIDEND,
        TransactionSubtype.INTEREST,
        TransactionSubtype.CAPITAL_GAIN,
        TransactionSubtype.DISTRIBUTION,
    ),
    TransactionType.FEE: (
        TransactionSubtype.COMMISSION,
        TransactionSubtype.ACCOUNT_FEE,
        TransactionSubtype.MARGIN_INTEREST,
        TransactionSubtype.OTHER_FEE,
    ),
    TransactionType.OTHER: (
        TransactionSubtype.ADJUSTMENT,
        TransactionSubtype.JOURNAL,
        TransactionSubtype.PURCHASE,
        TransactionSubtype.PAYMENT,
        TransactionSubtype.REFUND,
        TransactionSubtype.UNKNOWN,
    ),
}
_TYPE_WORDS = {
    **dict.fromkeys(
        ("trade", "buy", "sell", "short", "cover", "option", "exercise"), TransactionType.TRADE
    ),
    **dict.fromkeys(
        ("transfer", "deposit", "withdrawal", "ach", "wire", "journal"), TransactionType.TRANSFER
    ),
    **dict.fromkeys(
        ("income", "dividend", "interest", "capital_gain", "distribution"), TransactionType.INCOME
    ),
    **dict.fromkeys(
        ("fee", "commission", "margin_interest", "management_fee"), TransactionType.FEE
    ),
}
# Every subtype's own name is a word for it as well; these are the others.
_SUBTYPE_WORDS = {
    (TransactionType.TRADE, "purchase"): TransactionSubtype.BUY,
    (TransactionType.TRADE, "sale"): TransactionSubtype.SELL,
    (TransactionType.TRANSFER, "ach_in"): TransactionSubtype.DEPOSIT,
    (TransactionType.TRANSFER, "ach_out"): TransactionSubtype.WITHDRAWAL,
    (TransactionType.TRANSFER, "journal_in"): TransactionSubtype.TRANSFER_IN,
    (TransactionType.TRANSFER, "journal_out"): TransactionSubtype.TRANSFER_OUT,
    (TransactionType.INCOME, "cap_gain"): TransactionSubtype.CAPITAL_GAIN,
    (TransactionType.FEE, "trade_fee"): TransactionSubtype.COMMISSION,
    (TransactionType.FEE, "margin"): TransactionSubtype.MARGIN_INTEREST,
    (TransactionType.FEE, "fee"): TransactionSubtype.ACCOUNT_FEE,
}
_STATUS_WORDS = {
    **dict.fromkeys(("pending", "processing", "in_progress"), TransactionStatus.PENDING),
    **dict.fromkeys(("failed", "rejected", "error"), TransactionStatus.FAILED),
    **dict.fromkeys(("cancelled", "canceled", "voided"), TransactionStatus.CANCELLED),
}


def transaction_type_of(said: str) -> TransactionType:
    """What a provider's word for a transaction means; a word nobody knows is `other`."""
    return _TYPE_WORDS.get(as_word(said), TransactionType.OTHER)


def subtype_of(
    said: str,
    kind: TransactionType,
    *,
    amount: Decimal,
    quantity: Decimal | None = None,
    has_security: bool = False,
) -> TransactionSubtype:
    """The subtype of `kind` that a provider's word means; for any other word, what the signs say.

    `amount` is positive when money comes in, `quantity` when the position grows.
    """
    return _named(said, kind) or _implied(kind, amount, quantity, has_security)


def status_of(said: str) -> TransactionStatus:
    """Where a provider's word says a transaction is in its life; any other word is `settled`."""
    return _STATUS_WORDS.get(as_word(said), TransactionStatus.SETTLED)


@lru_cache(maxsize=1024)
def _named(said: str, kind: TransactionType) -> TransactionSubtype | None:
    word = as_word(said)
    if (kind, word) in _SUBTYPE_WORDS:
        return _SUBTYPE_WORDS[kind, word]
    return next((subtype for subtype in SUBTYPES[kind] if subtype == word), None)


def _implied(
    kind: TransactionType, amount: Decimal, quantity: Decimal | None, has_security: bool
) -> TransactionSubtype:
    if kind == TransactionType.TRADE:
        grows = quantity > 0 if quantity else amount < 0
        return TransactionSubtype.BUY if grows else TransactionSubtype.SELL
    if kind == TransactionType.TRANSFER:
        return TransactionSubtype.DEPOSIT if amount >= 0 else TransactionSubtype.WITHDRAWAL
    if kind == TransactionType.INCOME:
        return TransactionSubtype.DIVIDEND if has_security else TransactionSubtype.INTEREST
    is_fee = kind == TransactionType.FEE
    return TransactionSubtype.ACCOUNT_FEE if is_fee else TransactionSubtype.UNKNOWN


class Effect(NamedTuple):
    """Money of a currency that settled rows bring to an account (or take) on a day.

    `settlement_day` is the day itself where none is told.
    """

    currency: str
    day: date
    settlement_day: date
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionData:
    """One transaction as a provider or a file tells it.

    `amount` is positive when money comes into the account. `transaction_date` is the source's own
    calendar date; `occurred_at` the instant, where it is known. `provider_transaction_id` is empty
    when the source has none. Unknown words became other/unknown and stand in `raw_type`. `told_as`
    is the mark of the row that says all this, begun by that of who reads it so (READER_LENGTH);
    empty where the row is not told again word for word.
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
    told_as: str = ""


class Known(NamedTuple):
    """A stored transaction that is told word for word as it was when it was written."""

    told_as: str
    provider_transaction_id: str
    pending_provider_id: str
    status: str
    transaction_date: date
    occurred_at: datetime | None
