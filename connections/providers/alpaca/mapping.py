"""How Alpaca's rows become ours: figures are text there, and a fill has no amount at all."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from accounts.types import AccountData, AccountType, AssetType
from connections.providers.alpaca.words import asset_type, is_open, kind_of, side_of
from connections.rows import product, total
from dashtam.money import amount, canonical
from dashtam.text import mask_number
from holdings.types import HoldingData
from transactions.types import TransactionData, TransactionSubtype, TransactionType, status_of

if TYPE_CHECKING:
    from connections.rows import Row

NEW_YORK = ZoneInfo("America/New_York")
OPTION_MULTIPLIER = 100
FILL = "FILL"

_BOUGHT = frozenset({TransactionSubtype.BUY, TransactionSubtype.BUY_TO_COVER})
# What is told with these is the position they are about, not a change of it.
_ABOUT_A_POSITION = frozenset({TransactionType.INCOME, TransactionType.FEE})
_TAKES_UNITS = "CFEE"


def account_from(row: Row, environment: str) -> AccountData:
    """The account; its worth is what is in it less what is borrowed, so cash may be negative."""
    masked = mask_number(row.identifier("account_number"))
    cash = row.amount("cash")
    values = [row.maybe(row.amount, key) for key in ("long_market_value", "short_market_value")]
    title = "Alpaca" if environment == "live" else f"Alpaca {environment}"
    return AccountData(
        provider_account_id=row.identifier("id"),
        name=f"{title} {masked}",
        account_type=AccountType.BROKERAGE,
        currency=row.currency("currency"),
        balance=row.amount("equity"),
        available_balance=cash,
        holdings_value=amount(total([value for value in values if value is not None])),
        cash_value=cash,
        account_number_masked=masked,
        institution_name="Alpaca",
        is_active=is_open(row.words("status")),
        metadata={"status": row.words("status"), "environment": environment},
    )


def holding_from(row: Row, account: AccountData) -> HoldingData:
    """A position in the account's currency; short ones are negative in every figure."""
    quantity, symbol = row.quantity("qty"), symbol_of(row)
    return HoldingData(
        provider_holding_id=row.identifier("asset_id"),
        quantity=-abs(quantity) if row.words("side") == "short" else quantity,
        currency=account.currency,
        asset_type=asset_type(row.text("asset_class"), symbol),
        symbol=symbol,
        cost_basis=row.amount("cost_basis"),
        market_value=row.amount("market_value"),
        average_price=row.quantity("avg_entry_price"),
        current_price=row.maybe(row.quantity, "current_price"),
        metadata={"exchange": row.words("exchange")},
    )


def transaction_from(row: Row, account: AccountData) -> TransactionData:
    """A fill, or anything else that happened."""
    if row.words("account_id") not in ("", account.provider_account_id):
        raise row.unreadable("account_id")
    return _fill(row, account) if row.text("activity_type") == FILL else _other(row, account)


def symbol_of(row: Row) -> str:
    """The symbol; crypto is written with a slash in one place and without in another."""
    return row.text("symbol").replace("/", "")


def _fill(row: Row, account: AccountData) -> TransactionData:
    """A part of an order each, never merged: fees and the next part come as rows of their own."""
    side = side_of(row.text("side"))
    if side is None:
        raise row.unreadable("side")
    # The class by the symbol as it is written, where a slash tells crypto.
    asset = asset_type("", row.text("symbol"))
    moved, price = row.quantity("qty"), row.quantity("price")
    quantity = moved if side in _BOUGHT else -moved
    multiplier = OPTION_MULTIPLIER if asset == AssetType.OPTION else 1
    exact = -product(quantity, price, multiplier)
    moment = row.instant("transaction_time")
    return TransactionData(
        provider_transaction_id=row.identifier("id"),
        amount=amount(exact),
        currency=account.currency,
        transaction_date=moment.astimezone(NEW_YORK).date(),
        transaction_type=TransactionType.TRADE,
        subtype=side,
        occurred_at=moment,
        description=symbol_of(row),
        asset_type=asset,
        symbol=symbol_of(row),
        quantity=quantity,
        unit_price=price,
        raw_type=FILL,
        metadata={"order_id": row.words("order_id"), **_exact("amount", exact)},
    )


def _other(row: Row, account: AccountData) -> TransactionData:
    word, net = row.text("activity_type"), row.amount("net_amount")
    symbol = symbol_of(row) if row.words("symbol") else ""
    told = row.maybe(row.quantity, "qty")
    kind, subtype = kind_of(word, net, told, has_security=bool(symbol))
    is_moved = kind not in _ABOUT_A_POSITION or word == _TAKES_UNITS
    said = {key: row.words(key) for key in ("activity_sub_type", "group_id", "per_share_amount")}
    return TransactionData(
        provider_transaction_id=row.identifier("id"),
        amount=net,
        currency=row.currency("currency") if row.has("currency") else account.currency,
        transaction_date=row.day("date"),
        transaction_type=kind,
        subtype=subtype,
        status=status_of(row.text("status")),
        description=row.words("description") or symbol,
        asset_type=asset_type("", row.text("symbol")) if symbol else None,
        symbol=symbol,
        cusip=row.words("cusip"),
        quantity=told if is_moved else None,
        unit_price=row.maybe(row.quantity, "price"),
        raw_type=word,
        metadata={
            **{key: value for key, value in said.items() if value},
            **_exact("net_amount", row.quantity("net_amount")),
        },
    )


def _exact(name: str, figure: Decimal) -> dict[str, str]:
    """A figure with more decimals than amounts are kept with."""
    return {} if amount(figure) == figure else {name: canonical(figure)}
