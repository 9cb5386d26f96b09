"""The brake: a provider that fails, or asks to wait, is left in peace by everybody.

In memory, one for each process; a key is a provider at one server, never a user.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from random import SystemRandom
from threading import Lock
from typing import Final

from dashtam.http.errors import RateLimited, Unavailable

FAILURES_IN_A_ROW: Final = 5
REST: Final = timedelta(seconds=60)
# Longer than a call may last: the trial has reported, or its thread is gone.
TRIAL: Final = timedelta(seconds=90)
SHORTEST_WAIT: Final = timedelta(seconds=1)
LONGEST_WAIT: Final = timedelta(hours=6)
FIRST_GUESS: Final = timedelta(seconds=60)
LONGEST_GUESS: Final = timedelta(hours=1)
_GUESS_DOUBLINGS = 6
_SECONDS = re.compile(r"[0-9]+", re.ASCII)
_MAX_DIGITS = 9


@dataclass(slots=True)
class _State:
    failures: int = 0
    closed_until: datetime | None = None
    waits: int = 0
    wait_until: datetime | None = None


def _now() -> datetime:
    return datetime.now(UTC)


class Brake:
    """Counts what happens with each key and stops the calls that would not help. Thread-safe."""

    def __init__(self, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._lock = Lock()
        self._states: dict[str, _State] = {}

    def check(self, key: str) -> None:
        """Let a call pass. RateLimited while a wait was asked for, Unavailable during a rest.

        After the rest one call goes ahead as a trial; the others wait for how it ends.
        """
        with self._lock:
            state, now = self._states.get(key, _State()), self._now()
            if state.wait_until and now < state.wait_until:
                raise RateLimited(f"{key}: asked to wait", state.wait_until)
            if state.closed_until and now < state.closed_until:
                raise Unavailable(
                    f"{key}: resting after {state.failures} failures",
                    retry_at=state.closed_until,
                    may_have_arrived=False,
                    is_passing=False,
                )
            if state.closed_until:
                state.closed_until = now + TRIAL

    def succeeded(self, key: str) -> None:
        """An answer came: forget the failures. A wait that was asked for stays."""
        with self._lock:
            state = self._states.get(key, _State())
            if state.wait_until and self._now() < state.wait_until:
                state.failures, state.closed_until = 0, None
            else:
                self._states.pop(key, None)

    def failed(self, key: str) -> None:
        """No answer came: from the fifth time in a row on, rest."""
        with self._lock:
            state = self._states.setdefault(key, _State())
            state.failures += 1
            if state.failures >= FAILURES_IN_A_ROW:
                state.closed_until = self._now() + REST

    def limited(self, key: str, retry_after: str | None) -> datetime:
        """The provider asked to wait: return until when, from its header or else by a guess."""
        with self._lock:
            state, now = self._states.setdefault(key, _State()), self._now()
            asked = retry_at(retry_after, now)
            # Several calls may have been under way: together they are one request to wait.
            is_another = state.wait_until is None or state.wait_until <= now
            state.waits += is_another
            moment = asked or now + _guess(state.waits)
            state.wait_until = moment if is_another else max(moment, state.wait_until or moment)
            return state.wait_until

    def moment(self, retry_after: str | None) -> datetime | None:
        """Return until when an answer asks to be left alone, None when it does not say."""
        return retry_at(retry_after, self._now())


def retry_at(header: str | None, now: datetime) -> datetime | None:
    """Return when a Retry-After header allows the next call: 1 second to 6 hours from now.

    It is a number of seconds or an HTTP date; None when it is neither, or negative.
    """
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        wait = timedelta(seconds=int(text)) if len(text) <= _MAX_DIGITS else LONGEST_WAIT
    else:
        moment = _http_date(text)
        if moment is None:
            return None
        wait = moment - now
    return now + min(max(wait, SHORTEST_WAIT), LONGEST_WAIT)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _guess(waits: int) -> timedelta:
    # Doubled each time; the jitter only adds, so that nobody comes too early.
    wait = FIRST_GUESS * (1 << min(waits - 1, _GUESS_DOUBLINGS))
    return min(wait * SystemRandom().uniform(1, 1.25), LONGEST_GUESS)
