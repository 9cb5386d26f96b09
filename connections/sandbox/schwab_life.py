"""What happens to the people's Schwab accounts: habits, each asked once a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

from connections.sandbox.ledger import ZERO, Entry, moment
from connections.sandbox.market import (
    CATALOGUE,
    CENT,
    NVDA_SPLIT,
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

FEE_NAMES = ("COMMISSION", "SEC_FEE", "OPT_REG_FEE", "TAF_FEE")
_PER_CONTRACT = Decimal("0.65")
_SEC_RATE = Decimal("0.0000278")
_TAF_RATE = Decimal("0.000166")
_THOUSANDTH = Decimal("0.001")
_DAYS_TO_CLEAR = 3
# What years before the sandbox's first day left in the account.
_STARTING_CASH = Decimal("25000.00")
_SHORT_SIZE = 10
_STOCKS = ("AAPL", "MSFT", "KO", "NKE", "VTI")
_DAY_SECONDS = 6 * 3600


@dataclass(slots=True)
class Today:
    """One day of one account: what a habit can see, and how it writes the book."""

    book: Book
    day: date
    market: Market
    dice: Random
    account_index: int

    def price(self, symbol: str) -> Decimal:
        """What a unit costs today."""
        return self.market.price(symbol, self.day)

    def cash(self, kind: str, amount: Decimal, description: str) -> Entry:
        """Money moves, at night."""
        at = moment(self.day, 3, 48, 40)
        entry = Entry(
            id=self._new_id(), at=at, day=self.day, kind=kind, amount=amount,
            description=description,
        )  # fmt: skip
        return self.book.post(entry)

    def clearing(self, kind: str, amount: Decimal, description: str, *, fails: bool) -> Entry:
        """Money moves in the evening, pending for three days; then it counts, or it fails."""
        settles = moment(self.day + timedelta(days=_DAYS_TO_CLEAR), 4, 0)
        entry = Entry(
            id=self._new_id(), at=moment(self.day, 20, 45, 12), day=self.day, kind=kind,
            amount=amount, description=description, settles=settles, fails=fails,
        )  # fmt: skip
        return self.book.post(entry)

    def trade(self, symbol: str, quantity: Decimal, *, second: int = 0) -> Entry:
        """Buy (positive) or sell (negative) at today's price."""
        price = self.price(symbol)
        held = self.book.running.quantity(symbol)
        fees = _fees(symbol, quantity, price)
        value = cents(quantity * price * instrument(symbol).multiplier)
        is_opening = held * quantity >= 0
        is_short = held < 0 or (held == 0 and quantity < 0)
        entry = Entry(
            id=self._new_id(), at=moment(self.day, 9, 45) + timedelta(seconds=second),
            day=self.day, kind="TRADE", amount=-value - sum((fee for _name, fee in fees), ZERO),
            symbol=symbol, quantity=quantity, price=price, fees=fees,
            purse="SHORT" if is_short else "MARGIN",
            words={"effect": "OPENING" if is_opening else "CLOSING"},
        )  # fmt: skip
        return self.book.post(entry)

    def deliver(self, symbol: str, quantity: Decimal, description: str) -> Entry:
        """Securities come or go and no money does."""
        entry = Entry(
            id=self._new_id(), at=moment(self.day, 4, 0, 5), day=self.day,
            kind="RECEIVE_AND_DELIVER", amount=ZERO, description=description, symbol=symbol,
            quantity=quantity,
        )  # fmt: skip
        return self.book.post(entry)

    def _new_id(self) -> str:
        return activity_id(self.account_index, self.day, self.book.next_number())


if TYPE_CHECKING:
    Habit = Callable[[Today], None]


def activity_id(account_index: int, day: date, number: int) -> str:
    """Twelve digits, like the real ones: account, day, number in the day."""
    return f"{10 + account_index}{day.toordinal() - 730_000:05d}{number:05d}"


def _fees(symbol: str, quantity: Decimal, price: Decimal) -> tuple[tuple[str, Decimal], ...]:
    is_option = instrument(symbol).kind is Kind.OPTION
    count, is_sale = abs(quantity), quantity < 0
    value = count * price * instrument(symbol).multiplier
    amounts = (
        cents(count * _PER_CONTRACT) if is_option else ZERO,
        max(cents(value * _SEC_RATE), CENT) if is_sale else ZERO,
        max(cents(count * CENT), CENT) if is_option else ZERO,
        max(cents(count * _TAF_RATE), CENT) if is_sale else ZERO,
    )
    return tuple(zip(FEE_NAMES, amounts, strict=True))


def starting_cash(today: Today) -> None:
    """The account begins with a wire."""
    if not today.book.running.cash and not today.book.running.positions:
        today.cash("WIRE_IN", _STARTING_CASH, "WIRE FUNDS RECEIVED")


def payroll(today: Today) -> None:
    """A salary every other Friday, posted in the evening: the next day in UTC."""
    if today.day.weekday() == 4 and today.day.toordinal() // 7 % 2:
        today.clearing("ACH_RECEIPT", Decimal("2847.16"), "ACME CORP PAYROLL", fails=False)


def living(today: Today) -> None:
    """Rent, groceries, coffee, now and then a refund."""
    if today.day.day == 1:
        today.cash("ACH_DISBURSEMENT", Decimal("-1650.00"), "PARKSIDE APARTMENTS RENT")
    if today.day.weekday() in {1, 5}:
        amount = Decimal(today.dice.randrange(2100, 14900)) / 100
        today.clearing("CASH_DISBURSEMENT", -amount, "GREEN GROCER 0042", fails=False)
    if today.day.weekday() == 3:
        today.clearing("CASH_DISBURSEMENT", Decimal("-4.75"), "CORNER COFFEE", fails=False)
    if today.dice.random() < 0.01:
        today.cash("CASH_RECEIPT", Decimal("18.50"), "REFUND GREEN GROCER 0042")


def returned_deposit(today: Today) -> None:
    """Once a quarter a deposit bounces: pending, then invalid."""
    if today.day.day == 9 and today.day.month % 3 == 2:
        today.clearing("ACH_RECEIPT", Decimal("120.00"), "FUNDS RECEIVED", fails=True)


def monthly_deposit(today: Today) -> None:
    """A little is put by each month, in each account another amount."""
    if today.day.day == 3:
        amount = Decimal(450 + 25 * today.account_index)
        today.cash("ELECTRONIC_FUND", amount, "FUNDS RECEIVED")


def bank_interest(today: Today) -> None:
    """Interest on the cash, on the fifteenth."""
    if today.day.day == 15 and today.book.running.cash > 0:
        begun = (today.day.replace(day=1) - timedelta(days=1)).replace(day=16)
        amount = max(cents(today.book.running.cash * Decimal("0.0004")), CENT)
        label = f"BANK INT {begun:%m%d%y}-{today.day:%m%d%y} SCHWAB BANK"
        today.cash("DIVIDEND_OR_INTEREST", amount, label)


def dividends(today: Today) -> None:
    """What the holdings pay, in one row without a ticker."""
    for symbol, held in sorted(today.book.running.positions.items()):
        listed = instrument(symbol)
        if today.day.month in listed.pays_in and is_due(today.day, _payday(symbol)):
            amount = cents(held.quantity * listed.dividend)
            today.cash("DIVIDEND_OR_INTEREST", amount, listed.name)


def _payday(symbol: str) -> int:
    return 10 + sum(symbol.encode()) % 16


def stock_trades(today: Today) -> None:
    """Buys and sells single shares, within what the cash allows."""
    if not is_trading_day(today.day) or today.dice.random() > 0.2:
        return
    symbol = today.dice.choice(_STOCKS)
    held = today.book.running.quantity(symbol)
    if held > 2 and today.dice.random() < 0.4:
        today.trade(symbol, -(held // 2), second=today.dice.randrange(_DAY_SECONDS))
    elif today.book.running.cash > today.price(symbol) * 8:
        count = Decimal(today.dice.randrange(1, 6))
        today.trade(symbol, count, second=today.dice.randrange(_DAY_SECONDS))


def fund_plan(today: Today) -> None:
    """A mutual fund for 250 a month, in thousandths of a unit; a sweep into a money fund."""
    if is_due(today.day, 20) and today.book.running.cash > 2000:
        today.trade("SWPPX", (250 / today.price("SWPPX")).quantize(_THOUSANDTH), second=30)
        today.trade("SWVXX", Decimal("100.00"), second=60)


def share_a_quarter(today: Today) -> None:
    """One share of a fund each quarter."""
    if is_due(today.day, 5) and today.day.month % 3 == 0:
        today.trade("VTI", Decimal(1), second=15)


def treasury_note(today: Today) -> None:
    """Five bonds, once."""
    if today.day == date(2023, 2, 6):
        today.trade("91282CJL6", Decimal(5), second=90)


def split_stock(today: Today) -> None:
    """Holds a stock since the beginning, and its split multiplies it."""
    if today.day == date(2022, 1, 4):
        today.trade("NVDA", Decimal(4), second=120)
    if today.day == NVDA_SPLIT[0]:
        added = today.book.running.quantity("NVDA") * (NVDA_SPLIT[1] - 1)
        today.deliver("NVDA", added, "STOCK SPLIT")


def short_seller(today: Today) -> None:
    """Sells ten shares short, then buys four back: the rest stays short."""
    if today.day == date(2025, 3, 3):
        today.trade("TSLA", Decimal(-_SHORT_SIZE), second=151)
    if today.day == date(2025, 6, 2):
        today.trade("TSLA", Decimal(4), second=152)


def call_options(today: Today) -> None:
    """Two calls a quarter: one is sold a month before the end, the other sold or left to expire."""
    for symbol in [held for held in today.book.running.positions if _is_option(held)]:
        left = (option_terms(symbol)[1] - today.day).days
        if left == 28 or (left == 0 and today.price(symbol) > 1):
            today.trade(symbol, Decimal(-1), second=200)
        elif left == 0:
            expired = f"EXPIRED {instrument(symbol).name.upper()}"
            today.deliver(symbol, -today.book.running.quantity(symbol), expired)
    if today.day.month in {1, 4, 7, 10} and today.day == third_friday(*_month(today.day)):
        expires = third_friday(today.day.year, today.day.month + 2)
        strike = int(today.price("MSFT") / 5) * 5 + 10
        today.trade(call_symbol("MSFT", expires, strike), Decimal(2), second=201)


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month


def _is_option(symbol: str) -> bool:
    return symbol not in CATALOGUE


def journals(today: Today) -> None:
    """A pair between sub-accounts each month, and now and then money to the bank account."""
    if today.day.day == 12:
        amount = Decimal(today.dice.randrange(100, 900))
        today.cash("JOURNAL", -amount, "TRF FUNDS FRM TYPE 1 TO TYPE 2")
        today.cash("JOURNAL", amount, "TRF FUNDS TO TYPE 2 FRM TYPE 1")
    if today.day.day == 25 and today.day.month % 2:
        today.cash("JOURNAL", Decimal("-250.00"), "TRANSFER FUNDS TO SCHWAB BANK - 999")
    if today.day.day == 26 and today.day.month % 4 == 1:
        today.cash("MEMORANDUM", ZERO, "ACCOUNT DOCUMENTS DELIVERED")


def busy_trader(per_day: int) -> Habit:
    """Trades so often a day that the years until 2026 hold as many rows as were asked for."""

    def trade_all_day(today: Today) -> None:
        if not is_trading_day(today.day):
            return
        for number in range(per_day):
            held = today.book.running.quantity("KO")
            count = Decimal(-held if held > 20 else 1 + number % 3)
            today.trade("KO", count, second=300 + number * (_DAY_SECONDS // per_day))

    return trade_all_day


SAVER: tuple[Habit, ...] = (monthly_deposit, dividends, bank_interest, share_a_quarter)
INVESTOR: tuple[Habit, ...] = (
    starting_cash, payroll, living, returned_deposit, split_stock, dividends, bank_interest,
    call_options, fund_plan, treasury_note, short_seller, stock_trades, journals,
)  # fmt: skip
PENSION: tuple[Habit, ...] = (monthly_deposit, dividends, bank_interest, fund_plan)
NOTHING: tuple[Habit, ...] = ()
