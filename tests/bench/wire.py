"""A Schwab of one's own for benchmarks: a process that answers every token with rendered rows.

`python -m tests.bench.wire ACCOUNTS ROWS PAUSE`: so many accounts with so many transactions each,
in the last DAYS days; every answer comes after so many seconds. Its first line is its address.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from connections.sandbox.ledger import Book, Entry
from connections.sandbox.market import market_of
from connections.sandbox.people import SchwabAccount
from connections.sandbox.schwab_rows import account_row, transaction_row
from connections.sandbox.wire import Answer

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Iterator

    from connections.sandbox.market import Market

PREFIX = "/schwab/trader/v1/"
DAYS = 25
TRADES_IN_TEN, DIVIDENDS_IN_TEN = 6, 2
CENT = Decimal("0.01")
# A trade tells all its fees, as the real ones do.
FEES = (
    ("COMMISSION", Decimal("0.65")),
    ("SEC_FEE", CENT),
    ("OPT_REG_FEE", CENT),
    ("TAF_FEE", CENT),
)
EMPTY = b"[]"


class Account:
    """One account, rendered: what is answered is cut out of it."""

    def __init__(self, index: int, rows: int, now: datetime) -> None:
        """Render an account with this many transactions."""
        entries = [_entry(index, n, rows, now) for n in range(rows)]
        self.account = SchwabAccount(
            index=index,
            number=f"{55_500_000 + index}",
            hash_value=id_of(index),
            kind="MARGIN",
            nickname=f"Bench {index}",
            book=Book("bench", lambda _book, _day: None),
        )
        market = market_of("bench")
        told, _facts = account_row(self.account, [], now, market, full=True)
        self.overview = told
        self.whole = _rendered(told)
        self.moments = [entry.at for entry in entries]
        self.rows = [_row(entry, self.account, now, market) for entry in entries]
        self.all_rows = b"[" + b",".join(self.rows) + b"]"

    def transactions(self, since: datetime, until: datetime) -> bytes:
        """The rows of a window, both ends included."""
        if not self.moments or until < self.moments[0] or since > self.moments[-1]:
            return EMPTY
        if since <= self.moments[0] and until >= self.moments[-1]:
            return self.all_rows
        found = [
            row for at, row in zip(self.moments, self.rows, strict=True) if since <= at <= until
        ]
        return b"[" + b",".join(found) + b"]"


class Wire:
    """Answers every request; whoever asks has all accounts."""

    def __init__(self, accounts: int, rows: int, pause: float) -> None:
        """Render everything once."""
        now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        made = [Account(index, rows, now) for index in range(accounts)]
        self.pause = pause
        self.accounts = {one.account.hash_value: one for one in made}
        self.shared = {
            "accounts": _rendered([one.overview for one in made]),
            "accounts/accountNumbers": _rendered(
                [
                    {"accountNumber": one.account.number, "hashValue": one.account.hash_value}
                    for one in made
                ]
            ),
            "userPreference": _rendered({"accounts": [], "streamerInfo": [], "offers": []}),
        }

    def answer(self, target: str) -> bytes | None:
        """The body of what is asked for; None when there is no such thing."""
        address = urlsplit(target)
        path = address.path.removeprefix(PREFIX)
        if path in self.shared:
            return self.shared[path]
        _accounts, _, rest = path.partition("/")
        key, _, kind = rest.partition("/")
        account = self.accounts.get(key)
        if account is None:
            return None
        if kind != "transactions":
            return account.whole
        asked = dict(parse_qsl(address.query))
        since, until = (datetime.fromisoformat(asked[name]) for name in ("startDate", "endDate"))
        return account.transactions(since, until)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer one kept-alive connection until the other side ends it."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = self.answer(head.split(b" ", 2)[1].decode())
                if self.pause:
                    await asyncio.sleep(self.pause)
                status = b"404 Not Found" if body is None else b"200 OK"
                length = len(body or EMPTY)
                writer.write(
                    b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (status, length, body or EMPTY)
                )
                await writer.drain()
        writer.close()


async def listen(wire: Wire) -> None:
    """Say where, and serve until somebody ends the process."""
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0, backlog=1000)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextlib.contextmanager
def serving(accounts: int, rows: int, *, pause: float = 0) -> Iterator[str]:
    """The address of a wire in a process of its own, which ends with the block."""
    command = [sys.executable, "-m", "tests.bench.wire", str(accounts), str(rows), str(pause)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def id_of(index: int) -> str:
    """What the provider calls its account of this number."""
    return f"{index:064X}"


def _entry(index: int, n: int, rows: int, now: datetime) -> Entry:
    """One of ever the same mix of trades, dividends and deposits, evenly over the days."""
    at = now - timedelta(days=DAYS) * (rows - n) / rows
    at = at.replace(microsecond=0)
    amount = Decimal(n % 9000) + CENT * (n % 100) + 1
    entry = Entry(
        id=f"{10 + index}{n:010d}", at=at, day=at.date(), kind="ACH_RECEIPT", amount=amount,
        description=f"ACME CORP PAYROLL {n}",
    )  # fmt: skip
    if n % 10 < TRADES_IN_TEN:
        quantity = Decimal(n % 90 + 1)
        fees = sum((fee for _name, fee in FEES), Decimal(0))
        return replace(
            entry, kind="TRADE", amount=-amount - fees, description="",
            symbol=("AAPL", "VTI", "BND")[n % 3], quantity=quantity,
            price=(amount / quantity).quantize(CENT), fees=FEES, purse="MARGIN",
            words={"effect": "OPENING"},
        )  # fmt: skip
    if n % 10 < TRADES_IN_TEN + DIVIDENDS_IN_TEN:
        return replace(entry, kind="DIVIDEND_OR_INTEREST", description=f"DIVIDEND NO {n}")
    return entry


def _row(entry: Entry, account: SchwabAccount, now: datetime, market: Market) -> bytes:
    return _rendered(transaction_row(entry, account, now, market))


def _rendered(content: object) -> bytes:
    return Answer(200, content).body()


if __name__ == "__main__":
    count, size, seconds = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(listen(Wire(int(count), int(size), float(seconds))))
