"""Many connections due at once: how fast two workers read them all, and what the queue holds.

Run as `python -m tests.bench.due NAME`, with DATABASE_URL naming an empty database. BENCH_DUE says
how many (1,000 unless it is set; 10,000 is the promise). Each has a person of its own, one known
account and three new transactions; the provider answers at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import django

django.setup()

from django.conf import settings  # noqa: E402 - models load after the set-up
from django.core.management import call_command  # noqa: E402
from django.db.models import Sum  # noqa: E402
from django.db.models.functions import Length  # noqa: E402
from django.utils.timezone import now  # noqa: E402
from django_q.models import OrmQ, Schedule  # noqa: E402

from accounts.models import Account  # noqa: E402
from accounts.types import AccountType  # noqa: E402
from connections.models import Connection, Sync  # noqa: E402
from connections.tasks import sync_due  # noqa: E402
from connections.types import SyncStatus  # noqa: E402
from dashtam.models import User  # noqa: E402
from tests.bench.imports import figure  # noqa: E402
from tests.bench.sync import a_connection, asking, measured  # noqa: E402
from tests.bench.wire import id_of, serving  # noqa: E402
from tests.processes import ROOT, environment  # noqa: E402
from transactions.models import Transaction  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

DUE = int(os.environ.get("BENCH_DUE", "1000"))
WORKERS = 2
ROWS_EACH = 3
# Slower than this is a defect, not a figure.
AT_LEAST_PER_SECOND = 1
PAUSE_SECONDS = 0.25


def main(name: str) -> None:
    """Print the figures of this database under this name."""
    call_command("migrate", verbosity=0)
    # The schedule is this process's: it counts what is queued at every turn.
    Schedule.objects.all().delete()
    mark = "due" if name == "postgres" else f"due_{name}"
    with serving(1, ROWS_EACH) as url, asking(url):
        figure(f"{mark}_statements_per_connection", statements(), "statements")
        many(DUE)
        with workers(url):
            seconds, rows, size = until_all_are_read()
    figure(f"{mark}_connections_per_minute", DUE / seconds * 60, "connections")
    figure(f"{mark}_queue_rows_peak", rows, "rows")
    figure(f"{mark}_queue_bytes_peak", size, "bytes")


def statements() -> int:
    """How many statements one of them takes, told by a sync in this process."""
    connection = many(1)[0]
    found = measured(connection).statements
    connection.user.delete()
    return found


def many(count: int) -> list[Connection]:
    """So many people with a connection that is due and an account that was read yesterday."""
    due_at, yesterday = now() - timedelta(minutes=1), now().date() - timedelta(days=1)
    people = [User(email=f"due{n}@example.com", password="!") for n in range(count)]
    connections = [a_connection(user, is_saved=False) for user in people]
    accounts = [
        Account(
            user=connection.user,
            connection=connection,
            provider_account_id=id_of(0),
            account_type=AccountType.BROKERAGE,
            currency="USD",
            transactions_from=yesterday - timedelta(days=90),
            transactions_through=yesterday,
            is_history_complete=True,
        )
        for connection in connections
    ]
    for connection in connections:
        connection.next_sync_at = due_at
    for rows in (people, connections, accounts):
        type(rows[0])._default_manager.bulk_create(rows, batch_size=500)  # type: ignore[arg-type]
    return connections


def until_all_are_read() -> tuple[float, int, int]:
    """Seconds until every connection was read, and the most rows and bytes that the queue held."""
    start, rows_peak, size_peak, next_turn = time.perf_counter(), 0, 0, 0.0
    while Sync.objects.filter(status=SyncStatus.SUCCEEDED).count() < DUE:
        seconds = time.perf_counter() - start
        if seconds >= next_turn:
            sync_due()
            next_turn = seconds + 1
        queue = OrmQ.objects.aggregate(size=Sum(Length("payload")))
        rows_peak, size_peak = (
            max(rows_peak, OrmQ.objects.count()),
            max(size_peak, queue["size"] or 0),
        )
        if seconds > 60 + DUE / AT_LEAST_PER_SECOND:
            done = Sync.objects.filter(status=SyncStatus.SUCCEEDED).count()
            sys.exit(f"{done} of {DUE} were read in {seconds:.0f} seconds")
        time.sleep(PAUSE_SECONDS)
    seconds = time.perf_counter() - start
    if Transaction.objects.count() != DUE * ROWS_EACH:
        sys.exit("not every transaction was saved once")
    return seconds, rows_peak, size_peak


@contextmanager
def workers(url: str) -> Iterator[None]:
    """A cluster of the queue with WORKERS processes, asking this provider; gone with the block."""
    variables = environment(
        os.environ["DATABASE_URL"],
        DASHTAM_ROLE="worker",
        WORKERS=str(WORKERS),
        SANDBOX="true",
        SANDBOX_PORT=str(urlsplit(url).port),
        LOG_LEVEL="ERROR",
    )
    # Its leader alone is told to end: the cluster hangs when its whole group is.
    process = subprocess.Popen(
        [sys.executable, "manage.py", "qcluster"],
        cwd=ROOT,
        env=variables,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    settings.LOGGING_CONFIG = None
    main(sys.argv[1])
