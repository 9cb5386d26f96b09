"""The one way to read a statement's bytes: what it is, by its content, and what is in it."""

from __future__ import annotations

from datetime import UTC, date, datetime

from imports.formats.ofx import read_ofx
from imports.formats.types import ParsedFile, StatementRefused

MAX_MEGABYTES = 25
MAX_BYTES = MAX_MEGABYTES * 1024 * 1024
_ARCHIVES = (
    b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\xfd7zXZ\x00", b"BZh", b"\x28\xb5\x2f\xfd",
)  # fmt: skip
_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_IN_SPREADSHEETS = (b"xl/", b"opendocument.spreadsheet", b"[Content_Types].xml")
_SNIFFED_BYTES = 4096
_BLANK = b" \t\r\n\x00\xef\xbb\xbf\xff\xfe"


def read(data: bytes, today: date | None = None) -> ParsedFile:
    """Read a statement file, whatever its name says. StatementRefused is all it ever raises.

    `today` (the current day in UTC) bounds which dates of rows can be right.
    """
    check(data)
    try:
        return read_ofx(data, today or datetime.now(UTC).date())
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise StatementRefused("unreadable") from error


def check(data: bytes) -> None:
    """Refuse by size and by the first bytes what no reader here can read."""
    if len(data) > MAX_BYTES:
        raise StatementRefused("too_large", limit=str(MAX_MEGABYTES))
    if not data.strip(_BLANK):
        raise StatementRefused("empty_file")
    start = data[:_SNIFFED_BYTES]
    if start.startswith(_ZIP):
        is_spreadsheet = any(sign in start for sign in _IN_SPREADSHEETS)
        raise StatementRefused("spreadsheet" if is_spreadsheet else "archive")
    if start.startswith(_ARCHIVES):
        raise StatementRefused("archive")
    if start.startswith(_OLD_OFFICE):
        raise StatementRefused("spreadsheet")
    if start.lstrip().startswith(b"%PDF"):
        raise StatementRefused("pdf")
