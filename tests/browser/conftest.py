"""A running Dashtam, and people who look at it in Chromium."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from connections.sandbox.bank import Bank
from tests.bench.databases import postgres
from tests.browser.person import Person
from tests.processes import Up, manage
from tests.requirements import chromium_path, runs_on_postgres

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
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | str]:
    """An empty one of their own, of the kind that the suite runs on."""
    if not runs_on_postgres():
        yield tmp_path_factory.mktemp("browser") / "db.sqlite3"
        return
    with postgres() as url:
        yield url


@pytest.fixture(scope="session")
def server(database: Path | str, mail: Path) -> Iterator[Up]:
    """Web and worker as `manage.py up` runs them."""
    assert manage(database, "migrate", "--verbosity=0").returncode == 0
    running = Up(database, "--port=0", EMAIL_URL=f"filemail:///{mail}")
    try:
        yield running.is_up()
        running.end()
    finally:
        running.clean_up()


@pytest.fixture(scope="session")
def sandbox_port() -> int:
    """Where Dashtam in sandbox mode will be: the bank has to know it before."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
    return number


@pytest.fixture(scope="session")
def bank(sandbox_port: int) -> Iterator[Bank]:
    """The bank in the box."""
    callback = f"http://localhost:{sandbox_port}/oauth/schwab/callback"
    with Bank(size=50, callbacks=[callback]) as served:
        yield served


@pytest.fixture(scope="session")
def sandbox(
    bank: Bank, sandbox_port: int, mail: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Up]:
    """Dashtam in sandbox mode, with this bank in the place of every provider."""
    database = tmp_path_factory.mktemp("sandbox") / "db.sqlite3"
    assert manage(database, "migrate", "--verbosity=0").returncode == 0
    bank_port = bank.url.rpartition(":")[2]
    wiring = {"SANDBOX": "true", "SANDBOX_PORT": bank_port, "EMAIL_URL": f"filemail:///{mail}"}
    running = Up(database, f"--port={sandbox_port}", **wiring)
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
