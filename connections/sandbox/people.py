"""The people of the sandbox: who they are, their accounts and keys, all decided by the seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from connections.sandbox import alpaca_life, schwab_life
from connections.sandbox.ledger import Book
from connections.sandbox.market import OPENED, is_trading_day, market_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAPER, LIVE = "paper", "live"
DEFAULT_SIZE = 10_000
# A large history is spread over the days before this one, so it is whole whatever today is.
_LARGE_UNTIL = date(2026, 1, 1)
_KEY_LENGTH, _SECRET_LENGTH = 18, 40
_NUMBER_RANGE = 90_000_000
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class SchwabAccount:
    """One brokerage account: the number people see, the hash that paths take, and its book."""

    index: int
    number: str
    hash_value: str
    kind: str
    nickname: str
    book: Book


@dataclass(frozen=True, slots=True)
class AlpacaAccount:
    """One account of one environment, and the key pair that opens it."""

    environment: str
    key_id: str
    secret: str
    account_id: str
    number: str
    book: Book


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with accounts; `story` is one line for the pages."""

    slug: str
    name: str
    story: str
    schwab: tuple[SchwabAccount, ...]
    alpaca: tuple[AlpacaAccount, ...]


class People:
    """Everybody of one seed. `size` is how many transactions the large accounts have at least.

    `accounts` is how many Schwab accounts the person with much has.
    """

    def __init__(self, seed: str, size: int, accounts: int) -> None:
        """Make them; their books stay empty until somebody looks."""
        self.market = market_of(seed)
        self._seed = seed
        self._next_index = 0
        per_day = -(-size // _busy_days())
        schwab_busy = (*schwab_life.INVESTOR, schwab_life.busy_trader(per_day))
        alpaca_busy = (*alpaca_life.TRADER, alpaca_life.busy_trader(per_day))
        self.all = (
            self._person(
                "sam", "Sam Small", "One savings account, a paper account",
                (("CASH", "Savings", schwab_life.SAVER),),
                ((PAPER, alpaca_life.BEGINNER),),
            ),
            self._person(
                "nora", "Nora Normal", "A margin account, a pension, an empty account",
                (
                    ("MARGIN", "Individual", schwab_life.INVESTOR),
                    ("CASH", "Rollover IRA", schwab_life.PENSION),
                    ("CASH", "Brand new", schwab_life.NOTHING),
                ),
                ((PAPER, alpaca_life.TRADER), (LIVE, alpaca_life.MARGIN_TRADER)),
            ),
            self._person(
                "lee", "Lee Large", f"At least {size:,} transactions",
                (
                    ("MARGIN", "Trading", schwab_busy),
                    *(("CASH", f"Pot {n}", schwab_life.PENSION) for n in range(2, accounts + 1)),
                ),
                ((PAPER, alpaca_busy), (LIVE, alpaca_busy)),
            ),
        )  # fmt: skip

    def person(self, slug: str) -> Person | None:
        """Who is called so, if anybody is."""
        return next((person for person in self.all if person.slug == slug), None)

    def schwab_accounts(self) -> Iterator[SchwabAccount]:
        """Everybody's Schwab accounts."""
        return (account for person in self.all for account in person.schwab)

    def alpaca_accounts(self) -> Iterator[AlpacaAccount]:
        """Everybody's Alpaca accounts, paper and live."""
        return (account for person in self.all for account in person.alpaca)

    def _person(
        self,
        slug: str,
        name: str,
        story: str,
        schwab: Sequence[tuple[str, str, Sequence[schwab_life.Habit]]],
        alpaca: Sequence[tuple[str, Sequence[alpaca_life.Habit]]],
    ) -> Person:
        return Person(
            slug, name, story,
            tuple(self._schwab(slug, *account) for account in schwab),
            tuple(self._alpaca(slug, *account) for account in alpaca),
        )  # fmt: skip

    def _schwab(
        self, slug: str, kind: str, nickname: str, habits: Sequence[schwab_life.Habit]
    ) -> SchwabAccount:
        owner = f"schwab-{slug}-{nickname}"
        index, self._next_index = self._next_index, self._next_index + 1
        digest = self._digest(owner)
        return SchwabAccount(
            index, str(10_000_000 + int(digest, 16) % _NUMBER_RANGE), digest.upper(), kind,
            nickname, Book(owner, partial(self._schwab_day, index, habits)),
        )  # fmt: skip

    def _alpaca(
        self, slug: str, environment: str, habits: Sequence[alpaca_life.Habit]
    ) -> AlpacaAccount:
        owner = f"alpaca-{slug}-{environment}"
        key = _letters(self._digest(f"{owner}-key"), _KEY_LENGTH)
        prefix = "PK" if environment == PAPER else "AK"
        return AlpacaAccount(
            environment, prefix + key, _letters(self._digest(f"{owner}-secret"), _SECRET_LENGTH),
            alpaca_life.sandbox_uuid(self._seed, owner),
            f"{prefix[0]}A{int(self._digest(owner), 16) % 10**10:010d}",
            Book(owner, partial(self._alpaca_day, habits)),
        )  # fmt: skip

    def _schwab_day(
        self, index: int, habits: Sequence[schwab_life.Habit], book: Book, day: date
    ) -> None:
        today = schwab_life.Today(book, day, self.market, self._dice(book, day), index)
        for habit in habits:
            habit(today)

    def _alpaca_day(self, habits: Sequence[alpaca_life.Habit], book: Book, day: date) -> None:
        today = alpaca_life.Today(book, day, self.market, self._dice(book, day))
        for habit in habits:
            habit(today)

    def _dice(self, book: Book, day: date) -> Random:
        return Random(f"{self._seed}|{book.owner}|{day}")  # noqa: S311 - a toy history

    def _digest(self, text: str) -> str:
        return hashlib.sha256(f"{self._seed}|{text}".encode()).hexdigest()


def _busy_days() -> int:
    span = (_LARGE_UNTIL - OPENED).days
    return sum(is_trading_day(OPENED + timedelta(days=number)) for number in range(span))


def _letters(digest: str, length: int) -> str:
    value = int(digest, 16)
    return "".join(_LETTERS[value >> 5 * place & 31] for place in range(length))
