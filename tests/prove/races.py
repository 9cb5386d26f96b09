"""Races for a token: many workers find it ended, and the bank takes a refresh token once."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from tests.prove import bank as bank_acts
from tests.prove import work
from tests.prove.forks import Worker, in_fork
from tests.prove.world import SHORT_TOKENS, TWENTY_PEOPLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.prove.figures import Figures
    from tests.prove.plan import Plan
    from tests.prove.world import Scenario, World

RACERS = 20
_LATER = timedelta(minutes=31)


def prove(world: World, plan: Plan, figures: Figures) -> None:
    """Twenty workers on one connection, again and again; then twenty connections at once."""
    of_one = Races(world, SHORT_TOKENS)
    of_one.run(plan.races, lambda _number: work.reach_the_only)
    of_many = Races(world, TWENTY_PEOPLE)
    of_many.run(1, lambda number: partial(work.reach, number))
    figures.tell("refresh_races", plan.races)
    figures.tell("refresh_count", of_one.refreshes)
    figures.tell("refresh_of_twenty_people_count", of_many.refreshes)
    wrong = abs(of_one.refreshes - plan.races) + abs(of_many.refreshes - RACERS)
    figures.must_be_zero("refresh_more_or_less_than_once", wrong)
    figures.must_be_zero("refresh_reuses", of_one.reuses + of_many.reuses)
    figures.must_be_zero("refresh_failed", of_one.failed + of_many.failed)
    figures.must_be_zero("refresh_findings", of_one.findings + of_many.findings)


class Races:
    """Races in one scenario."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        """None was run yet."""
        self.refreshes = self.reuses = self.failed = self.findings = 0
        self._world, self._scenario = world, scenario

    def run(self, races: int, racer: Callable[[int], Callable[[], None]]) -> None:
        """So many races; `racer` makes the work of the n-th worker."""
        with self._world.begun(self._scenario):
            for _race in range(races):
                self._run_one(racer)

    def _run_one(self, racer: Callable[[int], Callable[[], None]]) -> None:
        world = self._world
        world.again(self._scenario)
        world.bank.do(bank_acts.rule, "rotates", True)
        world.bank.do(bank_acts.advance, _LATER.total_seconds())
        world.go_to(world.moment + _LATER)
        start = Start()
        workers = [Worker(start.then(racer(number))) for number in range(RACERS)]
        start.now()
        self.failed += sum(not worker.outcome().is_good for worker in workers)
        world.go_to(world.moment - _LATER)
        refreshes, reuses = world.bank.do(bank_acts.refreshes)
        self.refreshes, self.reuses = self.refreshes + refreshes, self.reuses + reuses
        # Each of them is still good for another: what came back last is what was kept.
        self.findings += in_fork(work.unopened)


class Start:
    """A shot that all workers wait for: the end of a pipe."""

    def __init__(self) -> None:
        """Nobody runs yet."""
        self._waiting, self._shot = os.pipe()

    def then(self, task: Callable[[], None]) -> Callable[[], None]:
        """The task, once the shot has been heard."""

        def run() -> None:
            os.close(self._shot)
            os.read(self._waiting, 1)
            task()

        return run

    def now(self) -> None:
        """Let them run."""
        os.close(self._shot)
        os.close(self._waiting)
