"""ofxparse as the independent second reader: every file by both, every disagreement explained."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ofxparse import OfxParser

from dashtam import money
from imports.formats.reader import read
from imports.formats.types import ParsedFile, StatementRefused
from tests.imports.statements import balances
from tests.requirements import FIXTURES, fixtures_folder

FOLDERS = ("ofx", "ofx_synthetic")
PATHS = {path.name: path for name in FOLDERS for path in sorted((FIXTURES / name).glob("*"))}

# What we refuse, and why; ofxparse finds no row in any of them, or fails too.
REFUSED = {
    "45_empty_file.ofx": "empty_file",
    "47_statement_error_2003.ofx": "bank_reported_error",
    "csv2ofx__converted_mint.ofx": "no_accounts",  # orders to transfer, not a statement
    "csv2ofx__example_transfer_example.ofx": "no_accounts",  # the same
    "libofx__downcast.ofx": "no_accounts",
    "libofx__heap-buffer-overflow-1.ofx": "no_accounts",
    "libofx__null-ptr-deref-1.ofx": "truncated",
    "libofx__ofx-2.1.1-sect-8.5.5.ofx": "no_accounts",  # a list of accounts
    "monetr__datasources_ofx_invalid.qfx": "not_a_statement",
    "ofx__error.ofx": "bank_reported_error",
    "ofxparse__bank_small.ofx": "no_accounts",
    "ofxparse__error_message.ofx": "bank_reported_error",
    "ofxparse__signon_fail.ofx": "bank_reported_error",
    "ofxparse__signon_success_no_message.ofx": "no_accounts",
    "ofxtools__data_profrs.ofx": "bank_reported_error",
}
EMPTY_LEAF = "ofxparse fails on an empty leaf: IndexError"
HEADER = "ofxparse fails on the header: ValueError"
CHARSET = "ofxparse fails on the charset: UnicodeDecodeError"
DROPPED = "ofxparse drops rows"
DISAGREEMENTS = {
    "csv2ofx__converted_default.ofx": EMPTY_LEAF,
    "csv2ofx__converted_gls.ofx": EMPTY_LEAF,
    "csv2ofx__converted_outbank.ofx": EMPTY_LEAF,
    "csv2ofx__converted_pcmastercard.ofx": EMPTY_LEAF,
    "csv2ofx__converted_schwab-checking-baltest-case2.ofx": EMPTY_LEAF,
    "csv2ofx__converted_schwab-checking-baltest-case4.ofx": EMPTY_LEAF,
    "csv2ofx__converted_schwab-checking-baltest-case6.ofx": EMPTY_LEAF,
    "csv2ofx__converted_stripe-default.ofx": EMPTY_LEAF,
    "78_xml_selfclosing_name.ofx": EMPTY_LEAF,
    "monetr__datasources_ofx_sample-nfcu-wrapped.qfx": HEADER,
    "ofxgo__busted_responses_wellsfargo.qfx": HEADER,
    "02_header_spaces_one_line.qfx": HEADER,
    "10_utf16le_bom.ofx": HEADER,
    "12_charset_iso_8859_15_bogus.ofx": "ofxparse fails on the charset: LookupError",
    "monetr__datasources_ofx_sample-non-utf8-xml.qfx": CHARSET,
    "76_xml_nondeclared_latin1.ofx": CHARSET,
    "23_amount_trailing_minus.ofx": DROPPED,
    "27_amount_currency_prefix.ofx": DROPPED,
    "41_missing_stmttrn_close.ofx": DROPPED,
    "31_fitid_too_long_300.ofx": "we shorten the id",
    # Its amounts and units are random: purchases that pay money are corrected and flagged.
    "ofxgo__valid_responses_inv_v202.ofx": "we correct signs",
    "ofxparse__investment_401k.ofx": "we leave empty positions out",
    "ofxparse__vanguard.ofx": "we add up the lots of a position",
}

Rows = Counter[tuple[str, Decimal | None]]


def ours(parsed: ParsedFile) -> tuple[Rows, Rows]:
    """(id, amount) of the transactions and (security, units) of the positions."""
    return (
        Counter(
            (one.provider_transaction_id, one.amount)
            for account in parsed.accounts
            for one in account.transactions
        ),
        Counter(
            (one.provider_holding_id.split(":")[1], one.quantity)
            for account in parsed.accounts
            for one in account.holdings
        ),
    )


def theirs(data: bytes) -> tuple[Rows, Rows]:
    """The same by ofxparse, whose own warnings are none of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        statements = [one.statement for one in OfxParser.parse(io.BytesIO(data), False).accounts]
    rows = [row for one in statements if one for row in one.transactions]
    held = [row for one in statements for row in getattr(one, "positions", [])]
    return (
        Counter((row.id, _amount(row)) for row in rows),
        Counter((row.security, money.quantity(Decimal(row.units))) for row in held),
    )


def _amount(row: Any) -> Decimal:
    """Investment rows have a total, which ofxparse leaves out where the file does."""
    written = getattr(row, "amount", None) or getattr(row, "total", None)
    return money.amount(Decimal(written or 0))


def outcome(data: bytes) -> str:
    """Read a file by both: why it is refused, or how they differ, "" when all is well."""
    try:
        parsed = read(data)
    except StatementRefused as refused:
        return refused.code
    return disagreement(data, parsed) if balances(parsed) else "rows are missing"


def disagreement(data: bytes, parsed: ParsedFile) -> str:
    """Name the way in which the two differ, "" when they agree to the last row."""
    try:
        there = theirs(data)
    except (IndexError, ValueError, LookupError) as error:
        return f"ofxparse fails on {_culprit(error)}: {type(error).__name__}"
    return _differing_rows(ours(parsed)[0], there[0]) or _differing_positions(
        ours(parsed)[1], there[1]
    )


def _culprit(error: Exception) -> str:
    if isinstance(error, IndexError):
        return "an empty leaf"
    is_charset = isinstance(error, UnicodeDecodeError) or type(error) is LookupError
    return "the charset" if is_charset else "the header"


def _differing_rows(here: Rows, there: Rows) -> str:
    mine, other = here - there, there - here
    if not mine and not other:
        return ""
    if not other:
        return "ofxparse drops rows"
    if mine == Counter({(name, -(value or 0)): n for (name, value), n in other.items()}):
        return "we correct signs"
    is_shorter = {name[:200] for name, _value in other} == {name[:200] for name, _value in mine}
    return "we shorten the id" if is_shorter else f"{mine} here, {other} there"


def _differing_positions(here: Rows, there: Rows) -> str:
    mine, other = here - there, there - here
    if not mine and not other:
        return ""
    if not mine and not any(units for _name, units in other):
        return "we leave empty positions out"
    if _units(mine) == _units(other):
        return "we add up the lots of a position"
    return f"{mine} here, {other} there"


def _units(rows: Rows) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for name, units in rows.elements():
        total[name] = total.get(name, Decimal(0)) + (units or 0)
    return total


def test_the_fixtures_are_beside_the_project():
    fixtures_folder()
    assert set(REFUSED) | set(DISAGREEMENTS) <= set(PATHS)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_both_readers_agree_or_the_reason_is_known(path: Path):
    assert outcome(path.read_bytes()) == {**REFUSED, **DISAGREEMENTS}.get(path.name, "")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_we_refuse_has_no_rows_for_ofxparse_either(name: str):
    fixtures_folder()
    try:
        rows, positions = theirs(PATHS[name].read_bytes())
    except Exception:  # noqa: BLE001 whatever it fails with, it reads no row
        return
    assert not rows
    assert not positions
