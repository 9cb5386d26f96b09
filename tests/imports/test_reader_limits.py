"""Big and hostile files: time stays in proportion to size, and the machine survives."""

import contextlib
import time

import pytest

from imports.formats.reader import MAX_BYTES, read
from imports.formats.types import StatementRefused
from tests.imports.statements import TODAY, bank_set, ofx, row

pytestmark = pytest.mark.once

START, END = ofx(bank_set("|")).split(b"|")
IN_NAME = START + b"<STMTTRN><DTPOSTED>20240102<TRNAMT>-1<NAME>"
PIECES = {
    "open brackets": b"<",
    "nested unknown tags": b"<A>",
    "nested known tags": b"<OFX><BANKMSGSRSV1>",
    "open statements": b"<STMTRS>",
    "accounts": b"<STMTRS><BANKACCTFROM><ACCTID>",
    "open rows": b"<STMTTRN>",
    "half tags": b"<STMTTRN",
    "open comments": b"<!--",
    "open cdata": b"<![CDATA[",
    "entities": b"&amp;",
    "combining marks": "\u0301".encode(),
    "digits": b"1",
}
# Generous: the machine may be busy. Quadratic work on a tenth of the limit takes many minutes.
SECONDS = 20


def rows(count: int) -> bytes:
    """Rows of about 80 bytes, closed by nothing but each other."""
    return b"".join(
        b"<STMTTRN><DTPOSTED>20240102<TRNAMT>-1.%02d<FITID>%d<NAME>SHOP\n" % (n % 100, n)
        for n in range(count)
    )


def seconds_to_read(data: bytes) -> float:
    started = time.process_time()
    with contextlib.suppress(StatementRefused):
        read(data, TODAY)
    return time.process_time() - started


@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("start", [START, IN_NAME], ids=["in a list", "in a name"])
def test_hostile_repetition_takes_time_in_proportion(name, start):
    piece = PIECES[name]
    data = start + piece * (MAX_BYTES // 10 // len(piece)) + b"</STMTTRN>" + END
    assert seconds_to_read(data) < SECONDS


def test_two_hundred_thousand_unclosed_rows_are_read():
    (account,) = read(START + rows(200_000) + END, TODAY).accounts
    assert (len(account.transactions), account.rejected) == (200_000, [])


def test_fifty_thousand_closed_rows_are_read_in_seconds():
    data = ofx(bank_set(*[row(FITID=f"f{n}", MEMO=f"TERMINAL {n}") for n in range(50_000)]))
    assert seconds_to_read(data) < SECONDS / 2
