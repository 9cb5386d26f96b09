"""The words of OFX and what they are here. Where sign and word disagree, the sign decides."""

from __future__ import annotations

import re

from accounts.types import AccountType, AssetType
from transactions.types import TransactionSubtype as Subtype
from transactions.types import TransactionType as Type

Kind = tuple[Type, Subtype]

ACCOUNT_TYPES = {
    "CHECKING": AccountType.CHECKING,
    "SAVINGS": AccountType.SAVINGS,
    "MONEYMRKT": AccountType.MONEY_MARKET,
    "MONEYMARKET": AccountType.MONEY_MARKET,
    "CREDITLINE": AccountType.LINE_OF_CREDIT,
    "CD": AccountType.CD,
    "CREDITCARD": AccountType.CREDIT_CARD,
}
LOAN_TYPES = {
    "MORTGAGE": AccountType.MORTGAGE,
    "HELOC": AccountType.LINE_OF_CREDIT,
    "LOC": AccountType.LINE_OF_CREDIT,
}
PRODUCT_TYPES = {
    "401K": AccountType.K401,
    "403B": AccountType.B403,
    "IRA": AccountType.IRA,
    "SIMPLE": AccountType.IRA,
    "SARSEP": AccountType.IRA,
    "ROTH": AccountType.ROTH_IRA,
    "NORMAL": AccountType.BROKERAGE,
    "OTHER": AccountType.BROKERAGE,
}
_MONEY_IN: dict[str, Kind] = {
    "CREDIT": (Type.TRANSFER, Subtype.DEPOSIT),
    "DEP": (Type.TRANSFER, Subtype.DEPOSIT),
    "DIRECTDEP": (Type.TRANSFER, Subtype.DEPOSIT),
    "CHECK": (Type.TRANSFER, Subtype.DEPOSIT),
    "ATM": (Type.TRANSFER, Subtype.DEPOSIT),
    "CASH": (Type.TRANSFER, Subtype.DEPOSIT),
    "XFER": (Type.TRANSFER, Subtype.TRANSFER_IN),
    "INT": (Type.INCOME, Subtype.INTEREST),
    "DIV": (Type.INCOME, Subtype.DIVIDEND),
    "FEE": (Type.FEE, Subtype.ACCOUNT_FEE),
    "SRVCHG": (Type.FEE, Subtype.ACCOUNT_FEE),
    "POS": (Type.OTHER, Subtype.REFUND),
    "DEBIT": (Type.OTHER, Subtype.REFUND),
    "DIRECTDEBIT": (Type.OTHER, Subtype.REFUND),
    "PAYMENT": (Type.OTHER, Subtype.PAYMENT),
    "REPEATPMT": (Type.OTHER, Subtype.PAYMENT),
}
_MONEY_OUT: dict[str, Kind] = {
    "DEBIT": (Type.OTHER, Subtype.PURCHASE),
    "CREDIT": (Type.OTHER, Subtype.PURCHASE),
    "POS": (Type.OTHER, Subtype.PURCHASE),
    "CHECK": (Type.OTHER, Subtype.PAYMENT),
    "PAYMENT": (Type.OTHER, Subtype.PAYMENT),
    "REPEATPMT": (Type.OTHER, Subtype.PAYMENT),
    "DIRECTDEBIT": (Type.OTHER, Subtype.PAYMENT),
    "ATM": (Type.TRANSFER, Subtype.WITHDRAWAL),
    "CASH": (Type.TRANSFER, Subtype.WITHDRAWAL),
    "DEP": (Type.TRANSFER, Subtype.WITHDRAWAL),
    "DIRECTDEP": (Type.TRANSFER, Subtype.WITHDRAWAL),
    "XFER": (Type.TRANSFER, Subtype.TRANSFER_OUT),
    "INT": (Type.FEE, Subtype.OTHER_FEE),
    "DIV": (Type.INCOME, Subtype.DIVIDEND),
    "FEE": (Type.FEE, Subtype.ACCOUNT_FEE),
    "SRVCHG": (Type.FEE, Subtype.ACCOUNT_FEE),
}
_UNKNOWN: Kind = (Type.OTHER, Subtype.UNKNOWN)
_PAYS_THE_CARD = re.compile(r"\b(?:payment|thank you|autopay|auto ?pay|pymt|pmt)\b", re.IGNORECASE)

TRADES: dict[str, Kind] = {
    "BUY": (Type.TRADE, Subtype.BUY),
    "BUYTOOPEN": (Type.TRADE, Subtype.BUY),
    "BUYTOCOVER": (Type.TRADE, Subtype.BUY_TO_COVER),
    "BUYTOCLOSE": (Type.TRADE, Subtype.BUY_TO_COVER),
    "SELL": (Type.TRADE, Subtype.SELL),
    "SELLTOCLOSE": (Type.TRADE, Subtype.SELL),
    "SELLSHORT": (Type.TRADE, Subtype.SHORT_SELL),
    "SELLTOOPEN": (Type.TRADE, Subtype.SHORT_SELL),
}
INCOMES: dict[str, Kind] = {
    "DIV": (Type.INCOME, Subtype.DIVIDEND),
    "INTEREST": (Type.INCOME, Subtype.INTEREST),
    "CGLONG": (Type.INCOME, Subtype.CAPITAL_GAIN),
    "CGSHORT": (Type.INCOME, Subtype.CAPITAL_GAIN),
    "MISC": (Type.INCOME, Subtype.DISTRIBUTION),
}
CLOSURES: dict[str, Kind] = {
    "EXERCISE": (Type.TRADE, Subtype.EXERCISE),
    "ASSIGN": (Type.TRADE, Subtype.ASSIGNMENT),
    "EXPIRE": (Type.TRADE, Subtype.EXPIRATION),
}
OTHER_ROWS: dict[str, Kind] = {
    "REINVEST": (Type.TRADE, Subtype.BUY),
    "SPLIT": (Type.OTHER, Subtype.ADJUSTMENT),
    "RETOFCAP": (Type.INCOME, Subtype.DISTRIBUTION),
    "INVEXPENSE": (Type.FEE, Subtype.ACCOUNT_FEE),
    "MARGININTEREST": (Type.FEE, Subtype.MARGIN_INTEREST),
    "JRNLFUND": (Type.OTHER, Subtype.JOURNAL),
    "JRNLSEC": (Type.OTHER, Subtype.JOURNAL),
}
# By the end of a row's, a position's or a security's tag: BUYSTOCK, POSSTOCK, STOCKINFO.
ASSET_TYPES = {
    "STOCK": AssetType.EQUITY,
    "MF": AssetType.MUTUAL_FUND,
    "OPT": AssetType.OPTION,
    "DEBT": AssetType.FIXED_INCOME,
    "OTHER": AssetType.OTHER,
}


def kind_of_bank_row(word: str, *, comes_in: bool, is_card: bool, description: str) -> Kind:
    """Return what a bank row is, by its TRNTYPE and the sign of its amount."""
    word = word.upper()
    if is_card and comes_in and word in {"CREDIT", "DEP", "DIRECTDEP", "OTHER"}:
        pays = _PAYS_THE_CARD.search(description)
        return Type.OTHER, Subtype.PAYMENT if pays else Subtype.REFUND
    return (_MONEY_IN if comes_in else _MONEY_OUT).get(word, _UNKNOWN)
