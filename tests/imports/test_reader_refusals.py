"""Files that are no statement: each is refused with its own code and a sentence."""

import gzip
import io
import zipfile

import pytest

from imports.formats import reader
from imports.formats.reader import MAX_BYTES, read
from imports.formats.types import NOTICES, REASONS, REFUSALS
from tests.imports.statements import SIGNON, TODAY, bank_set, ofx, refusal, row

GOOD = ofx(bank_set(row(), row(FITID="f2")))
BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY b "&lol;&lol;&lol;">]>
<OFX><SIGNONMSGSRSV1>&b;</SIGNONMSGSRSV1></OFX>"""
EXTERNAL = b'<!DOCTYPE OFX [<!ENTITY x SYSTEM "file:///etc/passwd">]><OFX>&x;</OFX>'


def zipped(name: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, GOOD)
    return target.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b" \r\n\x00\n", "empty_file"),
        (b"\xef\xbb\xbf", "empty_file"),
        (b'{"foo": "json"}', "not_a_statement"),
        (b"Date,Description,Amount\n2024-01-02,COFFEE,-12.34\n", "not_a_statement"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not_a_statement"),
        (b"<!DOCTYPE html><html><body>Session expired</body></html>", "html_page"),
        (b"\n<HTML><HEAD></HEAD></HTML>", "html_page"),
        (zipped("statement.ofx"), "archive"),
        (zipped("xl/workbook.xml"), "spreadsheet"),
        (gzip.compress(GOOD), "archive"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), "archive"),
        (b"Rar!\x1a\x07\x00" + bytes(50), "archive"),
        (b"\xfd7zXZ\x00" + bytes(50), "archive"),
        (b"%PDF-1.7\n%stuff", "pdf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(50), "spreadsheet"),
        (GOOD + b" " * (MAX_BYTES + 1 - len(GOOD)), "too_large"),
        (BOMB, "dtd_refused"),
        (EXTERNAL, "dtd_refused"),
        (GOOD.replace(b"COFFEE", b"<!entity x 'y'>"), "dtd_refused"),
        (b"<OFX></OFX>", "no_accounts"),
        (f"<OFX>{SIGNON}</OFX>".encode(), "no_accounts"),
        (b"<OFX><STMTTRN><TRNAMT>1</STMTTRN></OFX>", "no_accounts"),
        (b"<OFX>" + b"<STMTTRN>" * 300_001 + b"</OFX>", "too_many_rows"),
        (b"<OFX>" + b"<STMTRS>" * 100_001 + b"</OFX>", "too_many_rows"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_no_statement_is_refused_with_its_own_code(data, code):
    refused = refusal(data)
    assert refused.code == code
    assert REFUSALS[code] % refused.params


@pytest.mark.parametrize("kept", [0.5, 0.7, 0.9, 0.98])
def test_a_file_cut_off_anywhere_is_refused(kept):
    assert refusal(GOOD[: int(len(GOOD) * kept)]).code == "truncated"


def test_a_file_that_only_lacks_its_last_tag_is_read():
    assert read(GOOD.replace(b"</OFX>", b""), TODAY).rows_in_file == 2


def test_a_file_of_exactly_the_limit_is_read():
    assert read(GOOD.ljust(MAX_BYTES), TODAY).rows_in_file == 2


def test_a_banks_error_is_passed_on_in_its_own_words():
    status = "<STATUS><CODE>15500<SEVERITY>ERROR<MESSAGE>Signon invalid</STATUS>"
    refused = refusal(
        f"<OFX><SIGNONMSGSRSV1><SONRS>{status}</SONRS></SIGNONMSGSRSV1></OFX>".encode()
    )
    assert refused.code == "bank_reported_error"
    assert refused.params == {"status": "15500", "message": "Signon invalid"}
    assert "15500. Signon invalid" in REFUSALS[refused.code] % refused.params


@pytest.mark.parametrize("bug", [ValueError, KeyError, AttributeError, RecursionError])
def test_a_bug_of_the_reader_is_a_refusal_too(bug, monkeypatch):
    def broken(data: bytes, today: object) -> None:
        raise bug

    monkeypatch.setattr(reader, "read_ofx", broken)
    assert refusal(GOOD).code == "unreadable"


def test_every_reason_and_notice_has_a_sentence_of_its_own():
    sentences = [*REFUSALS.values(), *REASONS.values(), *NOTICES.values()]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence.endswith((".", "%(message)s")) for sentence in sentences)
