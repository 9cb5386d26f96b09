"""`python -m connections.sandbox`: serve the bank in a box until interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from datetime import datetime

from connections.sandbox.bank import DEFAULT_CALLBACKS, SEED, Bank
from connections.sandbox.people import DEFAULT_SIZE


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and serve."""
    options = _parser().parse_args(arguments)
    bank = Bank(
        seed=options.seed,
        now=options.now,
        port=options.port,
        callbacks=options.callback or DEFAULT_CALLBACKS,
        size=options.size,
        accounts=options.accounts,
    )
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_signal: ended.set())
    with bank:
        sys.stdout.write(f"Sandbox (nothing here is real): {bank.url}\n")
        sys.stdout.flush()
        ended.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m connections.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8900, help="0 takes a free one")
    parser.add_argument("--seed", default=SEED, help="another seed, other people")
    parser.add_argument("--now", type=datetime.fromisoformat, help="2026-11-20T12:00:00+00:00")
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE, help="rows of a large account")
    parser.add_argument("--accounts", type=int, default=2, help="accounts of the large person")
    parser.add_argument("--callback", action="append", help="an address an app is returned to")
    return parser


if __name__ == "__main__":
    main()
