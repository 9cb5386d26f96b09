"""A job for the worker that says on disk when it began and when it ended."""

import time
from pathlib import Path


def sleep_and_tell(folder: str, seconds: float) -> None:
    """Write `began`, wait, write `ended`."""
    Path(folder, "began").touch()
    time.sleep(seconds)
    Path(folder, "ended").touch()
