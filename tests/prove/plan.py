"""How much is done of each proof."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """`every` is which operations the sweep kills at; the others are how often, in all.

    `scenarios` are the sweep's by name; all of them when none is named.
    """

    seed: int
    every: int = 1
    kills: int = 200
    races: int = 25
    stops: int = 20
    rounds: int = 25
    lives: int = 1000
    scenarios: tuple[str, ...] = ()

    def dice(self, proof: str) -> random.Random:
        """The same numbers for the same seed, whichever proofs are run."""
        return random.Random(f"{self.seed}|{proof}")


def small(seed: int) -> Plan:
    """As much as a build has time for."""
    return Plan(seed, every=25, kills=10, races=2, stops=2, rounds=2, lives=5)
