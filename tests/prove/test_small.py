"""Every proof, as small as a build has time for: `make prove` does all of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.processes import MEASURING
from tests.prove.command import PROOFS, SABOTAGED
from tests.requirements import runs_on_postgres

pytestmark = pytest.mark.processes

SEED = "7"
# What shows that something was done at all.
DONE = {
    "sweep": ("kill_sweep_operations", 300),
    "storm": ("storm_kills", 10),
    "races": ("refresh_count", 2),
    "stopped": ("stopped_seen", 2),
    "deliveries": ("deliveries", 20),
    "undo": ("undo_seeds", 5),
}


def prove(proof: str, *options: str) -> tuple[int, dict[str, float], str]:
    """The exit status, the figures by name, and everything that was said."""
    database = "postgres" if runs_on_postgres() else "sqlite"
    command = [sys.executable, "-m", "tests.prove", proof, "--small", "--seed", SEED]
    done = subprocess.run(
        [*command, "--database", database, *options],
        # Coverage in every fork would take most of the time.
        env={name: value for name, value in os.environ.items() if name != MEASURING},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    return (
        done.returncode,
        {name.removesuffix(f"_{database}"): float(value) for name, value in lines},
        done.stdout + done.stderr,
    )


@pytest.mark.parametrize("proof", PROOFS)
def test_nothing_is_lost_or_doubled_by(proof):
    status, figures, said = prove(proof)
    name, least = DONE[proof]
    assert figures[name] >= least, said
    assert status == 0, said


@pytest.mark.once
@pytest.mark.parametrize("proof", SABOTAGED)
def test_a_broken_engine_is_noticed_by(proof):
    status, figures, said = prove(proof, "--sabotage", "--scenario", "second")
    name, _least = DONE[proof]
    assert figures[name] > 0, said
    assert status == 1, said
