"""The sandbox's clock: it runs on like any other, and can be put forward or set."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

LAST_YEAR = 2100
NEW_YORK = ZoneInfo("America/New_York")


class Clock:
    """Tells the sandbox's time (UTC); starts at `start`, or now."""

    def __init__(self, start: datetime | None = None) -> None:
        """Start at an aware datetime."""
        self._lock = threading.Lock()
        self.set(start or datetime.now(UTC))

    def now(self) -> datetime:
        """The sandbox's time, in UTC."""
        with self._lock:
            return self._start + timedelta(seconds=time.monotonic() - self._began)

    def advance(self, **span: float) -> None:
        """Go forward by a timedelta's words: `advance(days=7, seconds=1)`."""
        self.set(self.now() + timedelta(**span))

    def set(self, moment: datetime) -> None:
        """Be at this aware datetime from now on.

        A naive one is a ValueError, and so is one that histories would take long to grow to.
        """
        if moment.tzinfo is None:
            raise ValueError("The clock needs a time zone.")
        if moment.year > LAST_YEAR:
            raise ValueError(f"The clock ends in {LAST_YEAR}.")
        with self._lock:
            self._start, self._began = moment.astimezone(UTC), time.monotonic()
