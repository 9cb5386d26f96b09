"""The security list and the positions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from accounts.types import AssetType
from holdings.types import HoldingData
from imports.formats import ofx_values as values
from imports.formats.ofx_bank import MAX_WORD, Context, Security
from imports.formats.ofx_investment import MAX_SYMBOL, security_key, security_of
from imports.formats.ofx_values import RowRejectedError
from imports.formats.ofx_worth import total_of

MAX_NAME = 200
_MONEY_MARKET = re.compile(r"money\s*m(?:ar)?ke?t|\bcash\b|\bsweep\b", re.IGNORECASE)
_DETAILS = {
    "HELDINACCT": "held_in",
    "DTPRICEASOF": "priced_on",
    "INV401KSOURCE": "contribution_source",
    "CURRENCY.CURRATE": "rate",
    "MEMO": "memo",
}


def securities_from(listed: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, Security]:
    """Return the security list by identity, from (STOCKINFO and the like, its SECINFO's values)."""
    found: dict[str, Security] = {}
    for tag, info in listed:
        if key := security_key(info):
            found.setdefault(
                key,
                Security(
                    name=values.text(info.get("SECNAME", ""), MAX_NAME),
                    ticker=values.text(info.get("TICKER", ""), MAX_SYMBOL),
                    tag=tag,
                ),
            )
    return found


def holding_from(tag: str, row: Mapping[str, str], context: Context) -> HoldingData:
    """Return the position of one row, short ones negative. RowRejectedError when unreadable.

    The market value is MKTVAL, never units times price: a bond's price is a percentage of its
    face, an option's stands for a hundred shares.
    """
    security = security_of(tag, row, context)
    if not security.key:
        raise RowRejectedError("security_missing")
    units = values.quantity(row.get("UNITS", ""), context.limits)
    if units is None:
        raise RowRejectedError("quantity_missing")
    currency = context.currency_of(row)
    is_short = row.get("POSTYPE", "").upper() == "SHORT" or units < 0
    written = row.get("MKTVAL", "")
    value = values.amount(written, context.limits, currency) if written else None
    price = values.quantity(row.get("UNITPRICE", ""), context.limits)
    return HoldingData(
        provider_holding_id=f"{security.key}:SHORT" if is_short else security.key,
        quantity=-abs(units) if is_short else units,
        currency=currency,
        asset_type=_asset_type(security.asset_type, security.name, price),
        symbol=security.symbol,
        cusip=security.cusip,
        isin=security.isin,
        security_name=security.name,
        # A short position is owed, whichever sign the broker writes.
        market_value=-abs(value) if is_short and value is not None else value,
        current_price=price,
        average_price=values.quantity(row.get("AVGCOSTBASIS", ""), context.limits),
        metadata={
            name: values.text(row[element], MAX_WORD)
            for element, name in _DETAILS.items()
            if element in row
        },
    )


def merged(positions: Iterable[HoldingData]) -> tuple[list[HoldingData], int]:
    """Add up the parts of each position (lots, sub-accounts); also how many rows that hides.

    Positions of no units are hidden too.
    """
    found: dict[tuple[str, str], HoldingData] = {}
    hidden = 0
    for position in positions:
        key = (position.provider_holding_id, position.currency)
        if not position.quantity or key in found:
            hidden += 1
        if position.quantity:
            found[key] = _together(found[key], position) if key in found else position
    return _with_own_ids(found.values()), hidden


def _together(one: HoldingData, other: HoldingData) -> HoldingData:
    return replace(
        one,
        quantity=one.quantity + other.quantity,
        market_value=total_of([one.market_value, other.market_value]),
        average_price=one.average_price if one.average_price == other.average_price else None,
        current_price=other.current_price if other.current_price is not None else one.current_price,
    )


def _with_own_ids(positions: Iterable[HoldingData]) -> list[HoldingData]:
    """One security held in two currencies is two positions."""
    result: list[HoldingData] = []
    taken: set[str] = set()
    for position in positions:
        own_id = position.provider_holding_id
        if own_id in taken:
            own_id = f"{own_id}:{position.currency}"
        taken.add(own_id)
        result.append(replace(position, provider_holding_id=own_id))
    return result


def _asset_type(listed: AssetType, name: str, price: Decimal | None) -> AssetType:
    if listed == AssetType.MUTUAL_FUND and price == 1 and _MONEY_MARKET.search(name):
        return AssetType.CASH_EQUIVALENT
    return listed
