"""One parent for several processes: their output interleaved, their ends joined. No Django."""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LINE_LIMIT_BYTES = 64_000
TURN_SECONDS = 1.0
STARTING_TURN_SECONDS = 0.1
COLOURS = (36, 35, 33, 32)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Service:
    """A process to run.

    `environment` is laid over the parent's; `grace_seconds` is how long its end may take.
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    grace_seconds: float


@dataclass
class Child:
    """A running service: leader of a session of its own, so the terminal's Ctrl-C passes it by."""

    service: Service
    process: subprocess.Popen[bytes]
    prefix: bytes
    buffer: bytes = b""
    deadline: float | None = None

    @property
    def is_running(self) -> bool:
        return self.process.returncode is None

    def ask_to_end(self) -> None:
        """Signal the leader only: the queue's worker hangs when its whole group is told."""
        self.deadline = time.monotonic() + self.service.grace_seconds
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGTERM)

    def kill_group(self) -> None:
        """End at once the leader and whatever it left behind in its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


@dataclass
class Supervisor:
    """Runs services until one of them ends or a signal asks; then ends them all.

    `is_answering` is asked until it says yes; then `greeting` is printed, once. With `as_line` the
    services' lines are passed on as they are, and the supervisor's own sentences go through it.
    """

    services: Sequence[Service]
    folder: Path
    out: BinaryIO
    greeting: str = ""
    is_answering: Callable[[], bool] | None = None
    as_line: Callable[[str], str] | None = None
    status: int = 0
    is_stopping: bool = False
    children: list[Child] = field(default_factory=list)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self) -> int:
        """Start, watch and end the services.

        Returns 0 when asked to end, 1 when a service ended by itself or had to be killed.
        """
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        with _signals_as_bytes() as wake_up:
            self.selector.register(wake_up, selectors.EVENT_READ)
            try:
                self._start()
                while any(child.is_running for child in self.children):
                    self._turn(wake_up)
            finally:
                self._sweep()
        return self.status

    def _start(self) -> None:
        width = max(len(service.name) for service in self.services)
        is_tty = os.isatty(self.out.fileno())
        for number, service in enumerate(self.services):
            prefix = f"{service.name:<{width}} | "
            if is_tty:
                prefix = f"\x1b[{COLOURS[number % len(COLOURS)]}m{prefix}\x1b[0m"
            named = b"" if self.as_line else prefix.encode()
            child = Child(service, _spawn(service, self.folder), named)
            self.children.append(child)
            assert child.process.stdout is not None  # noqa: S101  (asked for with PIPE)
            os.set_blocking(child.process.stdout.fileno(), False)
            self.selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _turn(self, wake_up: socket.socket) -> None:
        pause = STARTING_TURN_SECONDS if self.is_answering else TURN_SECONDS
        for key, _events in self.selector.select(pause):
            if key.data is None:
                self._obey(wake_up.recv(4096))
            else:
                self._forward(key.data)
        self._reap()
        self._kill_the_late()
        if self.is_answering and self.is_answering():
            self.is_answering = None
            self._say(self.greeting)

    def _obey(self, signals: bytes) -> None:
        for number in signals:
            if number == signal.SIGCHLD:
                continue
            if self.is_stopping and number == signal.SIGINT:
                self._say("Ending now, without waiting for the running job.")
                for child in self.children:
                    child.deadline = time.monotonic()
            elif not self.is_stopping:
                self._say("Stopping; a running job is let finish. Ctrl-C again ends it at once.")
                self._stop()

    def _stop(self) -> None:
        self.is_stopping = True
        self.is_answering = None
        for child in self.children:
            if child.is_running:
                child.ask_to_end()

    def _reap(self) -> None:
        """Collect every ended process: ours, and the orphans of ours that Linux hands to us."""
        while True:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self.children:
                if child.process.pid == pid:
                    self._ended(child, os.waitstatus_to_exitcode(wait_status))

    def _ended(self, child: Child, code: int) -> None:
        child.process.returncode = code
        child.kill_group()
        if not self.is_stopping:
            how = f"by signal {-code}" if code < 0 else f"with status {code}"
            self._say(f"{child.service.name} ended {how}: ending the rest.")
            self.status = 1
            self._stop()

    def _kill_the_late(self) -> None:
        for child in self.children:
            if child.is_running and child.deadline and time.monotonic() >= child.deadline:
                self.status = 1
                child.kill_group()

    def _sweep(self) -> None:
        """Leave nothing behind: neither a process of any session nor an unread line."""
        for child in self.children:
            if child.is_running:
                child.kill_group()
        while adopted := children_of(os.getpid()):
            for pid in adopted:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        for child in self.children:
            while self._forward(child):
                pass
            self._write(child.prefix + child.buffer + b"\n" if child.buffer else b"")
        self.selector.close()

    def _forward(self, child: Child) -> bool:
        """Pass on whole lines of a child, one read's worth; False when there is nothing to read."""
        stream = child.process.stdout
        if stream is None or stream.closed:
            return False
        chunk = stream.read(LINE_LIMIT_BYTES)
        if chunk == b"":  # the other end is closed; None is "nothing yet"
            self.selector.unregister(stream)
            stream.close()
        if not chunk:
            return False
        *lines, child.buffer = (child.buffer + chunk).split(b"\n")
        if len(child.buffer) > LINE_LIMIT_BYTES:
            lines, child.buffer = [*lines, child.buffer], b""
        self._write(b"".join(child.prefix + line + b"\n" for line in lines))
        return True

    def _say(self, sentence: str) -> None:
        line = self.as_line(sentence) if self.as_line else sentence
        self._write(f"{line}\n".encode())

    def _write(self, text: bytes) -> None:
        # Whoever read our output may be gone; that is no reason to stop serving.
        with contextlib.suppress(OSError, ValueError):
            self.out.write(text)
            self.out.flush()


def _spawn(service: Service, folder: Path) -> subprocess.Popen[bytes]:
    parent = os.getpid()

    def end_with_the_parent() -> None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return subprocess.Popen(  # noqa: S603  (our own command line, no shell)
        service.command,
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **service.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,
        preexec_fn=end_with_the_parent,
    )


@contextlib.contextmanager
def _signals_as_bytes() -> Iterator[socket.socket]:
    """Turn signals into bytes on a socket, so that one loop waits for them and for output."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGCHLD]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup keeps its meaning
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    old_fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(old_fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


def _prctl(option: int, value: int) -> None:
    """Linux only; elsewhere a killed parent leaves its children to whoever finds them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def children_of(parent: int) -> list[int]:
    """Process ids whose parent is this one, zombies too; empty where there is no /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
    return found
