"""Whatever is done to a statement, it is read completely or refused: no error, no lost row."""

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from imports.formats.ofx import read_ofx
from imports.formats.types import StatementRefused
from tests.imports.statements import (
    TODAY,
    XML,
    balances,
    bank_set,
    card_set,
    investment_set,
    ofx,
    position,
    row,
    security,
    trade,
)

WHOLE = bank_set(row(), row("STMTTRNP"), row(extra="<CURRENCY><CURSYM>EUR</CURRENCY>"))
INVESTED = investment_set(
    trade("BUYSTOCK", "<UNITS>2<TOTAL>-5") + trade("INCOME", "<INCOMETYPE>DIV<TOTAL>1"),
    position() + position(UNITS="0"),
    "<INVBAL><AVAILCASH>1<MARGINBALANCE>0<SHORTBALANCE>0</INVBAL>",
)
SEEDS = [
    ofx(WHOLE + card_set(row(NAME="A &amp; <![CDATA[B]]>"))),
    ofx(INVESTED + security("037833100", "APPLE", "AAPL")),
    ofx(bank_set(row(DTPOSTED="20240102120000.000[-5:EST]")), XML),
]
PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [b"<", b">", b"</", b"<STMTTRN>", b"</STMTTRN>", b"<STMTRS>", b"</STMTRS>", b"<OFX>",
         b"</OFX>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<BUYSTOCK>", b"<POSMF>", b"<PAYEE>",
         b"<INVSTMTRS>", b"<X>", b"&#99999999;", b"&#xD800;", b"\x00", b"\xff\xfe", b"<SECLIST>",
         b"<CURDEF>", b"99999999999999999999", b"<TRNAMT>1E9999", b"<DTPOSTED>00000000"]
    ),
)  # fmt: skip
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 60), PIECES), min_size=1, max_size=6)


def mutate(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for place, dropped, piece in edits:
        start = int(place * len(data))
        data = data[:start] + piece + data[start + dropped :]
    return data


def read_or_refuse(data: bytes, today: date = TODAY) -> bool:
    """Read without the last safety net: a foreign exception fails the test."""
    try:
        return balances(read_ofx(data, today))
    except StatementRefused:
        return True


@given(st.sampled_from(SEEDS), EDITS)
@settings(derandomize=True, deadline=None, max_examples=1500)
def test_any_damage_is_read_completely_or_refused(seed, edits):
    assert read_or_refuse(mutate(seed, edits))


@given(st.sampled_from(SEEDS), st.integers(0, 3000))
@settings(derandomize=True, deadline=None, max_examples=300)
def test_any_cut_is_refused_or_leaves_every_row_counted(seed, length):
    assert read_or_refuse(seed[:length])


@given(st.binary(max_size=300))
@settings(derandomize=True, deadline=None, max_examples=300)
def test_any_bytes_between_the_root_tags_are_read_or_refused(inner):
    assert read_or_refuse(b"<OFX>" + inner + b"</OFX>")


def test_the_undamaged_seeds_are_read():
    assert [read_ofx(seed, TODAY).rows_in_file for seed in SEEDS] == [4, 4, 1]
