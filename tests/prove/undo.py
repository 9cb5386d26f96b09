"""Imports, overlaps and undos in any order leave what importing the remaining files makes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.imports.undo_property import undo_figures
from tests.prove.forks import in_fork
from tests.prove.world import MIGRATED

if TYPE_CHECKING:
    from tests.prove.figures import Figures
    from tests.prove.plan import Plan
    from tests.prove.world import World


# A worker is not waited for any longer than these take.
LIVES_OF_A_WORKER = 20


def prove(world: World, plan: Plan, figures: Figures) -> None:
    """So many random lives of one person's files, each judged against a person without undos."""
    first = plan.seed * plan.lives
    last = first + plan.lives
    played = differing = 0
    for start in range(first, last, LIVES_OF_A_WORKER):
        world.database.bring_back(MIGRATED)
        seeds = range(start, min(start + LIVES_OF_A_WORKER, last))
        told = in_fork(partial(undo_figures, seeds))
        played += told["undo_seeds"]
        differing += told["undo_rows_differing"]
    figures.tell("undo_seeds", played)
    figures.must_be_zero("undo_rows_differing", differing)
