"""From a commit to the browser: how soon, and whether anything is missed when a web server dies.

Run as `python -m tests.bench.live NAME`, with DATABASE_URL naming an empty database.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import django

django.setup()

from allauth.account.models import EmailAddress  # noqa: E402 - models load after the set-up
from django.core.management import call_command  # noqa: E402
from django.db.transaction import atomic  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from accounts.models import Account  # noqa: E402
from dashtam.events import NewEvent, record  # noqa: E402
from tests import factories  # noqa: E402
from tests.bench.imports import figure  # noqa: E402
from tests.browser.conftest import QUIET  # noqa: E402
from tests.processes import Up  # noqa: E402
from tests.requirements import chromium_path  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

CHANGES = 30
SOCKETS = 20
EVENTS = 400
EVENT_EVERY_SECONDS = 0.03
KILL_AFTER_SECONDS = 4

WRITER = ThreadPoolExecutor(max_workers=1)

# Notes when the number on the page becomes what is waited for.
WATCH = """wanted => new Promise(done => {
  const look = () => {
    const shown = document.getElementById("net-worth")?.textContent ?? "";
    if (shown.includes(wanted)) { observer.disconnect(); done(Date.now()); }
  };
  const observer = new MutationObserver(look);
  observer.observe(document.body, {subtree: true, childList: true, characterData: true});
  look();
})"""

# Sockets that come back with their last number, as the product's own script does.
FOLLOW = """count => {
  window.seen = Array.from({length: count}, () => []);
  window.seen.forEach((seen, index) => {
    const open = () => {
      const socket = new WebSocket(`ws://${location.host}/ws/live/?since=${seen.at(-1) ?? 0}`);
      socket.onmessage = event => {
        const message = JSON.parse(event.data);
        if (message.type === "event") seen.push(message.sequence);
      };
      socket.onclose = () => setTimeout(open, 200 + Math.random() * 500);
    };
    open();
  });
}"""


def main(name: str) -> None:
    """Print the figures of this database under this name."""
    call_command("migrate", verbosity=0)
    account = an_account()
    webs = 2 if name == "postgres" else 1
    with serving(webs) as ups, browser() as chromium:
        pages = [signed_in(chromium, up.port) for up in ups]
        waits = [wait for n in range(CHANGES) for wait in change(account, pages, n)]
        figure(f"live_{name}_commit_to_number_median", statistics.median(waits), "ms")
        figure(f"live_{name}_commit_to_number_worst", max(waits), "ms")
    kill(name, account)


def kill(name: str, account: Account) -> None:
    """Kill the web server under open sockets while events go on, and start it again."""
    port, before = 0, 0
    with browser() as chromium:
        with serving(1, "--web-only") as (first,):
            port = first.port
            page = signed_in(chromium, port)
            before = page.evaluate("Number(document.body.dataset.since)")
            page.goto(f"http://localhost:{port}/health/live")
            page.evaluate(FOLLOW, SOCKETS)
            writer = threading.Thread(target=write_events, args=[account])
            writer.start()
            time.sleep(KILL_AFTER_SECONDS)
        with serving(1, "--web-only", port=port):
            writer.join()
            last = before + EVENTS
            page.wait_for_function("last => seen.every(s => s.at(-1) >= last)", arg=last)
            seen: list[list[int]] = page.evaluate("seen")
    wanted = set(range(1, last + 1))
    figure(f"live_{name}_kill_missed", sum(len(wanted - set(one)) for one in seen), "events")
    figure(f"live_{name}_kill_doubled", sum(len(one) - len(set(one)) for one in seen), "events")


def an_account() -> Account:
    """A person who may sign in, with one account."""
    user = factories.make_user("bench@example.com")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return factories.make_account(user)


def change(account: Account, pages: list[Page], n: int) -> list[float]:
    """Commit a new balance and return how many milliseconds each page took to show it."""
    balance = Decimal(1_000_000 + n)
    shown = f"{balance:,}.00"
    for page in pages:
        page.evaluate(f"window.shown = ({WATCH})({shown!r}); null")
    # Playwright's own thread may not use the database.
    committed = WRITER.submit(set_balance, account, balance).result()
    return [page.evaluate("window.shown") - committed for page in pages]


def set_balance(account: Account, balance: Decimal) -> float:
    """Commit a new balance as a worker does; when that was, in milliseconds since 1970."""
    with atomic():
        Account.objects.filter(pk=account.pk).update(balance=balance)
        record(account.user_id, NewEvent("portfolio.balance.updated", {"new": str(balance)}))
    return time.time() * 1000


def write_events(account: Account) -> None:
    """Record events at a steady pace, one transaction each."""
    for n in range(EVENTS):
        with atomic():
            record(account.user_id, NewEvent("import.progress", {"records_processed": n}))
        time.sleep(EVENT_EVERY_SECONDS)


@contextlib.contextmanager
def serving(count: int, *arguments: str, port: int = 0) -> Iterator[list[Up]]:
    """This many hosts' `manage.py up`; killed without a warning at the end."""
    ups = []
    try:
        for _ in range(count):
            one = Up(os.environ["DATABASE_URL"], "--port", str(port), *arguments)
            ups.append(one)
            one.is_up(worker=not arguments)
        yield ups
    finally:
        for one in ups:
            one.clean_up()


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A browser with one profile."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)
        yield chromium.new_context()
        chromium.close()


def signed_in(context: Any, port: int) -> Page:
    """A page on the dashboard."""
    page: Page = context.new_page()
    page.goto(f"http://localhost:{port}/")
    if page.locator("input[type=password]").count():
        page.fill("input[type=email]", "bench@example.com")
        page.fill("input[type=password]", factories.PASSWORD)
        page.press("input[type=password]", "Enter")
        page.wait_for_selector("#net-worth")
    return page


if __name__ == "__main__":
    main(sys.argv[1])
