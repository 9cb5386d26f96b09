"""A running Dashtam, and people who look at it in Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.person import Person
from tests.processes import Up, manage
from tests.requirements import chromium_path

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
HEIGHT = 860


@pytest.fixture(scope="session")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that letters arrive in."""
    return tmp_path_factory.mktemp("mail")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, mail: Path) -> Iterator[Up]:
    """Web and worker as `manage.py up` runs them, on a database of their own."""
    database = tmp_path_factory.mktemp("browser") / "db.sqlite3"
    assert manage(database, "migrate", "--verbosity=0").returncode == 0
    running = Up(database, "--port=0", EMAIL_URL=f"filemail:///{mail}")
    try:
        yield running.is_up()
        running.end()
    finally:
        running.clean_up()


@pytest.fixture(scope="session")
def cookies() -> dict[str, Any]:
    """What a browser keeps of somebody who signed up once; empty until somebody has."""
    return {}


@pytest.fixture
def somebody(person: Callable[..., Person], cookies: dict[str, Any]) -> Person:
    """Somebody signed in, with an account that others may have used before."""
    if cookies:
        return person(storage_state=cookies)
    known = person().sign_up()
    cookies.update(known.context.storage_state())
    return known


# Started anew for each test: a running Playwright makes Django refuse the database to its thread.
@pytest.fixture
def person(server: Up, mail: Path, tmp_path: Path) -> Iterator[Callable[..., Person]]:
    """Opens a browser of a given width for somebody nobody knows yet."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)

        def arrive(width: int = 1280, **options: Any) -> Person:
            context = browser.new_context(
                viewport={"width": width, "height": HEIGHT},
                reduced_motion="reduce",
                base_url=f"http://localhost:{server.port}",
                **options,
            )
            return Person(context, width=width, mail=mail, folder=tmp_path)

        yield arrive
        browser.close()
