"""Every proof, on a SQLite and a PostgreSQL database of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager

from tests import environment  # noqa: F401 - settings from the tests' environment, not from .env
from tests.bench.databases import has_postgres, postgres, sqlite
from tests.prove.command import DATABASES, options_of


def main(arguments: list[str]) -> int:
    """Run what was asked for; 1 when a figure is not 0 that has to be."""
    options = options_of(arguments)
    sys.stdout.write(f"seed {options.plan.seed}\n")
    sys.stdout.flush()
    failed = 0
    for name in options.databases or DATABASES:
        if name == "postgres" and not has_postgres():
            sys.stderr.write("postgres: no server answers\n")
            failed += name in options.databases
            continue
        with _empty(name) as url:
            failed += _run(url, [*arguments, "--database", name, "--seed", str(options.plan.seed)])
    return int(failed > 0)


def _empty(name: str) -> AbstractContextManager[str]:
    return postgres() if name == "postgres" else sqlite()


def _run(url: str, arguments: list[str]) -> int:
    settings = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "dashtam.settings"}
    # That workers die is no news here.
    variables = {**os.environ, **settings, "LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-m", "tests.prove.on_database", *arguments]
    return int(subprocess.run(command, env=variables, check=False).returncode != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
