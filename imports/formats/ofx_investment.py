"""Investment rows: trades, income, transfers and the like to transactions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from accounts.types import AssetType
from imports.formats import ofx_values as values
from imports.formats.ofx_bank import (
    MAX_DESCRIPTION,
    MAX_WORD,
    Context,
    describe,
    metadata_of,
    provider_id,
)
from imports.formats.ofx_words import ASSET_TYPES, CLOSURES, INCOMES, OTHER_ROWS, TRADES, Kind
from transactions.types import TransactionData
from transactions.types import TransactionSubtype as Subtype
from transactions.types import TransactionType as Type

MAX_SYMBOL = 50
# No money moves in these, and OFX gives them no total.
_WITHOUT_CASH = frozenset({"SPLIT", "TRANSFER", "JRNLSEC", "CLOSUREOPT"})
_CUSIP = re.compile(r"[0-9A-Z*@#]{9}", re.ASCII)
_ISIN = re.compile(r"[A-Z]{2}[0-9A-Z]{9}[0-9]", re.ASCII)
_ETF = re.compile(r"\bETF\b", re.IGNORECASE)
_CHARGES = {
    "FEES": "fees",
    "TAXES": "taxes",
    "LOAD": "load",
    "MARKUP": "markup",
    "WITHHOLDING": "withholding",
    "STATEWITHHOLDING": "state_withholding",
    "PENALTY": "penalty",
    "ACCRDINT": "accrued_interest",
}
_DETAILS = {
    "INCOMETYPE": "income_type",
    "OLDUNITS": "old_units",
    "NEWUNITS": "new_units",
    "NUMERATOR": "numerator",
    "DENOMINATOR": "denominator",
    "SUBACCTFROM": "from_sub_account",
    "SUBACCTTO": "to_sub_account",
    "REVERSALFITID": "reverses_id",
    "RELFITID": "related_id",
    "SHPERCTRCT": "shares_per_contract",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityFacts:
    """Which security a row or a position is about; every part may be empty."""

    key: str
    name: str
    symbol: str
    cusip: str
    isin: str
    asset_type: AssetType


def security_key(row: Mapping[str, str]) -> str:
    """Return the identity of a row's security, UNIQUEIDTYPE:UNIQUEID, "" when it has none."""
    unique_id = row.get("UNIQUEID", "")
    kind = row.get("UNIQUEIDTYPE", "").upper()
    return values.text(f"{kind}:{unique_id}", MAX_WORD) if unique_id else ""


def security_of(tag: str, row: Mapping[str, str], context: Context) -> SecurityFacts:
    """Return what the row and the security list say about the row's security."""
    key = security_key(row)
    listed = context.securities.get(key)
    kind, _colon, unique_id = key.partition(":")
    name = listed.name if listed else ""
    ticker = listed.ticker if listed else ""
    return SecurityFacts(
        key=key,
        name=name,
        symbol=ticker or (values.text(unique_id, MAX_SYMBOL) if kind == "TICKER" else ""),
        cusip=unique_id if kind == "CUSIP" and _CUSIP.fullmatch(unique_id) else "",
        isin=unique_id if kind == "ISIN" and _ISIN.fullmatch(unique_id) else "",
        asset_type=_asset_type(listed.tag if listed else tag, name),
    )


def transaction_from(tag: str, row: Mapping[str, str], context: Context) -> TransactionData:
    """Return the transaction of one investment row. RowRejectedError when it is unreadable.

    The amount is TOTAL; units are negative where securities leave. A sign that contradicts the
    kind of trade is corrected and the row is flagged.
    """
    written = row.get("DTTRADE", "")
    day = values.row_date(written, context.limits)
    currency = context.currency_of(row)
    total = _amount(tag, row, context, currency)
    units = values.quantity(row.get("UNITS", ""), context.limits)
    amount, quantity = _signed(tag, total, units, row)
    security = security_of(tag, row, context)
    (kind, subtype), word = _kind(tag, row, quantity)
    settled = values.calendar_date(row.get("DTSETTLE", ""))
    memo = describe(row.get("MEMO", ""), "")
    return TransactionData(
        provider_transaction_id=provider_id(row),
        amount=amount,
        currency=currency,
        transaction_date=day,
        settlement_date=settled,
        occurred_at=values.instant(written),
        transaction_type=kind,
        subtype=subtype,
        description=memo or values.text(security.name, MAX_DESCRIPTION),
        asset_type=security.asset_type if security.key else None,
        symbol=security.symbol,
        cusip=security.cusip,
        isin=security.isin,
        security_name=security.name,
        quantity=quantity,
        unit_price=values.quantity(row.get("UNITPRICE", ""), context.limits),
        commission=values.optional_amount(row.get("COMMISSION", ""), context.limits, currency),
        raw_type=word,
        is_flagged=amount != total,
        metadata=_metadata(row, security.key, total),
    )


def _amount(tag: str, row: Mapping[str, str], context: Context, currency: str) -> Decimal:
    written = row.get("FRACCASH", "") if tag == "SPLIT" else row.get("TOTAL", "")
    if not written and tag in _WITHOUT_CASH:
        return Decimal("0.0000")
    return values.amount(written, context.limits, currency)


def _signed(
    tag: str, total: Decimal, units: Decimal | None, row: Mapping[str, str]
) -> tuple[Decimal, Decimal | None]:
    """Buying takes money and brings units, selling the reverse; a cancelled trade turns both."""
    if units is None:
        return total, None
    if tag.startswith("BUY") or tag == "REINVEST":
        return (-total if total > 0 and units > 0 else total), units
    if tag.startswith("SELL"):
        return total, -units if total > 0 and units > 0 else units
    if tag == "TRANSFER" and row.get("TFERACTION", "").upper() == "OUT":
        return total, -abs(units)
    return total, units


def _kind(tag: str, row: Mapping[str, str], quantity: Decimal | None) -> tuple[Kind, str]:
    """Return type and subtype, and the file's own words for them."""
    if tag.startswith(("BUY", "SELL")):
        side = "BUY" if tag.startswith("BUY") else "SELL"
        word = (row.get(f"OPT{side}TYPE") or row.get(f"{side}TYPE", "")).upper()
        return TRADES.get(word, TRADES[side]), _words(tag, word)
    if tag == "INCOME":
        word = row.get("INCOMETYPE", "").upper()
        return INCOMES.get(word, (Type.INCOME, Subtype.UNKNOWN)), _words(tag, word)
    if tag == "CLOSUREOPT":
        word = row.get("OPTACTION", "").upper()
        return CLOSURES.get(word, (Type.OTHER, Subtype.UNKNOWN)), _words(tag, word)
    if tag == "TRANSFER":
        leaves = quantity is not None and quantity < 0
        side = Subtype.TRANSFER_OUT if leaves else Subtype.TRANSFER_IN
        return (Type.TRANSFER, side), _words(tag, row.get("TFERACTION", ""))
    return OTHER_ROWS[tag], tag


def _words(tag: str, word: str) -> str:
    return values.text(f"{tag} {word}", MAX_WORD)


def _metadata(row: Mapping[str, str], security: str, total: Decimal) -> dict[str, object]:
    kept = metadata_of(row, "TOTAL", amount=total)
    for tag, name in (*_CHARGES.items(), *_DETAILS.items()):
        if row.get(tag):
            kept[name] = values.text(row[tag], MAX_WORD)
    if security:
        kept["security_id"] = security
    return kept


def _asset_type(tag: str, name: str) -> AssetType:
    word = re.sub("^(?:BUY|SELL|POS)|INFO$", "", tag)
    if word == "STOCK" and _ETF.search(name):
        return AssetType.ETF
    return ASSET_TYPES.get(word, AssetType.OTHER)
