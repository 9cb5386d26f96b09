"""What tests need beyond Python: absent, they skip with a reason; named in REQUIRE, they fail.

REQUIRE is a comma-separated list of browser, postgres, redis and fixtures. The marker `postgres`
(`redis`) means that the suite itself must run on that server: DATABASE_URL (REDIS_URL) says so.
"""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

FIXTURES = Path(__file__).resolve().parent.parent.parent / "shared" / "fixtures"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def require(name: str, reason: str) -> NoReturn:
    """Skip the running test for a stated reason, or fail it where REQUIRE names the thing."""
    if name in os.environ.get("REQUIRE", "").split(","):
        pytest.fail(f"REQUIRE names {name}: {reason}", pytrace=False)
    pytest.skip(reason)


def chromium_path() -> str:
    """The browser's executable, or a skip."""
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    return found or require("browser", "no Chromium is installed")


def fixtures_folder() -> Path:
    """The folder of statement files beside the project, or a skip."""
    return FIXTURES if FIXTURES.is_dir() else require("fixtures", "no fixtures beside the project")


def runs_on_postgres() -> bool:
    """Whether DATABASE_URL puts the suite on PostgreSQL."""
    return os.environ.get("DATABASE_URL", "").startswith(("postgres:", "postgresql:"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Honour the markers before any fixture asks for a database."""
    if item.get_closest_marker("postgres") and not runs_on_postgres():
        require("postgres", "the suite is not on PostgreSQL: DATABASE_URL says otherwise")
    if item.get_closest_marker("redis") and not os.environ.get("REDIS_URL"):
        require("redis", "REDIS_URL names no server")
    if item.get_closest_marker("browser"):
        chromium_path()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow tests last: a mistake in a fast one shows at once.

    On PostgreSQL what is of SQLite's own, and what says the same wherever the suite runs, is left
    out, which is no skip.
    """
    if runs_on_postgres():
        left_out = [item for item in items if _is_elsewhere(item)]
        items[:] = [item for item in items if not _is_elsewhere(item)]
        config.hook.pytest_deselected(items=left_out)
    items.sort(key=lambda item: any(map(item.get_closest_marker, ("processes", "browser"))))


def _is_elsewhere(item: pytest.Item) -> bool:
    """Whether a run on PostgreSQL leaves a test to the run on SQLite."""
    is_ours = item.get_closest_marker("postgres") or item.get_closest_marker("redis")
    return not is_ours and any(map(item.get_closest_marker, ("sqlite", "once")))
