"""What happens to the people's Alpaca accounts: habits, each asked once a day."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

from connections.sandbox.clock import NEW_YORK
from connections.sandbox.ledger import ZERO, Entry, moment
from connections.sandbox.market import (
    CATALOGUE,
    CENT,
    Kind,
    call_symbol,
    cents,
    instrument,
    is_due,
    is_trading_day,
    option_terms,
    third_friday,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from connections.sandbox.ledger import Book
    from connections.sandbox.market import Market

_TAF_RATE = Decimal("0.000166")
_CRYPTO_FEE_RATE = Decimal("0.0025")
_BILLIONTH = Decimal("0.000000001")
_STOCKS = ("AAPL", "MSFT", "KO", "VTI")
_MILLISECOND = 1000


@dataclass(slots=True)
class Today:
    """One day of one account: what a habit can see, and how it writes the book."""

    book: Book
    day: date
    market: Market
    dice: Random

    def price(self, symbol: str) -> Decimal:
        """What a unit costs today."""
        return self.market.price(symbol, self.day)

    def fill(self, symbol: str, quantity: Decimal, *, second: int) -> None:
        """Buy (positive) or sell (negative); whole lots over two units are filled in two parts."""
        order = self._uuid("order", symbol, second)
        total, parts = abs(quantity), _parts(abs(quantity))
        done = ZERO
        for number, part in enumerate(parts):
            done += part
            words = {
                "order_id": order,
                "type": "fill" if done == total else "partial_fill",
                "order_status": "filled" if done == total else "partially_filled",
                "cum_qty": _plain(done),
                "leaves_qty": _plain(total - done),
                "side": self._side(symbol, quantity),
            }
            at = moment(self.day, 10, 0, 0, 981 + number) + timedelta(seconds=second)
            self._post_fill(symbol, part.copy_sign(quantity), at, words)
        self._charge(symbol, quantity)

    def activity(
        self, kind: str, amount: Decimal, *, words: dict[str, str], at: datetime | None = None
    ) -> Entry:
        """Money moves without a trade. `words` are the row's other keys, as served."""
        at = at or moment(self.day, 6, 19, 55, 195 + len(kind))
        entry = Entry(
            id=self._new_id(at), at=at, day=self.day, kind=kind, amount=amount,
            symbol=words.get("symbol", ""), description=words.get("description", ""), words=words,
        )  # fmt: skip
        return self.book.post(entry)

    def void(self, entry: Entry, *, at: datetime) -> None:
        """What the account said of `entry` is taken back: a second row, of the same group.

        It repeats the amount; neither of the two counts from then on.
        """
        words = entry.words | {"status": "canceled"}
        row = Entry(
            id=self._new_id(at), at=at, day=entry.day, kind=entry.kind, amount=entry.amount,
            symbol=entry.symbol, voided_at=at, words=words,
        )  # fmt: skip
        self.book.post(row)

    def pay_voided(self, symbol: str, amount: Decimal) -> None:
        """A dividend that is cancelled three days later."""
        cancelled = moment(self.day + timedelta(days=3), 7, 30)
        at = moment(self.day, 6, 21, 7, 40)
        entry = Entry(
            id=self._new_id(at), at=at, day=self.day, kind="DIV", amount=amount, symbol=symbol,
            voided_at=cancelled, words=self.dividend_words(symbol),
        )  # fmt: skip
        self.void(self.book.post(entry), at=cancelled)

    def dividend_words(self, symbol: str) -> dict[str, str]:
        """The keys that a dividend's row has beside its amount."""
        quantity = self.book.running.quantity(symbol)
        return {
            "activity_sub_type": "CDIV",
            "symbol": symbol,
            "qty": _plain(quantity),
            "per_share_amount": _plain(instrument(symbol).dividend),
            "group_id": self._uuid("group", symbol, 0),
            "status": "executed",
        }

    def _post_fill(
        self, symbol: str, quantity: Decimal, at: datetime, words: dict[str, str]
    ) -> None:
        price = self.price(symbol)
        entry = Entry(
            id=self._new_id(at), at=at, day=self.day, kind="FILL",
            amount=-quantity * price * instrument(symbol).multiplier, symbol=symbol,
            quantity=quantity, price=price, words=words,
        )  # fmt: skip
        self.book.post(entry)

    def _charge(self, symbol: str, quantity: Decimal) -> None:
        # Told after midnight UTC, under the date of the trade.
        at = moment(self.day, 21, 15, 0, self.book.next_number())
        value = abs(quantity) * self.price(symbol)
        if instrument(symbol).kind is Kind.CRYPTO:
            words = {"symbol": symbol, "description": "Crypto trading fee", "status": "executed"}
            self.activity("CFEE", -cents(value * _CRYPTO_FEE_RATE), words=words, at=at)
        elif quantity < 0:
            fee = max(cents(abs(quantity) * _TAF_RATE), CENT)
            words = {"activity_sub_type": "TAF", "status": "executed"}
            words["description"] = f"TAF fee for proceed of {_plain(abs(quantity))} shares"
            self.activity("FEE", -fee, words=words, at=at)

    def _side(self, symbol: str, quantity: Decimal) -> str:
        if quantity > 0:
            return "buy"
        return "sell" if self.book.running.quantity(symbol) > 0 else "sell_short"

    def _new_id(self, at: datetime) -> str:
        return activity_id(self.book.owner, at, self.book.next_number())

    def _uuid(self, *parts: object) -> str:
        return sandbox_uuid(self.book.owner, self.day, self.book.next_number(), *parts)


if TYPE_CHECKING:
    Habit = Callable[[Today], None]


def activity_id(owner: str, at: datetime, number: int) -> str:
    """A time in New York to the millisecond, and a uuid: sorts by time."""
    local = at.astimezone(NEW_YORK)
    stamp = f"{local:%Y%m%d%H%M%S}{local.microsecond // _MILLISECOND:03d}"
    return f"{stamp}::{sandbox_uuid(owner, at, number)}"


def sandbox_uuid(*parts: object) -> str:
    """The same uuid for the same parts, always."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "|".join(str(part) for part in parts)))


def _parts(quantity: Decimal) -> list[Decimal]:
    whole = quantity // 1
    if whole < 3:
        return [quantity]
    return [quantity - whole // 2, whole // 2]


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def deposits(today: Today) -> None:
    """Money comes on the second day of a month, and now and then leaves."""
    if today.day.day == 2:
        words = {"description": "", "status": "executed"}
        today.activity("CSD", Decimal("1500.00"), words=words)
    if today.day.day == 27 and today.day.month == 8 and today.book.running.cash > 500:
        words = {"description": "", "status": "executed"}
        today.activity("CSW", Decimal("-300.00"), words=words)


def stock_trades(today: Today) -> None:
    """Buys and sells fractions of shares, within what the cash allows."""
    if not is_trading_day(today.day) or today.dice.random() > 0.25:
        return
    symbol = today.dice.choice(_STOCKS)
    held = today.book.running.quantity(symbol)
    if held > 1 and today.dice.random() < 0.35:
        today.fill(symbol, -(held / 2).quantize(_BILLIONTH), second=today.dice.randrange(9000))
    elif today.book.running.cash > 400:
        money = Decimal(today.dice.randrange(50, 400))
        quantity = (money / today.price(symbol)).quantize(_BILLIONTH)
        today.fill(symbol, quantity, second=today.dice.randrange(9000))


def crypto_trades(today: Today) -> None:
    """A little bitcoin, on a Sunday."""
    if today.day.weekday() == 6 and today.day.day <= 7 and today.book.running.cash > 100:
        quantity = (100 / today.price("BTC/USD")).quantize(_BILLIONTH)
        today.fill("BTC/USD", quantity, second=60)


def dividends(today: Today) -> None:
    """What the holdings pay; Coca-Cola's of every July is cancelled, every October's corrected."""
    if not is_due(today.day, 14):
        return
    for symbol, held in sorted(today.book.running.positions.items()):
        listed = instrument(symbol)
        amount = cents(held.quantity * listed.dividend)
        if not amount or today.day.month not in listed.pays_in:
            continue
        if symbol == "KO" and today.day.month == 7:
            today.pay_voided(symbol, amount)
        else:
            entry = today.activity("DIV", amount, words=today.dividend_words(symbol))
            _correct(today, entry)


def _correct(today: Today, entry: Entry) -> None:
    # The row of a correction brings the difference; what was paid stays.
    if entry.symbol == "KO" and today.day.month == 10:
        words = entry.words | {"status": "correct"}
        at = moment(today.day, 7, 45, 11, 300)
        today.activity("DIV", Decimal("0.03"), words=words, at=at)


def interest(today: Today) -> None:
    """Interest on cash, or on what is owed."""
    if today.day.day == 5 and abs(today.book.running.cash) > 50:
        amount = cents(today.book.running.cash * Decimal("0.003"))
        words = {"description": "Credit interest", "status": "executed"}
        if amount < 0:
            words = {"description": "Margin interest", "status": "executed"}
        today.activity("INT", amount, words=words)


def borrower(today: Today) -> None:
    """Buys more than the cash allows: it is negative from then on."""
    if today.day == date(2024, 2, 5):
        today.fill("BND", Decimal(1400), second=4000)


def short_seller(today: Today) -> None:
    """Sells five shares short and stays so."""
    if today.day == date(2024, 9, 9):
        today.fill("TSLA", Decimal(-5), second=4100)


def call_options(today: Today) -> None:
    """One call in January and July, for three months; what is left of it expires."""
    for symbol in [held for held in today.book.running.positions if held not in CATALOGUE]:
        if option_terms(symbol)[1] == today.day:
            _expire(today, symbol)
    if today.day.month in {1, 7} and today.day == third_friday(today.day.year, today.day.month):
        expires = third_friday(today.day.year, today.day.month + 3)
        strike = int(today.price("AAPL") / 5) * 5 + 15
        padded = call_symbol("AAPL", expires, strike)
        today.fill(padded.replace(" ", ""), Decimal(1), second=4200)


def _expire(today: Today, symbol: str) -> None:
    quantity = -today.book.running.quantity(symbol)
    at = moment(today.day, 18, 0, 2)
    entry = Entry(
        id=activity_id(today.book.owner, at, today.book.next_number()), at=at, day=today.day,
        kind="OPEXP", amount=ZERO, symbol=symbol, quantity=quantity,
        words={"symbol": symbol, "qty": _plain(quantity), "status": "executed"},
    )  # fmt: skip
    today.book.post(entry)


def busy_trader(per_day: int) -> Habit:
    """Trades so often a day that the years until 2026 hold as many rows as were asked for."""

    def trade_all_day(today: Today) -> None:
        if not is_trading_day(today.day):
            return
        for number in range(per_day):
            held = today.book.running.quantity("KO")
            today.fill("KO", -held if held > 20 else Decimal(1), second=number * 21_000 // per_day)

    return trade_all_day


BEGINNER: tuple[Habit, ...] = (deposits, stock_trades, dividends)
TRADER: tuple[Habit, ...] = (
    deposits, call_options, stock_trades, crypto_trades, dividends, interest,
)  # fmt: skip
MARGIN_TRADER: tuple[Habit, ...] = (*TRADER, borrower, short_seller)
