"""Every benchmark, each in processes and on databases of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests import environment  # noqa: F401 - settings from the tests' environment, not from .env
from tests.bench.databases import has_postgres, postgres, sqlite

DATABASES = {"sqlite": sqlite, "postgres": postgres}
BENCHMARKS = (
    "tests.bench.imports",
    "tests.bench.undo",
    "tests.bench.sync",
    "tests.bench.due",
    "tests.bench.live",
    "tests.bench.backup",
)


def main() -> int:
    """Run what was asked for (all of them otherwise); the number of benchmarks that failed."""
    failed = 0
    for benchmark in BENCHMARKS:
        for name, database in DATABASES.items():
            if name == "postgres" and not has_postgres():
                sys.stderr.write(f"{benchmark} {name}: no PostgreSQL answers\n")
                continue
            with database() as url:
                failed += run(benchmark, name, url)
    return failed


def run(benchmark: str, name: str, url: str) -> int:
    """Run one benchmark on one database; 1 when it failed."""
    variables = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "dashtam.settings"}
    command = [sys.executable, "-m", benchmark, name]
    return int(subprocess.run(command, env=variables, check=False).returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
