"""What the queue and the schedule run."""

from imports.services import clear_expired, run


def run_import(sync_id: str) -> None:
    """Import the statement file of this sync."""
    run(sync_id)


def clear() -> None:
    """Every hour: erase files that nobody confirmed in time."""
    clear_expired()
