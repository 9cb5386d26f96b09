"""Reading a statement apart from everything else: in a short-lived process with hard limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread, Timer
from typing import IO

from imports.formats.reader import check
from imports.formats.types import ParsedFile, StatementRefused
from imports.formats.wire import decode

DEADLINE_SECONDS = 30.0
MAX_LINE_BYTES = 32 * 1024 * 1024
MAX_OUTPUT_BYTES = 256 * 1024 * 1024
_PROJECT = Path(__file__).resolve().parents[2]
# No site packages and no environment: the readers need the standard library and themselves only.
_COMMAND = (sys.executable, "-E", "-s", "-S", "-B", "-m", "imports.formats.child_main")
_NEEDED_TO_START = ("LD_LIBRARY_PATH", "PYTHONHOME")
_OUT_OF_TIME = {-signal.SIGXCPU, -signal.SIGKILL}


def read_in_child(data: bytes, *, deadline_seconds: float = DEADLINE_SECONDS) -> ParsedFile:
    """Read a statement file in a process of its own. StatementRefused is all it ever raises.

    The child gets 512 MB, 20 seconds of processor time and no files; `deadline_seconds` bounds
    the time on the wall.
    """
    check(data)
    process = subprocess.Popen(  # noqa: S603 our own interpreter and module
        _COMMAND,
        cwd=_PROJECT,
        env={name: os.environ[name] for name in _NEEDED_TO_START if name in os.environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    deadline = Timer(deadline_seconds, process.kill)
    deadline.start()
    try:
        return _converse(process, data)
    finally:
        deadline.cancel()
        process.kill()
        process.wait()


def _converse(process: subprocess.Popen[bytes], data: bytes) -> ParsedFile:
    if process.stdin is None or process.stdout is None:
        raise StatementRefused("reader_stopped")
    Thread(target=_send, args=(process.stdin, data), daemon=True).start()
    with process.stdout as answers:
        try:
            parsed = decode(_lines(answers))
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise StatementRefused("reader_stopped") from error
    if parsed is None:
        is_late = process.wait() in _OUT_OF_TIME
        raise StatementRefused("reader_too_slow" if is_late else "reader_stopped")
    return parsed


def _send(stdin: IO[bytes], data: bytes) -> None:
    """A child that ended early reads nothing more; why it ended is in its answer."""
    try:
        with stdin:
            stdin.write(data)
    except OSError:
        return


def _lines(answers: IO[bytes]) -> Iterator[bytes]:
    total = 0
    while line := answers.readline(MAX_LINE_BYTES):
        total += len(line)
        if total > MAX_OUTPUT_BYTES:
            raise ValueError("the child answers more than any statement holds")
        yield line
