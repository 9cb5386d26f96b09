"""What `python -m tests.prove` may be asked for."""

from __future__ import annotations

import argparse
import dataclasses
import secrets

from tests.prove.plan import Plan, small

PROOFS = ("sweep", "storm", "races", "stopped", "deliveries", "undo")
# Those for which there is a broken engine that they have to notice.
SABOTAGED = ("sweep", "races", "stopped", "deliveries")
DATABASES = ("sqlite", "postgres")


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """Which proofs, on which databases (none: on all that there are), and how much of them."""

    names: list[str]
    databases: list[str]
    plan: Plan
    is_sabotaged: bool = False


def options_of(arguments: list[str]) -> Options:
    """Read the command line; a seed is drawn when none is given."""
    given = _parser().parse_args(arguments)
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    plan = small(seed) if given.small else Plan(seed)
    named = {name: getattr(given, name) for name in ("every", "kills")}
    chosen = {name: value for name, value in named.items() if value}
    chosen["scenarios"] = tuple(given.scenario or ())
    return Options(
        names=given.names or list(PROOFS),
        databases=given.database or [],
        plan=dataclasses.replace(plan, **chosen),
        is_sabotaged=given.sabotage,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.prove")
    parser.add_argument("names", nargs="*", metavar="PROOF", help=", ".join(PROOFS))
    parser.add_argument("--every", type=int, help="the sweep kills at every N-th operation")
    parser.add_argument("--kills", type=int, help="how often the storm kills")
    parser.add_argument("--seed", type=int, help="repeat a run; it is the first figure printed")
    parser.add_argument("--small", action="store_true", help="as little as a build does")
    parser.add_argument("--scenario", action="append", help="what the sweep is confined to")
    parser.add_argument("--sabotage", action="store_true", help="break the engine: it has to show")
    parser.add_argument("--database", action="append", choices=DATABASES)
    return parser
