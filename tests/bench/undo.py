"""Taking back a 50,000-transaction statement, and working out what that does.

Run as `python -m tests.bench.undo NAME`, with DATABASE_URL naming an empty database.
"""

from __future__ import annotations

import sys

import django

django.setup()

from django.conf import settings  # noqa: E402 - models load after the set-up
from django.core.management import call_command  # noqa: E402

from dashtam.models import User  # noqa: E402
from imports import undoing  # noqa: E402
from imports.services import confirm, preview_upload, run  # noqa: E402
from imports.types import StatementStatus  # noqa: E402
from tests.bench.imports import ROWS, figure, peak, timed  # noqa: E402
from tests.bench.statement import qfx  # noqa: E402
from transactions.models import Transaction  # noqa: E402


def main(name: str) -> None:
    """Print the figures of this database under this name."""
    call_command("migrate", verbosity=0)
    user = User.objects.create_user("bench@example.com", "bench only password")
    statement = preview_upload(user, file_name="bench.qfx", data=qfx(ROWS))
    run(confirm(statement).pk)
    statement.refresh_from_db()
    imported = peak()
    figure(f"undo_{name}_plan", timed(lambda: undoing.plan_of(statement)), "s")
    sync = undoing.request(statement, user)
    figure(f"undo_{name}_total", timed(lambda: run(sync.pk if sync else "")), "s")
    statement.refresh_from_db()
    if statement.status != StatementStatus.UNDONE or Transaction.objects.exists():
        sys.exit(f"the undo ended {statement.status}")
    figure(f"undo_{name}_worker_peak", peak(), "MB")
    figure(f"undo_{name}_import_peak", imported, "MB")


if __name__ == "__main__":
    settings.LOGGING_CONFIG = None
    main(sys.argv[1])
