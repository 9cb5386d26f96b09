"""Schwab's wire format: an account's book as its Trader API tells it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connections.sandbox.clock import NEW_YORK
from connections.sandbox.ledger import ZERO, State, holdings_of, moment
from connections.sandbox.market import Kind, cents, instrument, option_terms
from connections.sandbox.wire import Fact

if TYPE_CHECKING:
    from datetime import date, datetime

    from connections.sandbox.ledger import Entry, Position
    from connections.sandbox.market import Market
    from connections.sandbox.people import SchwabAccount

Row = dict[str, Any]

PROVIDER = "schwab"
_STATUS = {
    State.PENDING: "PENDING",
    State.SETTLED: "VALID",
    State.FAILED: "INVALID",
    State.CANCELLED: "INVALID",
}
_ASSET = {
    Kind.EQUITY: ("EQUITY", "COMMON_STOCK"),
    Kind.ETF: ("COLLECTIVE_INVESTMENT", "EXCHANGE_TRADED_FUND"),
    Kind.MUTUAL_FUND: ("MUTUAL_FUND", "OPEN_END_TAXABLE"),
    Kind.MONEY_FUND: ("CASH_EQUIVALENT", "MONEY_MARKET_FUND"),
    Kind.BOND: ("FIXED_INCOME", "US_TREASURY_NOTE"),
    Kind.OPTION: ("OPTION", "VANILLA"),
}
_AVERAGE = Decimal("0.000001")
_CURRENCY = {
    "assetType": "CURRENCY", "status": "ACTIVE", "symbol": "CURRENCY_USD",
    "description": "USD currency", "instrumentId": 1, "closingPrice": 0,
}  # fmt: skip


def stamp(at: datetime) -> str:
    """A moment as Schwab writes it: UTC, an offset without a colon."""
    return f"{at:%Y-%m-%dT%H:%M:%S}+0000"


def _midnight(day: date) -> str:
    return stamp(moment(day, 0, 0))


def transaction_row(entry: Entry, account: SchwabAccount, now: datetime, market: Market) -> Row:
    """One transaction; trades have no description, dividends no security."""
    row: Row = {
        "activityId": int(entry.id),
        "time": stamp(entry.at),
        "accountNumber": account.number,
        "type": entry.kind,
        "status": _STATUS[entry.state(now)],
        "subAccount": entry.purse,
        "tradeDate": stamp(entry.at) if entry.kind == "TRADE" else _midnight(entry.day),
        "netAmount": entry.amount,
        "transferItems": _legs(entry, market),
    }
    if entry.description:
        row["description"] = entry.description
    if entry.kind == "DIVIDEND_OR_INTEREST":
        row["qualifiedDividend"] = not entry.description.startswith("BANK INT")
    if entry.kind == "TRADE":
        row |= {"positionId": int(entry.id) % 10**10, "orderId": 1_000_000_000_000 + int(entry.id)}
    settles = entry.settles.astimezone(NEW_YORK).date() if entry.settles else entry.day
    if entry.kind != "RECEIVE_AND_DELIVER":
        row["settlementDate"] = _midnight(settles)
    return row


def _legs(entry: Entry, market: Market) -> list[Row]:
    if not entry.symbol:
        return [{"instrument": _CURRENCY, "amount": entry.amount, "cost": ZERO, "price": ZERO}]
    fees = [
        {"instrument": _CURRENCY, "amount": fee, "cost": -fee, "feeType": name}
        for name, fee in entry.fees
    ]
    cost = entry.amount + sum((fee for _name, fee in entry.fees), ZERO)
    leg = {
        "instrument": _instrument(entry.symbol, market.price(entry.symbol, entry.day)),
        "amount": entry.quantity, "cost": cost, "price": entry.price,
    }  # fmt: skip
    if "effect" in entry.words:
        leg["positionEffect"] = entry.words["effect"]
    return [*fees, leg]


def _instrument(symbol: str, closing: Decimal) -> Row:
    listed = instrument(symbol)
    asset, kind = _ASSET[listed.kind]
    row = {
        "assetType": asset, "status": "ACTIVE", "symbol": symbol, "instrumentId": _number(symbol),
        "closingPrice": closing, "type": kind,
    }  # fmt: skip
    if listed.kind is Kind.OPTION:
        _underlying, expires, _right, strike = option_terms(symbol)
        row |= {
            "expirationDate": _midnight(expires), "optionPremiumMultiplier": listed.multiplier,
            "strikePrice": strike, **_option_words(symbol),
        }  # fmt: skip
    elif listed.kind is not Kind.EQUITY:
        row |= {"cusip": listed.cusip, "description": listed.name}
    return row


def _option_words(symbol: str) -> Row:
    underlying, _expires, right, _strike = option_terms(symbol)
    name = instrument(symbol).name
    return {"description": name, "putCall": right.upper(), "underlyingSymbol": underlying}


def _number(symbol: str) -> int:
    return sum(byte * 131**place for place, byte in enumerate(symbol.encode()[:4]))


def position_row(symbol: str, held: Position, price: Decimal) -> Row:
    """One position; a short one has a positive shortQuantity and a negative value."""
    listed = instrument(symbol)
    asset, kind = _ASSET[listed.kind]
    long, short = max(held.quantity, ZERO), max(-held.quantity, ZERO)
    average = average_price(symbol, held)
    value = cents(held.quantity * price * listed.multiplier)
    security: Row = {"assetType": asset, "symbol": symbol, "netChange": ZERO, "type": kind}
    if listed.kind is Kind.OPTION:
        security |= _option_words(symbol)
    else:
        security |= {"cusip": listed.cusip, "description": listed.name}
    side = "Long" if long else "Short"
    return {
        "shortQuantity": short, "averagePrice": average, "currentDayProfitLoss": ZERO,
        "currentDayProfitLossPercentage": ZERO, "longQuantity": long, "settledLongQuantity": long,
        "settledShortQuantity": -short, "instrument": security, "marketValue": value,
        "maintenanceRequirement": cents(abs(value) * Decimal("0.3")),
        f"average{side}Price": average, f"taxLotAverage{side}Price": average,
        f"{side.lower()}OpenProfitLoss": cents(value - held.cost),
        f"previousSession{side}Quantity": long or short, "currentDayCost": ZERO,
    }  # fmt: skip


def average_price(symbol: str, held: Position) -> Decimal:
    """What a unit cost on average, six decimals."""
    units = held.quantity * instrument(symbol).multiplier
    return (held.cost / units).quantize(_AVERAGE)


def account_row(
    account: SchwabAccount, entries: list[Entry], now: datetime, market: Market, *, full: bool
) -> tuple[Row, list[Fact]]:
    """An account with its balances, `full` with its positions; and what is true of it."""
    day = now.astimezone(NEW_YORK).date()
    held = holdings_of(entries, now)
    prices = {symbol: market.price(symbol, day) for symbol in held.positions}
    rows = [
        position_row(symbol, position, prices[symbol])
        for symbol, position in sorted(held.positions.items())
    ]
    pending = [entry.amount for entry in entries if entry.state(now) is State.PENDING]
    balances = _balances(account.kind, held.cash, rows, sum(pending, ZERO))
    inner = {
        "type": account.kind, "accountNumber": account.number, "roundTrips": 0,
        "isDayTrader": False, "isClosingOnlyRestricted": False, "pfcbFlag": False,
        "initialBalances": balances | {"accountValue": balances["liquidationValue"]},
        "currentBalances": balances,
        "projectedBalances": {"availableFunds": held.cash, "isInCall": False},
    }  # fmt: skip
    if full and rows:
        inner["positions"] = rows
    total = balances["liquidationValue"]
    aggregated = {"currentLiquidationValue": total, "liquidationValue": total}
    facts = [
        Fact(PROVIDER, account.hash_value, "account", account.hash_value, account_fact(balances))
    ]
    if full:
        facts += [_position_fact(account, row) for row in rows]
    return {"securitiesAccount": inner, "aggregatedBalance": aggregated}, facts


def _balances(kind: str, cash: Decimal, positions: list[Row], pending: Decimal) -> Row:
    options = _worth(positions, {"OPTION"})
    funds, bonds = _worth(positions, {"MUTUAL_FUND"}), _worth(positions, {"FIXED_INCOME"})
    longs = sum((row["marketValue"] for row in positions if row["longQuantity"]), ZERO)
    shorts = sum((row["marketValue"] for row in positions if row["shortQuantity"]), ZERO)
    total = cash + longs + shorts
    balances = {
        "accruedInterest": ZERO, "cashBalance": cash, "cashReceipts": ZERO,
        "longOptionMarketValue": options, "liquidationValue": total,
        "longMarketValue": longs - options - funds - bonds, "moneyMarketFund": ZERO,
        "savings": ZERO, "shortMarketValue": shorts, "pendingDeposits": pending,
        "mutualFundValue": funds, "bondValue": bonds, "shortOptionMarketValue": ZERO,
    }  # fmt: skip
    if kind == "CASH":
        return balances | {
            "cashAvailableForTrading": cash, "cashAvailableForWithdrawal": cash,
            "totalCash": cash, "unsettledCash": ZERO, "cashCall": ZERO,
            "longNonMarginableMarketValue": ZERO,
        }  # fmt: skip
    return balances | {
        "availableFunds": cash, "buyingPower": max(cash, ZERO) * 2, "equity": total - options,
        "equityPercentage": 100, "maintenanceRequirement": ZERO, "sma": max(cash, ZERO),
        "marginBalance": ZERO, "shortBalance": ZERO,
    }  # fmt: skip


def _worth(positions: list[Row], kinds: set[str]) -> Decimal:
    chosen = (row for row in positions if row["instrument"]["assetType"] in kinds)
    return sum((row["marketValue"] for row in chosen), ZERO)


def account_fact(balances: Row) -> dict[str, str]:
    """What is true of an account."""
    balance, cash = str(balances["liquidationValue"]), str(balances["cashBalance"])
    return {"balance": balance, "cash": cash, "currency": "USD"}


def _position_fact(account: SchwabAccount, row: Row) -> Fact:
    told = {
        "quantity": str(row["longQuantity"] - row["shortQuantity"]),
        "market_value": str(row["marketValue"]),
        "average_price": str(row["averagePrice"]),
    }
    return Fact(PROVIDER, account.hash_value, "position", row["instrument"]["symbol"], told)
