"""One world for a proof: a database, a bank, a time of day, and how each scenario begins."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import time_machine
from django.core.management import call_command
from django.db import connections

from connections import saving
from connections.provider import providers
from connections.providers import schwab
from connections.sandbox.faults import Fault
from dashtam.http import client as outbound
from dashtam.http.wire import _usual_tls
from tests.prove import bank as bank_acts
from tests.prove import work
from tests.prove.bank import FIRST, LATER, BankProcess
from tests.prove.forks import in_fork
from transactions import services as transactions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.prove.database import Database

MIGRATED = "migrated"
# Few rows make several chunks, and nobody waits for anybody.
_CHUNK = 16
_PAUSES = (0.02, 0.05)
TOKEN_SECONDS = 1800
# One account at a time: a worker that is killed at its n-th operation dies at the same one again.
_ENGINE = ("connections.reading", "connections.arriving")
_AT_A_TIME = "AT_ONCE"


class World:
    """The database and the bank of one proof, at one moment of the app's own clock."""

    def __init__(self, database: Database) -> None:
        """Migrate the database, and start at FIRST without a bank."""
        self.database = database
        self.bank: BankProcess
        self.moment = FIRST
        self._travel: Any = None
        in_fork(partial(call_command, "migrate", verbosity=0))
        database.keep(MIGRATED)
        self._warm_up()

    def _warm_up(self) -> None:
        """Do everything once here: a fork then finds it done, and need not copy what is shared."""
        with self.begun(FIRST_SYNC):
            work.settle_and_judge(self.bank.url)
            connections.close_all()
        gc.collect()
        gc.freeze()

    @contextlib.contextmanager
    def begun(self, scenario: Scenario) -> Iterator[World]:
        """The scenario's beginning is kept under its name, with a bank of its own."""
        self.go_to(FIRST)
        self.database.bring_back(MIGRATED)
        self.bank = BankProcess()
        work.be_in_the_sandbox(self.bank)
        try:
            scenario.begin(self)
            self.bank.do(bank_acts.keep)
            self.database.keep(scenario.name)
            yield self
        finally:
            self.bank.close()
            self.stay()

    def again(self, scenario: Scenario) -> None:
        """Bring the beginning back: database, bank and time."""
        self.database.bring_back(scenario.name)
        self.bank.do(bank_acts.bring_back)
        self.go_to(self.moment)

    def go_to(self, moment: datetime) -> None:
        """Let it be this moment for the app, and for every worker from now on."""
        self.moment = moment
        self._travel_to(moment)

    def _travel_to(self, moment: datetime) -> None:
        self.stay()
        self._travel = time_machine.travel(moment, tick=True)
        self._travel.start()

    def stay(self) -> None:
        """Be in the present again."""
        if self._travel:
            self._travel.stop()
            self._travel = None

    def settled(self) -> dict[str, Any]:
        """Let everything come to its end, and what the judge and a person see then."""
        told: dict[str, Any] = in_fork(partial(work.settle_and_judge, self.bank.url))
        return told

    def tokens_end(self) -> None:
        """Half an hour goes by."""
        self.bank.do(bank_acts.advance, TOKEN_SECONDS + 1)
        self._travel_to(self.moment + timedelta(seconds=TOKEN_SECONDS + 1))

    def sign_in_again(self) -> None:
        """The person does what they are asked to."""
        in_fork(partial(work.sign_in_again, self.bank))


@dataclass(frozen=True, slots=True)
class Scenario:
    """A world in which one sync waits in the queue."""

    name: str
    begin: Callable[[World], None]
    # Whether the next sync, when the tokens of this one have ended, is part of it.
    is_about_tokens: bool = False


def _first(world: World) -> None:
    world.bank.do(bank_acts.make_pending)
    in_fork(partial(work.connect, world.bank))


def _read(world: World) -> None:
    """Everything is read once."""
    _first(world)
    in_fork(work.settle)


def _second(world: World) -> None:
    _read(world)
    world.bank.do(bank_acts.live_on)
    world.go_to(LATER)
    in_fork(work.ask_again)


def _expired(world: World) -> None:
    """The token has ended, and a refresh token is good once."""
    world.bank.do(bank_acts.rule, "rotates", True)
    world.bank.do(bank_acts.rule, "access_seconds", TOKEN_SECONDS)
    _second(world)


def _refused(world: World) -> None:
    """In the middle of the sync the bank refuses a token that should have lasted."""
    _expired(world)
    in_fork(work.reach_the_only)
    world.bank.do(bank_acts.fault, "*/transactions", Fault.UNAUTHORIZED_LIST, {"at": 2})


def _short_tokens(world: World) -> None:
    """Everything is read once, with a token as short as the real bank's."""
    world.bank.do(bank_acts.rule, "access_seconds", TOKEN_SECONDS)
    _read(world)


def _twenty(world: World) -> None:
    world.bank.do(bank_acts.rule, "access_seconds", TOKEN_SECONDS)
    for number in range(20):
        email = f"nora{number}@example.com"
        in_fork(partial(work.connect, world.bank, email))
    world.bank.do(bank_acts.let_every_login_live)


def _file(_world: World) -> None:
    in_fork(work.bring_file)


def _keys(world: World) -> None:
    in_fork(partial(work.connect_by_keys, world.bank))


FIRST_SYNC = Scenario("first", _first)
SECOND_SYNC = Scenario("second", _second)
EXPIRED_TOKEN = Scenario("expired", _expired, is_about_tokens=True)
REFUSED_TOKEN = Scenario("refused", _refused, is_about_tokens=True)
STATEMENT = Scenario("file", _file)
BY_KEYS = Scenario("keys", _keys)
SHORT_TOKENS = Scenario("short", _short_tokens)
TWENTY_PEOPLE = Scenario("twenty", _twenty)


def be_small_and_quick() -> None:
    """Small chunks and short pauses in this process and its forks; one account at a time."""
    transactions.CHUNK = _CHUNK
    saving.PAUSE_SECONDS = 0.0
    outbound.PAUSES_SECONDS = _PAUSES  # type: ignore[misc]
    # Two windows of history and what is before them.
    schwab.SURELY_KEPT, schwab.HISTORY = 2 * schwab.WINDOW, 5 * schwab.WINDOW
    for module in _ENGINE:
        if importlib.util.find_spec(module):
            setattr(importlib.import_module(module), _AT_A_TIME, 1)
    # Made here once instead of in every worker.
    providers()
    _usual_tls()
