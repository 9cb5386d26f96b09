"""Backing up, restoring into the other database and verifying: rows, seconds and memory.

Run as `python -m tests.bench.backup NAME [--rows N]`, with DATABASE_URL naming an empty database.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402 - models load after the set-up
from django.db import connections  # noqa: E402
from django.db.transaction import atomic  # noqa: E402

from dashtam.backup.loading import Loader  # noqa: E402
from dashtam.backup.tables import tables  # noqa: E402
from dashtam.ids import uuid7  # noqa: E402
from dashtam.models import Installation  # noqa: E402
from tests import factories  # noqa: E402
from tests.bench.databases import has_postgres, postgres, sqlite  # noqa: E402
from tests.bench.imports import figure  # noqa: E402

if TYPE_CHECKING:
    from accounts.models import Account

ROWS = 100_000
ACCOUNTS = 20
FIRST_DAY = date(2000, 1, 1)
# What a column says where a transaction says nothing.
EMPTY: dict[str, Any] = {"text": "", "bool": False}
# A child that tells the most memory it ever had, in kilobytes, as its last word (what `getrusage`
# says of it is its parent's before the exec).
MEASURED = """
import re, sys
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def main() -> None:
    """Print the figures of this database under this name."""
    options = argparse.ArgumentParser()
    options.add_argument("name")
    options.add_argument("--rows", type=int, default=ROWS)
    given = options.parse_args()
    fill(given.rows)
    url, name = os.environ["DATABASE_URL"], given.name
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        file = str(Path(folder, "bench.backup"))
        state = run(url, f"backup_{name}_write", "backup", file)
        figure(f"backup_{name}_size", Path(file).stat().st_size / 1e6, "MB")
        run(url, f"backup_{name}_verify", "verify")
        other = sqlite if name == "postgres" or not has_postgres() else postgres
        there = stack.enter_context(other())
        restored = run(there, f"backup_{name}_restore_on_{other.__name__}", "restore", file)
    figure(f"backup_{name}_transactions", given.rows, "rows")
    if state != restored:
        sys.exit("what was restored is not what was backed up")


def fill(rows: int) -> None:
    """One person with this many transactions in a few accounts."""
    call_command("migrate", verbosity=0)
    Installation.objects.check_keys()
    user = factories.make_user("bench@example.com")
    connection = factories.make_connection(user)
    accounts = [factories.make_account(user, connection) for _n in range(ACCOUNTS)]
    table = next(one for one in tables() if one.label == "transactions.Transaction")
    with atomic(), Loader(table, "sqlite") as loader:
        for n in range(rows):
            told = transaction(accounts[n % ACCOUNTS], n)
            loader.add([told.get(name, EMPTY.get(kind)) for name, kind in table.columns])
    connections.close_all()


def transaction(account: Account, n: int) -> dict[str, Any]:
    """The n-th transaction, as a backup has it: every tenth is a trade."""
    is_trade = n % 10 == 0
    day = FIRST_DAY + timedelta(days=n % 9000)
    none: dict[str, Any] = {"quantity": None, "unit_price": None}
    trade = {"symbol": f"S{n % 500}", "quantity": f"{n}.125", "unit_price": str(n)}
    return {
        "id": uuid7().hex,
        "user_id": account.user_id.hex,
        "account_id": account.pk.hex,
        "provider_transaction_id": f"{day:%Y%m%d}{n:09}",
        "transaction_type": "trade" if is_trade else "other",
        "subtype": "buy" if is_trade else "purchase",
        "status": "settled",
        "amount": n % 99_999 * 100,
        "currency": "USD",
        "description": f"MERCHANT {n % 4000} & CO POS PURCHASE {n}",
        "transaction_date": str(day),
        "created_at": f"2024-01-01 00:00:00.{n % 999_999 + 1:06}",
        "updated_at": f"2024-01-01 00:00:00.{n % 999_999 + 1:06}",
        "provider_metadata": f'{{"check": "{n}", "kind": "pos"}}' if n % 3 == 0 else "{}",
        **(trade if is_trade else none),
    }


def run(url: str, name: str, *command: str) -> str:
    """Run a command in a process of its own; prints its seconds and memory, returns the state."""
    start, used = time.perf_counter(), os.times()
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if ended.returncode:
        sys.exit(f"{command[0]}: {ended.stdout}{ended.stderr}")
    lines = ended.stdout.splitlines()
    figure(f"{name}_seconds", seconds, "s")
    now = os.times()
    spent = now.children_user + now.children_system - used.children_user - used.children_system
    figure(f"{name}_cpu", spent, "s")
    figure(f"{name}_peak", int(lines[-1]) / 1024, "MB")
    return next((line for line in lines if line.startswith("state")), "")


if __name__ == "__main__":
    main()
