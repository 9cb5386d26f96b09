"""What runs in the child: limits first, then one statement from stdin to lines on stdout."""

from __future__ import annotations

import gc
import resource
import sys
from typing import BinaryIO

from imports.formats.reader import MAX_BYTES, read
from imports.formats.types import StatementRefused
from imports.formats.wire import encode, encode_refusal

MAX_MEMORY_BYTES = 512 * 1024 * 1024
MAX_CPU_SECONDS = 20
MAX_OPEN_FILES = 16
_LIMITS = {
    resource.RLIMIT_AS: MAX_MEMORY_BYTES,
    resource.RLIMIT_CPU: MAX_CPU_SECONDS,
    resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
}


def limit_myself() -> None:
    """Take memory, processor time and files away from this process, for good."""
    for kind, most in _LIMITS.items():
        _soft, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))


def answer(source: BinaryIO, target: BinaryIO) -> None:
    """Read a statement from `source` and write what is in it, or why it is refused, to `target`."""
    try:
        for line in encode(read(source.read(MAX_BYTES + 1))):
            target.write(line)
    except StatementRefused as refused:
        target.write(encode_refusal(refused))
    except MemoryError:
        target.write(encode_refusal(StatementRefused("reader_out_of_memory")))
    target.flush()


if __name__ == "__main__":
    limit_myself()
    # Everything read is kept until the end of a short life: looking for garbage only takes time.
    gc.disable()
    answer(sys.stdin.buffer, sys.stdout.buffer)
