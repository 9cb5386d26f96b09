"""What the schedule runs for the installation itself."""

from dashtam import health, retention


def beat() -> None:
    """Every minute: say that the schedule is followed and that a worker works."""
    health.beat()


def prune() -> None:
    """Every day: remove what is not kept any longer."""
    retention.prune(seconds=retention.SECONDS_PER_RUN)
