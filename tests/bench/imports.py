"""A 50,000-transaction statement, read and saved by one worker process on a database of its own.

Run as `python -m tests.bench.imports NAME`, with DATABASE_URL naming an empty database.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import django

django.setup()

from django.apps import apps  # noqa: E402 - models load after the set-up
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402

from connections.types import SyncStatus  # noqa: E402
from dashtam.models import User  # noqa: E402
from imports.formats.child import read_in_child  # noqa: E402
from imports.services import confirm, preview_upload, run  # noqa: E402
from imports.types import StatementStatus  # noqa: E402
from tests.bench.statement import qfx  # noqa: E402

ROWS = 50_000


def main(name: str) -> None:
    """Print the figures of this database under this name."""
    call_command("migrate", verbosity=0)
    user = User.objects.create_user("bench@example.com", "bench only password")
    data = qfx(ROWS)
    read = timed(lambda: read_in_child(data))
    preview, statement = read_preview(user, data)
    total = timed(lambda: run(confirm(statement).pk))
    statement.refresh_from_db()
    if statement.status != StatementStatus.IMPORTED:
        sys.exit(f"the import ended {statement.status} {statement.error_code}")
    figure(f"import_{name}_read", read, "s")
    figure(f"import_{name}_preview", preview, "s")
    figure(f"import_{name}_save", total - read, "s")
    figure(f"import_{name}_total", total, "s")
    figure(f"import_{name}_worker_peak", peak(), "MB")
    again(name, user, data)


def again(name: str, user: User, data: bytes) -> None:
    """The same file, then the same rows in another file: what is written."""
    before = table_sizes()
    preview_upload(user, file_name="again.qfx", data=data)
    figure(
        f"import_{name}_same_file_rows", sum(table_sizes().values()) - sum(before.values()), "rows"
    )
    seconds, statement = read_preview(user, data + b"\n")
    sync = confirm(statement)
    seconds += timed(lambda: run(sync.pk))
    sync.refresh_from_db()
    if sync.status != SyncStatus.SUCCEEDED:
        sys.exit(f"the replay ended {sync.status} {sync.error_code}")
    after = table_sizes()
    bank_data = ("transactions.Transaction", "transactions.TransactionRevision", "holdings.Holding")
    written = sum(after[label] - before[label] for label in bank_data)
    figure(f"import_{name}_replay_rows", written, "rows")
    figure(f"import_{name}_replay_total", seconds, "s")


def read_preview(user: User, data: bytes) -> tuple[float, Any]:
    """Seconds a preview took, and the statement."""
    start = time.perf_counter()
    statement = preview_upload(user, file_name="bench.qfx", data=data)
    return time.perf_counter() - start, statement


def timed(call: Any) -> float:
    """Seconds the call took."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak() -> float:
    """Peak resident memory of this process, preview and import together, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table_sizes() -> dict[str, int]:
    """Rows of every table of ours."""
    ours = {"dashtam", "accounts", "transactions", "holdings", "connections", "imports"}
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model._meta.app_label in ours
    }


def figure(name: str, value: float, unit: str) -> None:
    """One figure, one line."""
    said = value if isinstance(value, int) else f"{value:.2f}"
    sys.stdout.write(f"{name} {said} {unit}".rstrip() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    settings.LOGGING_CONFIG = None
    main(sys.argv[1])
