"""From the bytes of an OFX file to one clean body: what it declares, where it begins and ends."""

from __future__ import annotations

import codecs
import html
import re
from collections import deque
from dataclasses import dataclass

from imports.formats.types import StatementRefused

# Every charset a file may declare; all agree with ASCII on the bytes of tags.
_CHARSETS = {
    "1250": "cp1250",
    "1251": "cp1251",
    "1252": "cp1252",
    "1253": "cp1253",
    "1254": "cp1254",
    "1257": "cp1257",
    "88591": "latin-1",
    "iso88591": "latin-1",
    "88592": "iso8859-2",
    "iso88592": "iso8859-2",
    "885915": "iso8859-15",
    "iso885915": "iso8859-15",
    "windows1250": "cp1250",
    "windows1251": "cp1251",
    "windows1252": "cp1252",
}
_DEFAULT_CHARSET = "cp1252"
_START = re.compile(rb"<OFX(?:\s[^<>]*)?>", re.IGNORECASE)
_END = re.compile(rb"</OFX\s*>", re.IGNORECASE)
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_CHARSET = re.compile(rb"(?:CHARSET:|encoding=[\"'])\s*([\w.-]+)", re.IGNORECASE)
_IS_XML = re.compile(rb"<\?OFX|<\?xml|OFXHEADER:\s*2", re.IGNORECASE)
_SPECIAL = re.compile(rb"<!--|<!\[CDATA\[")
# 1.234,56 or 12,34: a file that writes so once means a comma wherever it could be one.
_DECIMAL_COMMA = re.compile(
    rb"<(?:TRNAMT|BALAMT|TOTAL|MKTVAL|AVAILCASH)>[^<,]{0,40},\d\d?\s*<", re.IGNORECASE
)
_HEADER_BYTES = 4096
_HTML_BYTES = 2048
_BOMS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

# The decoders are loaded now: the child process may open no file once it reads.
for _name in {*_CHARSETS.values(), *(name for _bom, name in _BOMS)}:
    codecs.lookup(_name)


@dataclass(frozen=True, slots=True)
class Document:
    """An OFX document: the bytes between its root tags, comments gone and CDATA escaped.

    `charset` is what the header declares; text is UTF-8 wherever it is valid UTF-8.
    """

    body: bytes
    charset: str
    format: str
    is_complete: bool
    has_decimal_comma: bool

    def text(self, start: int, end: int) -> str:
        """Decode one stretch of the body. Never fails: latin-1 reads any byte."""
        piece = self.body[start:end]
        for charset in ("utf-8", self.charset, _DEFAULT_CHARSET):
            try:
                return piece.decode(charset)
            except UnicodeDecodeError:
                continue
        return piece.decode("latin-1")


def normalise(data: bytes) -> Document:
    """Find the OFX document in `data`. StatementRefused when there is none, or it has a DTD."""
    data = _to_ascii_compatible(data)
    start = _START.search(data)
    if not start:
        is_html = _HTML.search(data, 0, _HTML_BYTES)
        raise StatementRefused("html_page" if is_html else "not_a_statement")
    end = _last_end(data)
    stop = end[0].start() if end else len(data)
    if _DECLARATION.search(data, 0, stop):
        raise StatementRefused("dtd_refused")
    header = data[max(0, start.start() - _HEADER_BYTES) : start.start()]
    body = _without_comments(data[start.end() : stop])
    return Document(
        body=body,
        charset=_declared_charset(header),
        format=_format(header, body),
        is_complete=bool(end),
        has_decimal_comma=b"," in body and _DECIMAL_COMMA.search(body) is not None,
    )


def _to_ascii_compatible(data: bytes) -> bytes:
    for bom, charset in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(charset, "replace").encode("utf-8", "replace")
    if data[1:16:2] == b"\0" * len(data[1:16:2]):
        return data.decode("utf-16-le", "replace").encode("utf-8", "replace")
    return data


def _last_end(data: bytes) -> deque[re.Match[bytes]]:
    """Return the last end, if any: two documents saved one behind the other are one file."""
    return deque(_END.finditer(data), maxlen=1)


def _declared_charset(header: bytes) -> str:
    declared = _CHARSET.search(header)
    name = declared[1].decode("ascii", "replace") if declared else ""
    return _CHARSETS.get(re.sub(r"[^a-z0-9]", "", name.lower()), _DEFAULT_CHARSET)


def _format(header: bytes, body: bytes) -> str:
    if b"<INTU." in body:
        return "qfx"
    return "ofx2" if _IS_XML.search(header) else "ofx1"


def _without_comments(body: bytes) -> bytes:
    """Drop comments and escape CDATA, in one pass: an opening without its end is plain text."""
    cleaned = bytearray()
    position = 0
    while special := _SPECIAL.search(body, position):
        is_comment = special[0] == b"<!--"
        closing = b"-->" if is_comment else b"]]>"
        end = body.find(closing, special.end())
        if end < 0:
            break
        cleaned += body[position : special.start()]
        if not is_comment:
            text = body[special.end() : end].decode("latin-1")
            cleaned += html.escape(text, quote=False).encode("latin-1")
        position = end + len(closing)
    return bytes(cleaned + body[position:]) if position else body
