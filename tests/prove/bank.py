"""The bank in a process of its own, which can be put back to what it was, tokens and all."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connections.sandbox.bank import SEED, Bank
from connections.sandbox.clock import NEW_YORK
from connections.sandbox.ledger import Entry
from connections.sandbox.people import People

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection as Pipe

PERSON = "nora"
# Early in everybody's history, so that a sync has few rows to read: a Thursday with two rows
# pending, one of which settles and one fails until the Monday after.
FIRST = datetime(2022, 2, 10, 17, tzinfo=UTC)
LATER = datetime(2022, 2, 14, 17, tzinfo=UTC)
# A token outlives the days between, unless a proof is about tokens.
LONG_SECONDS = 14 * 24 * 3600
_SIZE, _ACCOUNTS = 30, 2
_CALLS_A_MINUTE = 1_000_000


class BankProcess:
    """A running bank: `do` has it do something, in its own process."""

    def __init__(self) -> None:
        """Start it at FIRST."""
        fork = multiprocessing.get_context("fork")
        self._pipe, theirs = fork.Pipe()
        self._process = fork.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        # The same seed makes the same people: who asks for a name need not ask the process.
        self.people = People(SEED, _SIZE, _ACCOUNTS)
        self.url: str = self._pipe.recv()

    def do(self, action: Callable[..., Any], *arguments: Any) -> Any:
        """Call `action(bank, *arguments)` there and return what it returns."""
        self._pipe.send((action, arguments))
        is_done, value = self._pipe.recv()
        if not is_done:
            raise RuntimeError(value)
        return value

    def close(self) -> None:
        """Stop it."""
        self._pipe.close()
        self._process.kill()
        self._process.join()


def _serve(pipe: Pipe) -> None:
    os.setsid()
    with Bank(now=FIRST, size=_SIZE, accounts=_ACCOUNTS) as bank:
        bank.alpaca.requests_per_minute = _CALLS_A_MINUTE
        bank.rules.access_seconds = LONG_SECONDS
        pipe.send(bank.url)
        while True:
            try:
                action, arguments = pipe.recv()
            except (EOFError, OSError):
                return
            try:
                pipe.send((True, action(bank, *arguments)))
            except Exception as error:  # noqa: BLE001 - raised again where it was asked
                pipe.send((False, repr(error)))


# What follows is done in the bank's process.

_kept: dict[str, Any] = {}


def keep(bank: Bank) -> None:
    """Remember the tokens, what was told, what is to go wrong, and what time it is."""
    login = bank.login
    _kept.update(
        facts=dict(bank._told._facts),
        spent=set(login._spent),
        revoked=set(login._revoked),
        latest=dict(login._latest),
        rules=dataclasses.asdict(login.rules),
        now=bank.clock.now(),
        faults=[dataclasses.replace(one) for one in bank.faults._rules],
    )


def bring_back(bank: Bank) -> None:
    """Be as it was when it was kept, with nothing counted."""
    login = bank.login
    bank.faults._rules = [dataclasses.replace(one) for one in _kept["faults"]]
    bank._told._facts = dict(_kept["facts"])
    login._spent, login._revoked = set(_kept["spent"]), set(_kept["revoked"])
    login._latest = dict(_kept["latest"])
    for name, value in _kept["rules"].items():
        setattr(login.rules, name, value)
    login.refreshes = login.reuses = 0
    bank.clock.set(_kept["now"])


def advance(bank: Bank, seconds: float) -> None:
    """Go forward."""
    bank.clock.advance(seconds=seconds)


def rule(bank: Bank, name: str, value: Any) -> None:
    """Set one of the rules of the token endpoint."""
    setattr(bank.login.rules, name, value)


def fault(bank: Bank, path: str, kind: str, how: dict[str, Any]) -> None:
    """Turn the fault dial."""
    bank.faults.add(path, kind, **how)


def calm(bank: Bank) -> None:
    """Everything goes right."""
    bank.faults.clear()


def refreshes(bank: Bank) -> tuple[int, int]:
    """How often tokens were renewed, and how often a spent one was tried."""
    return bank.login.refreshes, bank.login.reuses


def let_every_login_live(bank: Bank) -> None:
    """A person's later logins do not end the earlier ones."""
    bank.login._latest.clear()


def make_pending(bank: Bank) -> None:
    """Three rows that are pending at FIRST: one will settle under another id, one will vanish."""
    for number, (amount, words) in enumerate(
        [("-81.20", "HOTEL"), ("-13.37", "VANISHING"), ("-4.10", "KIOSK")]
    ):
        _margin(bank).post(
            Entry(
                id=f"77000000000{number}",
                at=FIRST - timedelta(hours=20 + number),
                day=(FIRST - timedelta(hours=20 + number)).astimezone(NEW_YORK).date(),
                kind="CASH_DISBURSEMENT",
                amount=Decimal(amount),
                description=words,
                settles=FIRST + timedelta(days=9),
            )
        )


def live_on(bank: Bank) -> None:
    """From FIRST to LATER: what a person's bank does within four days."""
    book = _margin(bank)
    _settle_under_another_id(bank)
    _vanish(bank)
    book.amend("770000000002", "KIOSK AT THE STATION")
    bank.clock.set(LATER)
    book.visible(bank.clock.now())
    _sell_everything(bank)


def _settle_under_another_id(bank: Bank) -> None:
    hotel = _take_out(bank, "770000000000")
    settled = dataclasses.replace(
        hotel, id="770000000009", at=FIRST + timedelta(days=2), settles=None,
        amount=Decimal("-84.00"), day=date(2022, 2, 12),
    )  # fmt: skip
    _margin(bank).post(settled)
    del bank._told._facts["schwab", _account(bank), "transaction", hotel.id]


def _vanish(bank: Bank) -> None:
    gone = _take_out(bank, "770000000001")
    key = "schwab", _account(bank), "transaction", gone.id
    told = bank._told._facts[key]
    bank._told._facts[key] = dataclasses.replace(told, told={**told.told, "status": "vanished"})


def _sell_everything(bank: Bank) -> None:
    book, now = _margin(bank), bank.clock.now()
    symbol, held = next(iter(sorted(book.running.positions.items())))
    price = bank.people.market.price(symbol, LATER.date())
    book.post(
        Entry(
            id="770000000005", at=now - timedelta(hours=1), day=LATER.date(), kind="TRADE",
            amount=held.quantity * price, symbol=symbol, quantity=-held.quantity, price=price,
            purse="MARGIN", words={"effect": "CLOSING"},
        )
    )  # fmt: skip


def _take_out(bank: Bank, entry_id: str) -> Entry:
    entries: list[Entry] = _margin(bank)._entries
    [found] = [entry for entry in entries if entry.id == entry_id]
    entries.remove(found)
    return found


def _margin(bank: Bank) -> Any:
    return _nora(bank).schwab[0].book


def _account(bank: Bank) -> str:
    return str(_nora(bank).schwab[0].hash_value)


def _nora(bank: Bank) -> Any:
    return bank.people.person(PERSON)
