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


def prove(world: World, plan: Plan, figures: Figures) -> None:
    """So many random lives of one person's files, each judged against a person without undos."""
    world.database.bring_back(MIGRATED)
    first = plan.seed * plan.lives
    told = in_fork(partial(undo_figures, range(first, first + plan.lives)))
    figures.tell("undo_seeds", told["undo_seeds"])
    figures.must_be_zero("undo_rows_differing", told["undo_rows_differing"])
