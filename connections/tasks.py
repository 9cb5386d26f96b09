"""What the queue and the schedule run."""

from connections.services import rescue_stalled


def rescue() -> None:
    """Every minute: queue again what a dead worker left."""
    rescue_stalled()
