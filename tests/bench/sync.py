"""10,000 transactions from a provider's wire to committed rows, and a bare COPY of the same rows.

Run as `python -m tests.bench.sync NAME`, with DATABASE_URL naming an empty database. The provider
is a process of its own (`tests.bench.wire`): four accounts, because an answer holds fewer than
3,000 rows. Every round measures COPY, a first sync and an unchanged one; the figures are medians.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import django

django.setup()

from django.conf import settings  # noqa: E402 - models load after the set-up
from django.core.management import call_command  # noqa: E402
from django.db import connection as db_connection  # noqa: E402
from django.db.transaction import atomic  # noqa: E402
from django.utils.timezone import now  # noqa: E402

from accounts.models import Account  # noqa: E402
from connections.models import Connection  # noqa: E402
from connections.services import request_sync  # noqa: E402
from connections.syncing import run  # noqa: E402
from connections.types import (  # noqa: E402
    ConnectionStatus,
    CredentialType,
    SyncStatus,
    SyncTrigger,
)
from dashtam.ids import uuid7  # noqa: E402
from dashtam.models import User  # noqa: E402
from dashtam.vault import Secret  # noqa: E402
from tests.bench.imports import figure  # noqa: E402
from tests.bench.wire import serving  # noqa: E402
from transactions.models import Transaction, TransactionRevision  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
ACCOUNTS, ROWS_EACH = 4, 2_500
MANY_ACCOUNTS, SLOW_ROWS_EACH, SLOW_ROUNDS, PAUSE_SECONDS = 12, 20, 3, 0.3
_TABLES = (Transaction._meta.db_table, TransactionRevision._meta.db_table)


@dataclass
class Measured:
    """What one sync took, in statements and rows of transactions and revisions too."""

    seconds: float = 0
    statements: int = 0
    rows_written: int = 0


@dataclass
class Rounds:
    """What all rounds took."""

    copies: list[float] = field(default_factory=list)
    new: list[Measured] = field(default_factory=list)
    unchanged: list[Measured] = field(default_factory=list)


def main(name: str) -> None:
    """Print the figures of this database under this name."""
    call_command("migrate", verbosity=0)
    mark = "sync" if name == "postgres" else f"sync_{name}"
    user = User.objects.create_user("bench@example.com", "bench only password")
    with serving(ACCOUNTS, ROWS_EACH) as url, asking(url):
        rounds = Rounds()
        for _ in range(ROUNDS):
            one_round(user, rounds)
        tell(mark, rounds)
    twelve(mark, user)


def one_round(user: User, rounds: Rounds) -> None:
    """A first sync, an unchanged one, and the rows they brought by COPY; nothing is left behind."""
    connection = a_connection(user)
    rounds.new.append(measured(connection))
    rounds.unchanged.append(measured(connection))
    if db_connection.vendor == "postgresql":
        rounds.copies.append(copied(user, connection))
    connection.delete()
    tidy()


def tell(mark: str, rounds: Rounds) -> None:
    """Print the medians, and on PostgreSQL how they stand to COPY's."""
    copy = statistics.median(rounds.copies) if rounds.copies else None
    if copy:
        figure("copy_seconds", copy, "s")
    for name, all_measured in (("new", rounds.new), ("unchanged", rounds.unchanged)):
        seconds = statistics.median(one.seconds for one in all_measured)
        figure(f"{mark}_{name}_seconds", seconds, "s")
        figure(f"{mark}_{name}_statements", all_measured[-1].statements, "statements")
        if copy:
            figure(f"{mark}_{name}_rows_written", all_measured[-1].rows_written, "rows")
            figure(f"{mark}_{name}_copy_ratio", seconds / copy, "×")


def twelve(mark: str, user: User) -> None:
    """Twelve accounts of a slow provider, and a single one of it, both known and unchanged."""
    alone = slowly(user, 1)
    together = slowly(user, MANY_ACCOUNTS)
    figure(f"{mark}_one_account_seconds", alone, "s")
    figure(f"{mark}_twelve_accounts_seconds", together, "s")
    figure(f"{mark}_twelve_accounts_ratio", together / alone, "×")


def slowly(user: User, accounts: int) -> float:
    """Median seconds of a sync of so many accounts when every answer takes PAUSE_SECONDS."""
    connection = a_connection(user)
    with serving(accounts, SLOW_ROWS_EACH) as url, asking(url):
        measured(connection)
    with serving(accounts, SLOW_ROWS_EACH, pause=PAUSE_SECONDS) as url, asking(url):
        seconds = statistics.median(measured(connection).seconds for _ in range(SLOW_ROUNDS))
    connection.delete()
    return seconds


def a_connection(user: User, *, is_saved: bool = True) -> Connection:
    """A connection to the bench's provider, signed in for a day."""
    connection = Connection(
        user=user,
        provider_slug="schwab",
        institution_name="Bench",
        status=ConnectionStatus.ACTIVE,
        credential_type=CredentialType.OAUTH2,
        is_sandbox=True,
        connected_at=now(),
    )
    tokens = {
        "access_token": "bench",
        "refresh_token": "bench",
        "access_expires_at": (now() + timedelta(days=1)).isoformat(),
    }
    connection.seal({name: Secret(text) for name, text in tokens.items()})
    if is_saved:
        connection.save()
    return connection


def measured(connection: Connection) -> Measured:
    """Sync it, as a worker does; exits when it ends otherwise than well."""
    with atomic():
        sync = request_sync(connection, trigger=SyncTrigger.MANUAL, force=True)
    result, before = Measured(), rows_written()

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result.statements += 1
        return execute(sql, params, many, context)

    with db_connection.execute_wrapper(count):
        start = time.perf_counter()
        run(sync.pk)
        result.seconds = time.perf_counter() - start
    sync.refresh_from_db()
    if sync.status != SyncStatus.SUCCEEDED:
        sys.exit(f"the sync ended {sync.status} {sync.error_code}")
    result.rows_written = rows_written() - before
    return result


def copied(user: User, connection: Connection) -> float:
    """Seconds that COPY takes for this connection's transactions under another account."""
    fields = Transaction._meta.concrete_fields
    columns = ", ".join(db_connection.ops.quote_name(field.column) for field in fields)
    account = Account.objects.create(
        user=user, connection=connection, provider_account_id="copy", currency="USD"
    )
    with db_connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {_TABLES[0]}")  # noqa: S608 - our own names
        own = {"id": uuid7, "account_id": lambda: account.pk}
        rows = [
            tuple(
                own[field.column]() if field.column in own else value
                for field, value in zip(fields, row, strict=True)
            )
            for row in cursor.fetchall()
        ]
    tidy()
    start = time.perf_counter()
    with (
        atomic(),
        db_connection.cursor() as cursor,
        cursor.cursor.copy(f"COPY {_TABLES[0]} ({columns}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)
    seconds = time.perf_counter() - start
    if account.transactions.count() != len(rows) or len(rows) != ACCOUNTS * ROWS_EACH:
        sys.exit("COPY brought other rows")
    account.delete()
    return seconds


def rows_written() -> int:
    """Rows of transactions and revisions ever inserted, updated or deleted; 0 on SQLite."""
    if db_connection.vendor != "postgresql":
        return 0
    with db_connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
            " WHERE relname = ANY(%s)",
            [list(_TABLES)],
        )
        return int(cursor.fetchone()[0])


def tidy() -> None:
    """Let no round pay for what another one left behind."""
    with db_connection.cursor() as cursor:
        cursor.execute(
            f"VACUUM ANALYZE {', '.join(_TABLES)}"
            if db_connection.vendor == "postgresql"
            else "PRAGMA wal_checkpoint(TRUNCATE)"
        )
        if db_connection.vendor == "postgresql":
            cursor.execute("CHECKPOINT")


@contextmanager
def asking(url: str) -> Iterator[None]:
    """Let every provider be at this address."""
    settings.SANDBOX, settings.SANDBOX_URL = True, url
    yield


if __name__ == "__main__":
    settings.LOGGING_CONFIG = None
    main(sys.argv[1])
