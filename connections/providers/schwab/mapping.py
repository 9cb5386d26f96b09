"""How Schwab's rows become ours. Strict on what every answer has that was seen, lenient beyond."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from accounts.types import AccountData, AccountType, AssetType
from connections.providers.schwab.words import asset_type, kind_of, status
from connections.rows import product, total
from dashtam.money import amount, canonical
from dashtam.text import mask_number
from holdings.types import HoldingData
from transactions.types import TransactionData

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

    from connections.rows import Row

SLUG = "schwab"
# No answer says a currency: accounts for individuals are kept in dollars.
CURRENCY = "USD"
NEW_YORK = ZoneInfo("America/New_York")
OPTION_MULTIPLIER = Decimal(100)
SHOWN_DIGITS = 4

_BALANCE = ("liquidationValue", "currentLiquidationValue")
_CASH = ("cashBalance", "totalCash", "cashAvailableForTrading")
_AVAILABLE = ("availableFunds", "cashAvailableForTrading", "cashAvailableForWithdrawal")


class Leg(NamedTuple):
    """What a transaction did to one security, all of its items taken together."""

    instrument: Row
    symbol: str
    quantity: Decimal
    cost: Decimal
    price: Decimal | None
    effect: str


def account_from(row: Row, hashes: Mapping[str, str], nicknames: Mapping[str, str]) -> AccountData:
    """An account; all that Schwab tells of its kind is CASH or MARGIN."""
    holder = row.row("securitiesAccount")
    number = holder.text("accountNumber")
    if number not in hashes:
        raise holder.unreadable("accountNumber")
    balances = holder.row("currentBalances")
    beside = row.row("aggregatedBalance") if row.has("aggregatedBalance") else balances
    masked = mask_number(number)
    return AccountData(
        provider_account_id=hashes[number],
        name=nicknames.get(number, "").strip() or f"Schwab {masked}",
        account_type=AccountType.BROKERAGE,
        currency=CURRENCY,
        balance=_first((balances, beside), _BALANCE),
        available_balance=_first((balances,), _AVAILABLE),
        cash_value=_cash(balances),
        account_number_masked=masked,
        institution_name="Charles Schwab",
        metadata={"type": holder.words("type")},
    )


def holding_from(row: Row) -> HoldingData:
    """A position; its cost, like its value, is negative when it is short."""
    instrument = row.row("instrument")
    symbol, cusip = symbol_of(instrument), instrument.words("cusip")
    if not symbol and not cusip:
        raise instrument.unreadable("symbol")
    quantity = total([row.quantity("longQuantity"), -row.quantity("shortQuantity")])
    return HoldingData(
        provider_holding_id=f"{SLUG}:{symbol}:{cusip}",
        quantity=quantity,
        currency=CURRENCY,
        asset_type=asset_type(instrument),
        symbol=symbol,
        cusip=cusip,
        security_name=instrument.words("description"),
        cost_basis=_cost_basis(row, instrument, quantity),
        market_value=row.amount("marketValue"),
        average_price=row.maybe(row.quantity, "averagePrice"),
    )


def transaction_from(row: Row, account: AccountData) -> TransactionData:
    """A transaction: at most one security, its fees summed up, the rest in the metadata."""
    if not is_of(account, row):
        raise row.unreadable("accountNumber")
    word, said, net = row.text("type"), row.words("description"), row.amount("netAmount")
    items = row.rows("transferItems")
    legs = _legs(items)
    leg = max(legs, key=lambda one: abs(one.cost), default=None)
    if word == "TRADE" and leg is None:
        raise row.unreadable("transferItems")
    quantity, effect = (leg.quantity, leg.effect) if leg else (None, "")
    kind, subtype = kind_of(word, said, net, quantity=quantity, effect=effect)
    return TransactionData(
        provider_transaction_id=row.identifier("activityId"),
        amount=net,
        currency=CURRENCY,
        transaction_date=new_york_day(row.instant("tradeDate")),
        transaction_type=kind,
        subtype=subtype,
        status=status(row.text("status")),
        settlement_date=_settlement(row),
        occurred_at=row.instant("time"),
        commission=_commission(items),
        raw_type=word,
        metadata=_metadata(row, net, legs, leg),
        told_as=row.told_as,
        **(_security(said, leg) if leg else {"description": said}),
    )


@lru_cache(maxsize=4096)
def new_york_day(moment: datetime) -> date:
    """The day it was on the exchange: Schwab writes dates as midnight there, told in UTC."""
    return moment.astimezone(NEW_YORK).date()


def is_of(account: AccountData, row: Row) -> bool:
    """Whether a row is of this account, as far as it says."""
    number = row.words("accountNumber")
    return not number or number[-SHOWN_DIGITS:] == account.account_number_masked[-SHOWN_DIGITS:]


def _security(said: str, leg: Leg) -> dict[str, Any]:
    name = leg.instrument.words("description")
    return {
        "description": said or name or leg.symbol,
        "asset_type": asset_type(leg.instrument),
        "symbol": leg.symbol,
        "cusip": leg.instrument.words("cusip"),
        "security_name": name,
        "quantity": leg.quantity,
        "unit_price": leg.price,
    }


def _legs(items: Iterable[Row]) -> list[Leg]:
    """One for each security: an exercise comes and goes in several items of the same one."""
    parts: dict[str, list[Row]] = {}
    for item in items:
        instrument = item.row("instrument")
        if not _is_cash(instrument):
            parts.setdefault(_key(instrument), []).append(item)
    return [_leg(of_one) for of_one in parts.values()]


def _leg(parts: list[Row]) -> Leg:
    prices = [part.maybe(part.quantity, "price") for part in parts]
    instrument = parts[0].row("instrument")
    return Leg(
        instrument=instrument,
        symbol=symbol_of(instrument),
        quantity=total([part.quantity("amount") for part in parts]),
        cost=total([part.amount("cost") for part in parts]),
        price=next((price for price in prices if price), None),
        effect=parts[0].words("positionEffect"),
    )


def _commission(items: Iterable[Row]) -> Decimal | None:
    """Every fee of a transaction together, as a positive figure; None when none is told of."""
    fees = [-item.amount("cost") for item in items if item.has("feeType")]
    return amount(total(fees)) if fees else None


def _settlement(row: Row) -> date | None:
    moment = row.maybe(row.instant, "settlementDate")
    return new_york_day(moment) if moment else None


def _metadata(row: Row, net: Decimal, legs: Iterable[Leg], leg: Leg | None) -> dict[str, object]:
    others = {one.symbol: canonical(one.quantity) for one in legs if one is not leg}
    said = {key: row.identifier(key) for key in ("orderId", "positionId") if row.has(key)}
    exact = row.quantity("netAmount")
    if exact != net:
        said["netAmount"] = canonical(exact)
    return {"subAccount": row.words("subAccount"), **said, **({"others": others} if others else {})}


def _cost_basis(row: Row, instrument: Row, quantity: Decimal) -> Decimal | None:
    """What was paid: price by quantity, except where a price is not per unit, as a bond's is."""
    if asset_type(instrument) == AssetType.FIXED_INCOME:
        gain = row.maybe(row.amount, "longOpenProfitLoss")
        return None if gain is None else amount(row.amount("marketValue") - gain)
    price = row.maybe(row.quantity, "averagePrice")
    if price is None:
        return None
    return amount(product(price, quantity, _multiplier(instrument)))


def _multiplier(instrument: Row) -> Decimal:
    if asset_type(instrument) != AssetType.OPTION:
        return Decimal(1)
    return instrument.maybe(instrument.quantity, "optionPremiumMultiplier") or OPTION_MULTIPLIER


def symbol_of(instrument: Row) -> str:
    """Its symbol; an option's without the padding between root and date."""
    return "".join(instrument.words("symbol").split())


def _key(instrument: Row) -> str:
    key = symbol_of(instrument) or instrument.words("cusip") or instrument.words("description")
    if not key:
        raise instrument.unreadable("symbol")
    return key


def _is_cash(instrument: Row) -> bool:
    return instrument.text("assetType") == "CURRENCY"


def _cash(balances: Row) -> Decimal | None:
    """Cash, with what is swept into a money fund overnight: that fund is no position."""
    cash = _first((balances,), _CASH)
    swept = balances.maybe(balances.amount, "moneyMarketFund") or Decimal(0)
    return None if cash is None else amount(cash + swept)


def _first(rows: Iterable[Row], keys: Iterable[str]) -> Decimal | None:
    figures = (row.amount(key) for key in keys for row in rows if row.has(key))
    return next(figures, None)
