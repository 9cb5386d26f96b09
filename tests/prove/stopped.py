"""A worker that stands still past its lease, and goes on when another has done its work."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from tests.prove import work
from tests.prove.forks import Worker, in_fork
from tests.prove.state import fingerprint
from tests.prove.world import SECOND_SYNC

if TYPE_CHECKING:
    from tests.prove.figures import Figures
    from tests.prove.forks import Outcome
    from tests.prove.plan import Plan
    from tests.prove.world import World

# A successor that takes longer waits for a transaction that stands still.
PATIENCE_SECONDS = 3.0
MOST_TRIES = 40


def prove(world: World, plan: Plan, figures: Figures) -> None:
    """Stop a worker at so many random moments."""
    with world.begun(SECOND_SYNC):
        stops = Stops(world, plan, figures)
        tries = plan.stops * MOST_TRIES
        while stops.fenced + stops.inside < plan.stops and tries:
            stops.one()
            tries -= 1
    figures.tell("stopped_seen", stops.fenced + stops.inside)
    figures.tell("stopped_fenced", stops.fenced)
    figures.tell("stopped_inside_a_transaction", stops.inside)
    figures.must_be_zero("stopped_bad", stops.bad + (not tries))


class Stops:
    """Stops of one scenario, at moments within the time that it takes undisturbed."""

    def __init__(self, world: World, plan: Plan, figures: Figures) -> None:
        """Measure how long it takes."""
        self.fenced = self.inside = self.bad = 0
        self._world, self._figures = world, figures
        self._dice = plan.dice("stopped")
        world.again(SECOND_SYNC)
        began = time.perf_counter()
        in_fork(work.work)
        self._seconds = time.perf_counter() - began

    def one(self) -> None:
        """One stop; it counts when the worker was in the middle of its sync."""
        self._world.again(SECOND_SYNC)
        stopped = Worker(work.work)
        time.sleep(self._dice.uniform(0, self._seconds))
        stopped.send(signal.SIGSTOP)
        if stopped.is_over():
            stopped.outcome()
            return
        successor = Worker(work.take_over)
        if successor.ends_within(PATIENCE_SECONDS):
            outcome = successor.outcome()
            self._check(outcome)
            self._goes_on(stopped, has_taken_over=bool(outcome.value))
        else:
            self.inside += 1
            stopped.send(signal.SIGCONT)
            self._both_end(stopped, successor)

    def _goes_on(self, stopped: Worker, *, has_taken_over: bool) -> None:
        """Nothing may change any more by the one that stood still."""
        before = in_fork(fingerprint)
        stopped.send(signal.SIGCONT)
        outcome = stopped.outcome()
        if not has_taken_over:
            # It had not begun, or it was through.
            return
        self.fenced += 1
        self._check(outcome)
        if in_fork(fingerprint) != before:
            self._bad("the worker wrote after another had taken over")
        self._judge()

    def _both_end(self, stopped: Worker, successor: Worker) -> None:
        for worker in (stopped, successor):
            self._check(worker.outcome())
        self._judge()

    def _check(self, outcome: Outcome) -> None:
        if not outcome.is_good:
            self._bad(f"a worker ended with {outcome}")

    def _judge(self) -> None:
        told = self._world.settled()
        for one in told["findings"]:
            self._bad(f"{one['kind']}: {one['words']}")

    def _bad(self, words: str) -> None:
        self.bad += 1
        self._figures.explain(f"stopped: {words}")
