"""Real processes for tests: `manage.py up` on a free port, with a private database."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dashtam.supervisor import children_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 90
MEASURING = "COVERAGE_PROCESS_CONFIG"


def environment(database: Path | str, **extra: str) -> dict[str, str]:
    """The tests' own environment, on this SQLite file (or the database of this URL)."""
    # Measuring coverage in every process would double their time; `measured()` asks for it.
    away = ("DASHTAM_ROLE", "PUBLIC_URL", MEASURING)
    kept = {name: value for name, value in os.environ.items() if name not in away}
    url = database if isinstance(database, str) else f"sqlite:///{database}"
    return {**kept, "DATABASE_URL": url, "LOG_LEVEL": "INFO", **extra}


def measured() -> dict[str, str]:
    """What to add to an environment for its processes to count in the coverage."""
    return {MEASURING: os.environ[MEASURING]} if MEASURING in os.environ else {}


def manage(database: Path | str, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a management command to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(database, **extra),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look every 50 ms until it is so; AssertionError when patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)


class Up:
    """A running `manage.py up`: its output as it comes, its port, its descendants."""

    def __init__(self, database: Path | str, *arguments: str, **extra: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", *arguments],
            cwd=ROOT,
            env=environment(database, **extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def port(self) -> int:
        found = re.search(r"Dashtam is at http://localhost:(\d+)", self.output)
        assert found, self.output
        return int(found[1])

    def is_up(self, *, web: bool = True, worker: bool = True) -> Up:
        """Wait until what was asked for serves."""
        signs = ["Dashtam is at"] * web + ["] running."] * worker
        wait_until(
            lambda: all(s in self.output for s in signs) or self.process.poll() is not None, "up"
        )
        assert self.process.poll() is None, self.output
        return self

    def leader(self, of: str) -> int:
        """The process id of the child with this in its command line."""
        return next(pid for pid in children_of(self.process.pid) if of in command_line(pid))

    def family(self) -> list[int]:
        """The process ids of all that it started, and that those started."""
        found, unseen = [], [self.process.pid]
        while unseen:
            children = children_of(unseen.pop())
            found += children
            unseen += children
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal the parent and return its status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Return the status it ends with."""
        status = self.process.wait(PATIENCE_SECONDS)
        self.reader.join(PATIENCE_SECONDS)
        return status

    def clean_up(self) -> None:
        """Leave nothing running, whatever the test did."""
        for pid in [self.process.pid, *self.family()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join(PATIENCE_SECONDS)
        if self.process.stdout:
            self.process.stdout.close()


def command_line(pid: int) -> str:
    """What a process was started with; empty when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def alive(pids: Sequence[int]) -> list[int]:
    """Those that still run, or wait as zombies."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]
