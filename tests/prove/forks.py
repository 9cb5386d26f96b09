"""Workers as forks of a process that has Django set up and no connection open."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED = 70
# Longer than any lock is waited for.
PATIENCE_SECONDS = 120
_LOOK_EVERY_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a worker ended: what it returned, or its exit status, or the signal that ended it."""

    value: Any = None
    status: int = 0
    signal: int = 0

    @property
    def is_good(self) -> bool:
        """Whether it came to its end by itself, without an error."""
        return not self.status and not self.signal

    @property
    def is_killed(self) -> bool:
        """Whether it died by SIGKILL."""
        return self.signal == signal.SIGKILL


class Worker:
    """A fork that does one thing; `outcome` waits for its end."""

    def __init__(self, task: Callable[[], Any]) -> None:
        """Begin; what `task` returns must be JSON."""
        sys.stdout.flush()
        self._answers, theirs = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._answers)
            _be_worker(task, theirs)
        os.close(theirs)
        self._ended: tuple[int, int] | None = None

    def kill(self) -> None:
        """End it without a warning, if it is not over."""
        self.send(signal.SIGKILL)

    def send(self, number: int) -> None:
        """Signal it, if it is not over."""
        if not self.is_over():
            os.kill(self.pid, number)

    def is_over(self) -> bool:
        """Whether it has ended."""
        if self._ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._ended = (pid, status) if pid else None
        return self._ended is not None

    def ends_within(self, seconds: float) -> bool:
        """Wait so long for its end; whether it came."""
        deadline = time.perf_counter() + seconds
        while not self.is_over():
            if time.perf_counter() > deadline:
                return False
            time.sleep(_LOOK_EVERY_SECONDS)
        return True

    def outcome(self) -> Outcome:
        """Wait for its end: its answer ends when it does. TimeoutError when neither comes."""
        if not select.select([self._answers], [], [], PATIENCE_SECONDS)[0]:
            self.kill()
            raise TimeoutError(f"a worker hung for {PATIENCE_SECONDS} seconds")
        with os.fdopen(self._answers, "rb") as answers:
            told = answers.read()
        if self._ended is None:
            self._ended = os.waitpid(self.pid, 0)
        status = self._ended[1]
        if os.WIFSIGNALED(status):
            return Outcome(signal=os.WTERMSIG(status), value=told.decode())
        code = os.waitstatus_to_exitcode(status)
        return Outcome(value=json.loads(told) if told and not code else None, status=code)


def in_fork(task: Callable[[], Any]) -> Any:
    """Do it in a worker of its own and return what it returned; RuntimeError when it failed."""
    outcome = Worker(task).outcome()
    if not outcome.is_good:
        raise RuntimeError(f"a worker ended with {outcome}")
    return outcome.value


def last_words(text: str) -> None:
    """Leave a word for `outcome` in a worker that is about to die."""
    if _leaving:
        os.write(_leaving[-1], text.encode())


_leaving: list[int] = []


def _be_worker(task: Callable[[], Any], answers: int) -> NoReturn:
    status = FAILED
    _leaving.append(answers)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        value = task()
        connections.close_all()
        _write(answers, json.dumps(value).encode())
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends here
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
