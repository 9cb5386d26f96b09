"""What the queue and the schedule run."""

from imports.services import clear_expired, close_left_behind, run


def run_import(sync_id: str) -> None:
    """Import the statement file of this sync."""
    run(sync_id)


def clear() -> None:
    """Every hour: close imports that a dead worker left, erase files nobody confirmed in time."""
    close_left_behind()
    clear_expired()
