"""The proofs on one database: `python -m tests.prove.on_database NAME …`, see `tests.prove`."""

from __future__ import annotations

import signal
import sys

import django

django.setup()

from django.test.utils import override_settings, setup_test_environment  # noqa: E402

from tests.prove import deliveries, races, stopped, storm, sweep, undo  # noqa: E402
from tests.prove.command import options_of  # noqa: E402
from tests.prove.database import the_database  # noqa: E402
from tests.prove.figures import Figures  # noqa: E402
from tests.prove.sabotage import SABOTAGES  # noqa: E402
from tests.prove.world import World, be_small_and_quick  # noqa: E402

RUN = {
    "sweep": sweep.prove,
    "storm": storm.prove,
    "races": races.prove,
    "stopped": stopped.prove,
    "deliveries": deliveries.prove,
    "undo": undo.prove,
}


def main(arguments: list[str]) -> int:
    """Run what was asked for; 1 when a figure is not 0 that has to be."""
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(1))
    setup_test_environment()
    be_small_and_quick()
    options = options_of(arguments)
    figures = Figures(options.databases[0])
    database = the_database()
    try:
        with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
            world = World(database)
            for name in options.names:
                if options.is_sabotaged:
                    SABOTAGES[name]()
                RUN[name](world, options.plan, figures)
    finally:
        database.close()
    return int(figures.bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
