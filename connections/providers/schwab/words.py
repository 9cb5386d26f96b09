"""The words of the Trader API and what they are here. Where they disagree, the sign decides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from accounts.types import AssetType, asset_type_of
from transactions.types import (
    TransactionStatus,
    TransactionSubtype,
    TransactionType,
    status_of,
    subtype_of,
    transaction_type_of,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from connections.rows import Row

Kind = tuple[TransactionType, TransactionSubtype]

ACTIVITIES = (
    "TRADE",
    "RECEIVE_AND_DELIVER",
    "DIVIDEND_OR_INTEREST",
    "ACH_RECEIPT",
    "ACH_DISBURSEMENT",
    "CASH_RECEIPT",
    "CASH_DISBURSEMENT",
    "ELECTRONIC_FUND",
    "WIRE_OUT",
    "WIRE_IN",
    "JOURNAL",
    "MEMORANDUM",
    "MARGIN_CALL",
    "MONEY_MARKET",
    "SMA_ADJUSTMENT",
)
# What a purchase or a sale is when it does not open a long position or close one.
_TRADES = {
    ("OPENING", TransactionSubtype.SELL): TransactionSubtype.SHORT_SELL,
    ("CLOSING", TransactionSubtype.BUY): TransactionSubtype.BUY_TO_COVER,
}
_TRANSFERS = frozenset(
    {"ACH_RECEIPT", "ACH_DISBURSEMENT", "CASH_RECEIPT", "CASH_DISBURSEMENT", "ELECTRONIC_FUND"}
)
_ADJUSTMENTS = frozenset({"MEMORANDUM", "MARGIN_CALL", "SMA_ADJUSTMENT"})
_ASSETS = {
    "COLLECTIVE_INVESTMENT": AssetType.MUTUAL_FUND,
    "FOREX": AssetType.OTHER,
    "INDEX": AssetType.OTHER,
}
_OPTION_ENDS = (
    (re.compile("ASSIGN", re.IGNORECASE), TransactionSubtype.ASSIGNMENT),
    (re.compile("EXERCIS", re.IGNORECASE), TransactionSubtype.EXERCISE),
    (re.compile("EXPIR", re.IGNORECASE), TransactionSubtype.EXPIRATION),
)
_INTEREST = re.compile(
    r"\b(?:BANK|BOND|CREDIT|MARGIN|SCHWAB1) INT\b|\bINT \d{6}|\bINTEREST\b", re.IGNORECASE
)
_CAPITAL_GAIN = re.compile(r"\bCAP(?:ITAL)? GAINS?\b|\b(?:LONG|SHORT) TERM\b", re.IGNORECASE)
_FEE = re.compile(r"\bFEES?\b", re.IGNORECASE)
_TRANSFER = re.compile(r"\bTRANSFER", re.IGNORECASE)
_BETWEEN_SUB_ACCOUNTS = re.compile(r"\b(?:FRM|FROM|TO)(?:/TO)? TYPE \d", re.IGNORECASE)
_OTHER_ACCOUNT = re.compile(r"\b(?:BANK|ACCOUNT|ACCT)\b", re.IGNORECASE)


def kind_of(
    word: str,
    said: str,
    amount: Decimal,
    *,
    quantity: Decimal | None = None,
    effect: str = "",
) -> Kind:
    """What a transaction is: its type, description and amount, and the security that moved.

    `quantity` is None when no security did; `effect` is OPENING, CLOSING or anything else.
    """
    if word == "TRADE":
        side = subtype_of("", TransactionType.TRADE, amount=amount, quantity=quantity)
        return TransactionType.TRADE, _TRADES.get((effect, side), side)
    if word == "DIVIDEND_OR_INTEREST":
        return _income(said, amount)
    if quantity is not None:
        return _moved(word, said, amount, quantity)
    if amount < 0 and _FEE.search(said):
        return TransactionType.FEE, TransactionSubtype.ACCOUNT_FEE
    if word == "JOURNAL":
        return _journal(said, amount)
    return _movement(word, amount)


def status(word: str) -> TransactionStatus:
    """Where it is in its life; an invalid one did not come off, such as a returned deposit."""
    return TransactionStatus.FAILED if word == "INVALID" else status_of(word)


def asset_type(instrument: Row) -> AssetType:
    """The kind of security; a fund traded on an exchange says so in its finer type only."""
    word = instrument.words("assetType")
    if instrument.words("type") == "EXCHANGE_TRADED_FUND":
        return AssetType.ETF
    return _ASSETS.get(word) or asset_type_of(word)


def _income(said: str, amount: Decimal) -> Kind:
    if _INTEREST.search(said):
        if amount < 0:
            return TransactionType.FEE, TransactionSubtype.MARGIN_INTEREST
        return TransactionType.INCOME, TransactionSubtype.INTEREST
    if _CAPITAL_GAIN.search(said):
        return TransactionType.INCOME, TransactionSubtype.CAPITAL_GAIN
    return TransactionType.INCOME, TransactionSubtype.DIVIDEND


def _moved(word: str, said: str, amount: Decimal, quantity: Decimal) -> Kind:
    """Securities that came or went without a trade's word: a split, an option's end, a transfer."""
    for pattern, subtype in _OPTION_ENDS:
        if pattern.search(said):
            return TransactionType.TRADE, subtype
    if _TRANSFER.search(said):
        is_in = quantity > 0
        subtype = TransactionSubtype.TRANSFER_IN if is_in else TransactionSubtype.TRANSFER_OUT
        return TransactionType.TRANSFER, subtype
    if amount and word != "RECEIVE_AND_DELIVER":
        trade = TransactionType.TRADE
        return trade, subtype_of("", trade, amount=amount, quantity=quantity)
    return TransactionType.OTHER, TransactionSubtype.ADJUSTMENT


def _journal(said: str, amount: Decimal) -> Kind:
    """Only what names a bank or another account really leaves or enters this one."""
    if _BETWEEN_SUB_ACCOUNTS.search(said):
        return TransactionType.TRANSFER, TransactionSubtype.INTERNAL
    if _OTHER_ACCOUNT.search(said):
        is_in = amount >= 0
        word = TransactionSubtype.TRANSFER_IN if is_in else TransactionSubtype.TRANSFER_OUT
        return TransactionType.TRANSFER, word
    return TransactionType.OTHER, TransactionSubtype.JOURNAL


def _movement(word: str, amount: Decimal) -> Kind:
    if word in _ADJUSTMENTS:
        return TransactionType.OTHER, TransactionSubtype.ADJUSTMENT
    if word in ("WIRE_IN", "WIRE_OUT"):
        is_in = amount >= 0
        subtype = TransactionSubtype.WIRE_IN if is_in else TransactionSubtype.WIRE_OUT
        return TransactionType.TRANSFER, subtype
    if word == "MONEY_MARKET":
        return TransactionType.TRANSFER, TransactionSubtype.INTERNAL
    kind = TransactionType.TRANSFER if word in _TRANSFERS else transaction_type_of(word)
    return kind, subtype_of(word, kind, amount=amount)
