"""What can be bought in the sandbox, and what it costs each day: a walk that the seed decides."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import cache
from random import Random

# The first day of every history here. It never moves, so a later day only ever adds rows.
OPENED = date(2022, 1, 3)

CENT = Decimal("0.01")
CONTRACT = 100
_BASIS = 10_000
_STEPS = range(-165, 173)
_CRYPTO_STEPS = range(-320, 331)
_SATURDAY = 5
_BOND_CALM = 8
_OSI_TAIL = 15
_THIRD_FRIDAY = 15


class Kind(StrEnum):
    """What kind of security an instrument is."""

    EQUITY = "equity"
    ETF = "etf"
    MUTUAL_FUND = "mutual_fund"
    MONEY_FUND = "money_fund"
    BOND = "bond"
    CRYPTO = "crypto"
    OPTION = "option"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One security. `dividend` is paid per unit in the months `pays_in`; split: (day, ratio)."""

    symbol: str
    name: str
    kind: Kind
    cusip: str
    start: Decimal
    dividend: Decimal = Decimal(0)
    pays_in: tuple[int, ...] = ()
    split: tuple[date, int] | None = None

    @property
    def multiplier(self) -> int:
        """How many units one contract stands for."""
        return CONTRACT if self.kind is Kind.OPTION else 1


NVDA_SPLIT = (date(2024, 6, 10), 10)
_QUARTERS = (3, 6, 9, 12)
_LISTED = (
    Instrument(
        "AAPL",
        "APPLE INC",
        Kind.EQUITY,
        "037833100",
        Decimal("182.01"),
        Decimal("0.25"),
        (2, 5, 8, 11),
    ),
    Instrument(
        "MSFT",
        "MICROSOFT CORP",
        Kind.EQUITY,
        "594918104",
        Decimal("334.75"),
        Decimal("0.75"),
        _QUARTERS,
    ),
    Instrument(
        "NVDA",
        "NVIDIA CORP",
        Kind.EQUITY,
        "67066G104",
        Decimal("301.21"),
        Decimal("0.01"),
        _QUARTERS,
        NVDA_SPLIT,
    ),
    Instrument(
        "KO",
        "COCA COLA CO",
        Kind.EQUITY,
        "191216100",
        Decimal("59.30"),
        Decimal("0.46"),
        (4, 7, 10, 12),
    ),
    Instrument(
        "NKE",
        "NIKE INC CLASS CLASS B",
        Kind.EQUITY,
        "654106103",
        Decimal("164.67"),
        Decimal("0.37"),
        (1, 4, 7, 10),
    ),
    Instrument("TSLA", "TESLA INC", Kind.EQUITY, "88160R101", Decimal("399.93")),
    Instrument(
        "VTI",
        "VANGUARD TOTAL STOCK MARKET ETF",
        Kind.ETF,
        "922908769",
        Decimal("242.40"),
        Decimal("0.87"),
        _QUARTERS,
    ),
    Instrument(
        "BND",
        "VANGUARD TOTAL BOND MARKET ETF",
        Kind.ETF,
        "921937835",
        Decimal("84.60"),
        Decimal("0.19"),
        tuple(range(1, 13)),
    ),
    Instrument(
        "SWPPX",
        "SCHWAB S&P 500 INDEX",
        Kind.MUTUAL_FUND,
        "808509855",
        Decimal("73.11"),
        Decimal("1.02"),
        (12,),
    ),
    Instrument(
        "SWVXX", "SCHWAB VALUE ADVANTAGE MONEY INVESTOR", Kind.MONEY_FUND, "808515605", Decimal(1)
    ),
    # A price per bond, not per 100 of face value: quantity times price is what it costs.
    Instrument(
        "91282CJL6",
        "US TREASURY NOTE 4.875% 11/30/2028",
        Kind.BOND,
        "91282CJL6",
        Decimal("995.00"),
        Decimal("24.38"),
        (5, 11),
    ),
    Instrument("BTC/USD", "BITCOIN", Kind.CRYPTO, "", Decimal("46458.12")),
    Instrument("ETH/USD", "ETHER", Kind.CRYPTO, "", Decimal("3761.38")),
)
CATALOGUE = {listed.symbol: listed for listed in _LISTED}


@cache
def instrument(symbol: str) -> Instrument:
    """The instrument of this symbol; an option's is made from its OSI symbol."""
    if symbol in CATALOGUE:
        return CATALOGUE[symbol]
    underlying, expires, right, strike = option_terms(symbol)
    name = (
        f"{CATALOGUE[underlying].name.title()} {expires:%m/%d/%Y} ${strike.normalize():f} {right}"
    )
    return Instrument(symbol, name, Kind.OPTION, "", Decimal(0))


def call_symbol(underlying: str, expires: date, strike: int) -> str:
    """The 21 characters of a call option: `AAPL  240517C00180000`."""
    return f"{underlying:<6}{expires:%y%m%d}C{strike * 1000:08d}"


@cache
def option_terms(symbol: str) -> tuple[str, date, str, Decimal]:
    """Underlying, expiry, `Call` or `Put`, and strike of an OSI symbol, padded or not."""
    tail = symbol[-_OSI_TAIL:]
    expires = date(2000 + int(tail[:2]), int(tail[2:4]), int(tail[4:6]))
    right = {"C": "Call", "P": "Put"}[tail[6]]
    return symbol[:-_OSI_TAIL].strip(), expires, right, Decimal(tail[7:]) / 1000


def is_trading_day(day: date) -> bool:
    """Whether exchanges are open; this sandbox keeps no holidays."""
    return day.weekday() < _SATURDAY


def is_due(day: date, number: int) -> bool:
    """Whether `day` is the month's day `number` (26 at most), or the Monday after its weekend."""
    late = day.day - number
    return is_trading_day(day) and (late == 0 or (day.weekday() == 0 and late in {1, 2}))


def third_friday(year: int, month: int) -> date:
    """When the options of a month expire."""
    middle = date(year, month, _THIRD_FRIDAY)
    return middle + timedelta(days=(4 - middle.weekday()) % 7)


def cents(value: Decimal) -> Decimal:
    """To two decimals, halves away from zero."""
    return value.quantize(CENT, ROUND_HALF_UP)


class Market:
    """Prices by symbol and day, the same for the same seed whenever they are asked for."""

    def __init__(self, seed: str) -> None:
        """Prices of this seed."""
        self._seed = seed
        self._walks: dict[str, tuple[Random, list[Decimal]]] = {}
        self._lock = threading.Lock()

    def price(self, symbol: str, day: date) -> Decimal:
        """The closing price of one unit on `day` (the opening price before the history begins)."""
        if symbol not in CATALOGUE:
            return self._option_price(symbol, day)
        listed = CATALOGUE[symbol]
        with self._lock:
            if symbol not in self._walks:
                dice = Random(f"{self._seed}|{symbol}")  # noqa: S311 - a toy market
                self._walks[symbol] = dice, [listed.start]
            dice, walk = self._walks[symbol]
            index = max((day - OPENED).days, 0)
            while len(walk) <= index:
                walk.append(_next_price(listed, walk[-1], OPENED + timedelta(len(walk)), dice))
            return walk[index]

    def _option_price(self, symbol: str, day: date) -> Decimal:
        underlying, expires, right, strike = option_terms(symbol)
        spot = self.price(underlying, day)
        gain = spot - strike if right == "Call" else strike - spot
        time_left = spot * max((expires - day).days, 0) / 4500
        return max(cents(max(gain, Decimal(0)) + time_left), CENT)


def _next_price(listed: Instrument, last: Decimal, day: date, dice: Random) -> Decimal:
    # The dice are thrown every day, also when nothing is traded: each day has its own throw.
    step = dice.choice(_CRYPTO_STEPS if listed.kind is Kind.CRYPTO else _STEPS)
    if listed.split and day == listed.split[0]:
        last = cents(last / listed.split[1])
    is_open = listed.kind is Kind.CRYPTO or is_trading_day(day)
    if listed.kind is Kind.MONEY_FUND or not is_open:
        return last
    if listed.kind is Kind.BOND:
        step //= _BOND_CALM
    return max(cents(last * (_BASIS + step) / _BASIS), CENT)


@cache
def market_of(seed: str) -> Market:
    """The one market of a seed: its prices are worked out once for all banks of a process."""
    return Market(seed)
