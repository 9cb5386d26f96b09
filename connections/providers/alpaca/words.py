"""The words of the Trading API and what they are here."""

from __future__ import annotations

import re
from decimal import Decimal

from accounts.types import AssetType
from transactions.types import TransactionSubtype as Subtype
from transactions.types import TransactionType as Type
from transactions.types import subtype_of

Kind = tuple[Type, Subtype]

_CLOSED = frozenset({"INACTIVE", "ACCOUNT_CLOSED", "REJECTED", "SUBMISSION_FAILED"})
_ASSETS = {
    "us_equity": AssetType.EQUITY,
    "us_option": AssetType.OPTION,
    "crypto": AssetType.CRYPTOCURRENCY,
}
_OPTION = re.compile(r"[A-Z][A-Z0-9]{0,5}[0-9]{6}[CP][0-9]{8}", re.ASCII)
_CRYPTO = re.compile(r"[A-Z0-9]+/[A-Z]+|[A-Z0-9]{3,}USD[CT]?", re.ASCII)
_SIDES = {
    "buy": Subtype.BUY,
    "buy_to_cover": Subtype.BUY_TO_COVER,
    "sell": Subtype.SELL,
    "sell_short": Subtype.SHORT_SELL,
}
# What is not here is other/unknown; where the subtype is empty, the signs decide.
_KINDS = {
    "ACATC": (Type.TRANSFER, "transfer"),
    "ACATS": (Type.TRANSFER, "transfer"),
    "CFEE": (Type.FEE, "commission"),
    "CGD": (Type.INCOME, "capital_gain"),
    "CIL": (Type.INCOME, "distribution"),
    "CSD": (Type.TRANSFER, ""),
    "CSW": (Type.TRANSFER, ""),
    "DIV": (Type.INCOME, "dividend"),
    "DIVCGL": (Type.INCOME, "capital_gain"),
    "DIVCGS": (Type.INCOME, "capital_gain"),
    "DIVFEE": (Type.FEE, "other_fee"),
    "DIVFT": (Type.FEE, "other_fee"),
    "DIVNRA": (Type.FEE, "other_fee"),
    "DIVROC": (Type.INCOME, "distribution"),
    "DIVTW": (Type.FEE, "other_fee"),
    "DIVTXEX": (Type.INCOME, "dividend"),
    "DIVWH": (Type.FEE, "other_fee"),
    "EXTRD": (Type.TRADE, ""),
    "FEE": (Type.FEE, "account_fee"),
    "FOPT": (Type.TRANSFER, "transfer"),
    "FXTRD": (Type.TRANSFER, "internal"),
    "INT": (Type.INCOME, "interest"),
    "INTNRA": (Type.FEE, "other_fee"),
    "INTPNL": (Type.INCOME, "interest"),
    "INTTW": (Type.FEE, "other_fee"),
    "JNL": (Type.TRANSFER, "transfer"),
    "JNLC": (Type.TRANSFER, "transfer"),
    "JNLS": (Type.TRANSFER, "transfer"),
    "MA": (Type.OTHER, "adjustment"),
    "MEM": (Type.OTHER, "adjustment"),
    "MISC": (Type.OTHER, "adjustment"),
    "NC": (Type.OTHER, "adjustment"),
    "OPASN": (Type.TRADE, "assignment"),
    "OPCA": (Type.OTHER, "adjustment"),
    "OPCSH": (Type.OTHER, "adjustment"),
    "OPEXC": (Type.TRADE, "exercise"),
    "OPEXP": (Type.TRADE, "expiration"),
    "OPTRD": (Type.TRADE, ""),
    "PTC": (Type.FEE, "other_fee"),
    "PTR": (Type.OTHER, "refund"),
    "REORG": (Type.OTHER, "adjustment"),
    "SPIN": (Type.OTHER, "adjustment"),
    "SPLIT": (Type.OTHER, "adjustment"),
    "SWP": (Type.TRANSFER, "internal"),
    "TRANS": (Type.TRANSFER, ""),
    "VOF": (Type.OTHER, "adjustment"),
    "WH": (Type.FEE, "other_fee"),
}


def is_open(status: str) -> bool:
    """Whether an account of this status is in use; a word nobody knows closes nothing."""
    return status not in _CLOSED


def asset_type(asset_class: str, symbol: str) -> AssetType:
    """The kind of security, by its class; activities have none, there the symbol tells."""
    if asset_class:
        return _ASSETS.get(asset_class, AssetType.OTHER)
    if _OPTION.fullmatch(symbol):
        return AssetType.OPTION
    return AssetType.CRYPTOCURRENCY if _CRYPTO.fullmatch(symbol) else AssetType.EQUITY


def side_of(word: str) -> Subtype | None:
    """What a fill was, by its side; None when the side is not known, and with it the sign."""
    return _SIDES.get(word)


def kind_of(word: str, amount: Decimal, quantity: Decimal | None, *, has_security: bool) -> Kind:
    """What an activity other than a fill is; signs are the wire's, plus is into the account."""
    kind, said = _KINDS.get(word, (Type.OTHER, "unknown"))
    if word == "INT" and amount < 0:
        return Type.FEE, Subtype.MARGIN_INTEREST
    if said == "transfer":
        said = "transfer_in" if (amount or quantity or 0) >= 0 else "transfer_out"
    return kind, subtype_of(said, kind, amount=amount, quantity=quantity, has_security=has_security)
