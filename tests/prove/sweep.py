"""The kill sweep: a worker dies at its first operation, at its second, and so on to the last."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.prove import work
from tests.prove.forks import Worker, in_fork
from tests.prove.state import difference
from tests.prove.world import (
    BY_KEYS,
    EXPIRED_TOKEN,
    FIRST_SYNC,
    REFUSED_TOKEN,
    SECOND_SYNC,
    STATEMENT,
)

if TYPE_CHECKING:
    from tests.prove.figures import Figures
    from tests.prove.plan import Plan
    from tests.prove.world import Scenario, World

SCENARIOS = (FIRST_SYNC, SECOND_SYNC, EXPIRED_TOKEN, REFUSED_TOKEN, STATEMENT, BY_KEYS)
MOST_WORDS = 4
_SUCCEEDED = "succeeded"


def prove(world: World, plan: Plan, figures: Figures) -> None:
    """Sweep every scenario that is asked for."""
    total = bad = needs_person = 0
    for scenario in _chosen(plan):
        with world.begun(scenario):
            sweep = Sweep(world, scenario, figures)
            sweep.run(plan.every)
        figures.tell(f"kill_sweep_{scenario.name}_operations", sweep.operations)
        figures.tell(f"kill_sweep_{scenario.name}_bad", sweep.bad)
        figures.tell(f"kill_sweep_{scenario.name}_needs_person", sweep.needs_person)
        figures.tell(f"kill_sweep_{scenario.name}_milliseconds_each", sweep.milliseconds_each)
        total, bad = total + sweep.operations, bad + sweep.bad
        needs_person += sweep.needs_person
    figures.tell("kill_sweep_operations", total)
    figures.tell("kill_sweep_needs_person", needs_person)
    figures.must_be_zero("kill_sweep_bad", bad)


def _chosen(plan: Plan) -> list[Scenario]:
    return [one for one in SCENARIOS if not plan.scenarios or one.name in plan.scenarios]


class Sweep:
    """One scenario, killed at every n-th operation."""

    def __init__(self, world: World, scenario: Scenario, figures: Figures) -> None:
        """Run it once undisturbed: what comes of that is what must always come."""
        self.operations = self.bad = self.needs_person = 0
        self.milliseconds_each = 0.0
        self._world, self._scenario, self._figures = world, scenario, figures
        world.again(scenario)
        in_fork(partial(work.work_until_killed, 0))
        self._expected = self._settled()
        self._report(0, "undisturbed", self._wrong_with(self._expected))

    def run(self, every: int) -> None:
        """Kill at 1, 1 + every, … until a run ends before it is killed."""
        began, points, kill_at = time.perf_counter(), 0, 1
        while (label := self._killed(kill_at)) is not None:
            self._report(kill_at, label, self._outcome())
            self.operations, points = kill_at, points + 1
            kill_at += every
        self.milliseconds_each = (time.perf_counter() - began) * 1000 / max(points, 1)

    def _killed(self, kill_at: int) -> str | None:
        """Kill a worker at this operation, and say which it was; None when it ended before."""
        self._world.again(self._scenario)
        outcome = Worker(partial(work.work_until_killed, kill_at)).outcome()
        if outcome.is_killed:
            return str(outcome.value)
        # Only a run that came to its end is the end of the sweep.
        if not outcome.is_good or outcome.value >= kill_at:
            raise RuntimeError(f"a worker ended with {outcome}")
        return None

    def _settled(self) -> dict[str, Any]:
        """How it ends; where tokens matter, how the sync after it ends too."""
        told = self._world.settled()
        if not self._scenario.is_about_tokens or told["needs_person"] or _wrong(told):
            return told
        self._world.tokens_end()
        in_fork(work.ask_again)
        return self._world.settled()

    def _outcome(self) -> list[str]:
        told = self._settled()
        if told["needs_person"]:
            self.needs_person += 1
            silent = _wrong(told, for_person=True)
            self._world.sign_in_again()
            return [*silent, *self._wrong_with(self._world.settled())]
        return self._wrong_with(told)

    def _wrong_with(self, told: dict[str, Any]) -> list[str]:
        other = difference(self._expected["state"], told["state"])
        return [*_wrong(told), *([other] if other else [])]

    def _report(self, kill_at: int, label: str, wrong: list[str]) -> None:
        self.bad += bool(wrong)
        for words in wrong[:MOST_WORDS]:
            self._figures.explain(f"{self._scenario.name}, operation {kill_at} ({label}): {words}")


def _wrong(told: dict[str, Any], *, for_person: bool = False) -> list[str]:
    """What the judge found; who waits for a person has not read everything, which is no loss."""
    if for_person:
        is_said = told["error"] == "provider_authentication_failed"
        told_why = [] if is_said else [f"the sync ended {told['ended']} {told['error']}"]
        kept = (one for one in told["findings"] if "waits for its person" in one["words"])
        return [*told_why, *(one["words"] for one in kept)]
    words = [f"{one['kind']}: {one['words']}" for one in told["findings"]]
    if told["ended"] != _SUCCEEDED:
        words.append(f"the sync ended {told['ended']} {told['error']}")
    return words
