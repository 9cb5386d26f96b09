"""What the queue and the schedule run."""

from imports.services import clear_expired, close_left_behind, run


def run_import(sync_id: str) -> None:
    """Import the statement file of this sync."""
    run(sync_id)


def close() -> None:
    """Every minute: close imports whose sync has ended without them."""
    close_left_behind()


def clear() -> None:
    """Every hour: erase files that nobody confirmed in time."""
    clear_expired()
