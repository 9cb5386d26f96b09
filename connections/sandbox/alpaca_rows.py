"""Alpaca's wire format: an account's book as its Trading API tells it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connections.sandbox.alpaca_life import sandbox_uuid
from connections.sandbox.clock import NEW_YORK
from connections.sandbox.ledger import ZERO, Holdings, holdings_of, market_value, moment
from connections.sandbox.market import OPENED, Kind, cents, instrument
from connections.sandbox.wire import Fact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from connections.sandbox.ledger import Entry, Position
    from connections.sandbox.market import Market
    from connections.sandbox.people import AlpacaAccount

Row = dict[str, Any]

PROVIDER = "alpaca"
_CLASS = {Kind.OPTION: "us_option", Kind.CRYPTO: "crypto"}
_EXCHANGE = {Kind.OPTION: "", Kind.CRYPTO: "CRYPTO", Kind.EQUITY: "NASDAQ"}
_FRACTION = Decimal("0.0000000001")


def plain(value: Decimal) -> str:
    """A number as Alpaca writes it: text, no exponent, all its decimals."""
    return f"{value:f}"


def zulu(at: datetime) -> str:
    """A moment as Alpaca writes it: UTC with microseconds."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def activity_row(entry: Entry) -> Row:
    """One activity. A fill has neither amount nor date nor currency."""
    if entry.kind == "FILL":
        return {
            "activity_type": "FILL", "id": entry.id, "transaction_time": zulu(entry.at),
            "price": plain(entry.price), "qty": plain(abs(entry.quantity)),
            "symbol": entry.symbol, **entry.words,
        }  # fmt: skip
    row = {
        "activity_type": entry.kind, "id": entry.id, "date": entry.day.isoformat(),
        "created_at": zulu(entry.at), "net_amount": plain(entry.amount), "currency": "USD",
        **entry.words,
    }  # fmt: skip
    return row | ({"description": entry.description} if entry.description else {})


def account_row(
    account: AlpacaAccount, entries: list[Entry], now: datetime, market: Market
) -> tuple[Row, list[Fact]]:
    """The account and what is true of it. The pattern-day-trader keys are gone."""
    today = now.astimezone(NEW_YORK).date()
    held = holdings_of(entries, now)
    values = [
        _value(symbol, position, market, today) for symbol, position in held.positions.items()
    ]
    longs = sum((value for value in values if value > 0), ZERO)
    shorts = sum((value for value in values if value < 0), ZERO)
    equity = held.cash + longs + shorts
    before = moment(today, 0, 0)
    last = _equity(holdings_of((e for e in entries if e.at < before), now), market, today - _DAY)
    row = {
        "id": account.account_id, "account_number": account.number, "status": "ACTIVE",
        "crypto_status": "ACTIVE", "currency": "USD", "cash": plain(held.cash),
        "equity": plain(equity), "last_equity": plain(last), "portfolio_value": plain(equity),
        "long_market_value": plain(longs), "short_market_value": plain(shorts),
        "buying_power": plain(max(held.cash, ZERO) * 2),
        "regt_buying_power": plain(max(held.cash, ZERO) * 2),
        "non_marginable_buying_power": plain(max(held.cash, ZERO)),
        "options_buying_power": plain(max(held.cash, ZERO)), "options_trading_level": 2,
        "pending_transfer_in": "0", "accrued_fees": "0", "initial_margin": "0",
        "maintenance_margin": "0", "sma": "0", "multiplier": "2",
        "balance_asof": (today - _DAY).isoformat(), "created_at": zulu(moment(OPENED, 9, 0)),
        "account_blocked": False, "trading_blocked": False, "transfers_blocked": False,
        "trade_suspended_by_user": False, "shorting_enabled": True,
    }  # fmt: skip
    told = {"balance": plain(equity), "cash": plain(held.cash), "currency": "USD"}
    return row, [Fact(PROVIDER, account.account_id, "account", account.account_id, told)]


_DAY = timedelta(days=1)


def position_rows(
    account: AlpacaAccount, entries: list[Entry], now: datetime, market: Market
) -> tuple[list[Row], list[Fact]]:
    """The positions and what is true of them; a short one's quantity is negative."""
    today = now.astimezone(NEW_YORK).date()
    rows, facts = [], []
    for symbol, position in sorted(holdings_of(entries, now).positions.items()):
        row = _position(symbol, position, market, today)
        told = {name: row[wire] for name, wire in _POSITION_FACTS.items()}
        rows.append(row)
        facts.append(Fact(PROVIDER, account.account_id, "position", row["symbol"], told))
    return rows, facts


_POSITION_FACTS = {
    "quantity": "qty", "market_value": "market_value", "average_price": "avg_entry_price",
}  # fmt: skip


def _position(symbol: str, position: Position, market: Market, today: date) -> Row:
    listed = instrument(symbol)
    price, before = market.price(symbol, today), market.price(symbol, today - _DAY)
    value, cost = _value(symbol, position, market, today), position.cost
    gain = value - cost
    return {
        "asset_id": sandbox_uuid("asset", symbol),
        # Crypto is written without its slash here, and with it in activities.
        "symbol": symbol.replace("/", ""),
        "exchange": _EXCHANGE.get(listed.kind, "ARCA"),
        "asset_class": _CLASS.get(listed.kind, "us_equity"),
        "asset_marginable": listed.kind not in _CLASS, "qty": plain(position.quantity),
        "qty_available": plain(position.quantity),
        "avg_entry_price": plain(cost / position.quantity / listed.multiplier),
        "side": "long" if position.quantity > 0 else "short", "market_value": plain(value),
        "cost_basis": plain(cost), "unrealized_pl": plain(gain),
        "unrealized_plpc": plain((gain / abs(cost)).quantize(_FRACTION) if cost else ZERO),
        "unrealized_intraday_pl": plain((price - before) * position.quantity),
        "unrealized_intraday_plpc": plain((price / before - 1).quantize(_FRACTION)),
        "current_price": plain(price),
        "lastday_price": None if listed.kind is Kind.OPTION else plain(before),
        "change_today": plain((price / before - 1).quantize(_FRACTION)),
    }  # fmt: skip


def _value(symbol: str, position: Position, market: Market, day: date) -> Decimal:
    return market_value(symbol, position, lambda name: market.price(name, day))


def _equity(held: Holdings, market: Market, day: date) -> Decimal:
    return held.cash + held.value(lambda name: market.price(name, day))


def equity_by_day(
    entries: list[Entry], now: datetime, days: list[date], market: Market
) -> Iterator[Decimal]:
    """What the account was worth at the end of each day, to the cent."""
    held, position = Holdings(), 0
    counting = [entry for entry in entries if entry.state(now) == "settled"]
    for day in days:
        until = moment(day, 23, 59, 59)
        while position < len(counting) and counting[position].at <= until:
            held.take(counting[position])
            position += 1
        yield cents(_equity(held, market, day))


def cash_flow(entries: list[Entry], days: list[date], kind: str) -> list[Decimal]:
    """What one kind of activity brought on each day."""
    sums = dict.fromkeys(days, ZERO)
    for entry in entries:
        if entry.kind == kind and entry.day in sums:
            sums[entry.day] += entry.amount
    return list(sums.values())
