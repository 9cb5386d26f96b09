"""The queue delivers the same sync ten times, in any order, to four workers, and old ones again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.prove import work
from tests.prove.forks import Worker, in_fork
from tests.prove.races import Start
from tests.prove.state import difference
from tests.prove.world import SECOND_SYNC

if TYPE_CHECKING:
    from tests.prove.figures import Figures
    from tests.prove.plan import Plan
    from tests.prove.world import World

TIMES = 10
WORKERS = 4
OLD_ONES = 3


def prove(world: World, plan: Plan, figures: Figures) -> None:
    """Round after round a sync is asked for and delivered too often."""
    dice, delivered, bad = plan.dice("deliveries"), 0, 0
    with world.begun(SECOND_SYNC):
        world.again(SECOND_SYNC)
        expected = world.settled()["state"]
        world.again(SECOND_SYNC)
        known: list[str] = []
        for _round in range(plan.rounds):
            if known:
                in_fork(work.ask_again)
            known.append(in_fork(work.take_from_queue))
            ids = [one for one in known[-OLD_ONES:] for _time in range(TIMES)]
            dice.shuffle(ids)
            delivered += len(ids)
            bad += _deliver(ids, figures)
            bad += _judge(world, expected, figures)
            bad += _claims(known[-1], figures)
    figures.tell("deliveries", delivered)
    figures.must_be_zero("deliveries_bad", bad)


def _deliver(ids: list[str], figures: Figures) -> int:
    start = Start()
    parts = [ids[number::WORKERS] for number in range(WORKERS)]
    workers = [Worker(start.then(partial(work.deliver, part))) for part in parts]
    start.now()
    failed = sum(not worker.outcome().is_good for worker in workers)
    if failed:
        figures.explain("deliveries: a worker failed")
    return failed


def _judge(world: World, expected: dict[str, list[str]], figures: Figures) -> int:
    told = in_fork(partial(work.verdict, world.bank.url))
    wrong = [one["words"] for one in told["findings"]]
    other = difference(expected, told["state"])
    for words in (*wrong, *filter(None, [other])):
        figures.explain(f"deliveries: {words}")
    return len(wrong) + bool(other)


def _claims(sync_id: str, figures: Figures) -> int:
    claims = in_fork(partial(work.claims_of, sync_id))
    if claims != 1:
        figures.explain(f"deliveries: a sync was claimed {claims} times")
    return int(claims != 1)
