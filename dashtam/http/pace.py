"""The pace: calls of one provider are spread so that it never has to ask us to wait.

In memory, one for each process; a key is a provider at one server, never a user.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

# Before anybody has to wait, so much of a minute's calls may come at once.
BURST_PART: Final = 0.5


@dataclass(slots=True)
class _Bucket:
    left: float
    seen_at: float


class Pace:
    """Lets calls pass so many a minute, half of them at once at most. Thread-safe."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._buckets: dict[str, _Bucket] = {}

    def wait(self, key: str, per_minute: float) -> None:
        """Return when the next call may be made; whoever comes first goes first."""
        seconds = self._take(key, per_minute)
        if seconds > 0:
            self._sleep(seconds)

    def _take(self, key: str, per_minute: float) -> float:
        """Take one call out of the bucket, on credit if need be; how long until it is there."""
        rate, most = per_minute / 60, max(1.0, per_minute * BURST_PART)
        with self._lock:
            now = self._clock()
            bucket = self._buckets.setdefault(key, _Bucket(most, now))
            bucket.left = min(most, bucket.left + (now - bucket.seen_at) * rate) - 1
            bucket.seen_at = now
            return -bucket.left / rate
