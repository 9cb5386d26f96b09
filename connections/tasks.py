"""What the queue and the schedule run."""

from connections import notices
from connections.scheduling import queue_due
from connections.services import rescue_stalled
from connections.syncing import run


def run_sync(sync_id: str) -> None:
    """Sync a connection."""
    run(sync_id)


def rescue() -> None:
    """Every minute: queue again what a dead worker left."""
    rescue_stalled()


def sync_due() -> None:
    """Every minute: queue the connections whose time has come."""
    queue_due()


def tell() -> None:
    """Every minute: end and announce ends of consent, and write to who must sign in again."""
    notices.tell()
