"""The storm: two workers on one connection, a faulty bank, and both killed again and again."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from connections.sandbox.faults import Fault
from tests.prove import bank as bank_acts
from tests.prove import work
from tests.prove.forks import Worker, in_fork
from tests.prove.judge import DOUBLED, LOST, WRONG
from tests.prove.world import FIRST_SYNC

if TYPE_CHECKING:
    import random

    from tests.prove.figures import Figures
    from tests.prove.plan import Plan
    from tests.prove.world import World

WORKERS = 2
SHORTEST_SECONDS, LONGEST_SECONDS = 0.05, 0.6
# On a slow machine the longest rounds are long enough for a sync to come to its end.
LONGEST_SYNCS = 4
MOST_FAULTS = 2
# The bank's days go by meanwhile, all within the life of one sign-in.
LIFE = timedelta(days=5)
# Tokens are renewed a minute ahead: one that lives hardly longer is renewed all the time.
_TOKEN_SECONDS = 62
_PATHS = ("*/accounts", "*/accounts/*", "*/transactions", "*/oauth/token")
_FAULTS: tuple[tuple[Fault, dict[str, Any]], ...] = (
    (Fault.SLOW, {"seconds": 0.1, "times": 3}),
    (Fault.RATE_LIMITED, {"retry_after": "1"}),
    (Fault.SERVER_ERROR, {"times": 2}),
    (Fault.UNAVAILABLE, {"times": 4}),
    (Fault.TRUNCATED, {}),
    (Fault.DROPPED, {}),
    (Fault.MALFORMED, {}),
    (Fault.DUPLICATE_ROWS, {"times": 5}),
    (Fault.SHUFFLED, {"times": 5}),
)
# Refused once is a token that ended early; refused twice is a person who has to sign in again.
_REFUSED_ONCE = Fault.UNAUTHORIZED


def prove(world: World, plan: Plan, figures: Figures) -> None:
    """Kill so many times, then let the bank be well and everything come to its end."""
    with world.begun(FIRST_SYNC):
        storm = Storm(world, plan, seconds=_seconds_of_a_sync(world))
        world.bank.do(bank_acts.rule, "access_seconds", _TOKEN_SECONDS)
        storm.rage()
        told = storm.calm_down()
    found = [one["kind"] for one in told["findings"]]
    for one in told["findings"]:
        figures.explain(f"storm: {one['kind']}: {one['words']}")
    figures.tell("storm_kills", storm.kills)
    figures.tell("storm_syncs_done", told["succeeded"])
    figures.tell("storm_signed_in_again", storm.signed_in_again)
    figures.must_be_zero("storm_crashes", storm.crashes)
    figures.must_be_zero("storm_lost", found.count(LOST))
    figures.must_be_zero("storm_doubled", found.count(DOUBLED))
    figures.must_be_zero("storm_findings", found.count(WRONG) + (told["ended"] != "succeeded"))


def _seconds_of_a_sync(world: World) -> float:
    world.again(FIRST_SYNC)
    began = time.perf_counter()
    in_fork(work.work)
    taken = time.perf_counter() - began
    world.again(FIRST_SYNC)
    return taken


class Storm:
    """Rounds of two workers each, with the dice of the plan."""

    def __init__(self, world: World, plan: Plan, *, seconds: float) -> None:
        """Nobody is killed yet; an undisturbed sync takes so many seconds."""
        self._longest = max(LONGEST_SECONDS, LONGEST_SYNCS * seconds)
        self.kills = self.crashes = self.signed_in_again = 0
        self._world, self._wanted = world, plan.kills
        self._dice = plan.dice("storm")

    def rage(self) -> None:
        """Round after round until enough are killed."""
        while self.kills < self._wanted:
            self._set_faults(self._dice)
            self._round(self._dice.uniform(SHORTEST_SECONDS, self._longest))
            self._live_on()

    def calm_down(self) -> dict[str, Any]:
        """Without faults, and read once more: what the judge finds then."""
        self._world.bank.do(bank_acts.calm)
        told = self._world.settled()
        if told["needs_person"]:
            self._sign_in_again()
        in_fork(work.ask_again)
        return self._world.settled()

    def _round(self, seconds: float) -> None:
        in_fork(work.expire_leases)
        workers = [Worker(work.keep_asking) for _number in range(WORKERS)]
        time.sleep(seconds)
        for worker in workers:
            worker.kill()
        outcomes = [worker.outcome() for worker in workers]
        self.kills += sum(outcome.is_killed for outcome in outcomes)
        self.crashes += sum(not (outcome.is_good or outcome.is_killed) for outcome in outcomes)
        if not all(outcome.is_killed for outcome in outcomes) and in_fork(work.is_anybody_needed):
            self._sign_in_again()

    def _sign_in_again(self) -> None:
        self._world.bank.do(bank_acts.calm)
        self._world.sign_in_again()
        self.signed_in_again += 1

    def _set_faults(self, dice: random.Random) -> None:
        self._world.bank.do(bank_acts.calm)
        for _number in range(dice.randrange(MOST_FAULTS + 1)):
            fault, how = dice.choice(_FAULTS)
            where = {"at": dice.randrange(1, 8), **how}
            self._world.bank.do(bank_acts.fault, dice.choice(_PATHS), fault, where)
        if dice.random() < 0.2:
            where = {"at": dice.randrange(1, 8)}
            self._world.bank.do(bank_acts.fault, "*/transactions", _REFUSED_ONCE, where)

    def _live_on(self) -> None:
        step = LIFE / max(self._wanted // WORKERS, 1)
        self._world.bank.do(bank_acts.advance, step.total_seconds())
        self._world.go_to(self._world.moment + step)
