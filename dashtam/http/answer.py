"""An answer, and what is taken from it strictly: a whole body, JSON without a single float."""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final, NoReturn

import msgspec

from dashtam.http.errors import BadAnswer, Refused, Unavailable

MAX_NUMBER_LENGTH: Final = 400
# The range of a double, which is what providers have.
MAX_NUMBER_EXPONENT: Final = 330
MAX_JSON_DEPTH: Final = 64
EXCERPT_LENGTH: Final = 200
_EXCERPT_SOURCE_BYTES = 2_000
_GZIP = 31
_UNREADABLE = (ValueError, RecursionError, InvalidOperation)
_TOO_MANY_DIGITS = b"0" * (MAX_NUMBER_LENGTH + 1)
_EVERY_DIGIT_THE_SAME = bytes.maketrans(b"123456789", b"000000000")
_BRACKETS_ALIKE = bytes.maketrans(b"{}", b"[]")
_NEITHER_QUOTES_NOR_BRACKETS = bytes(set(range(256)) - set(b'{}[]"\\'))
# Kept are short plain words, tags and punctuation: enough to know a login page from an outage.
_TEXTS_AND_TOKENS = re.compile(r"\"[^\"]*(?:\"|$)|'[^']*(?:'|$)|[^\s<>(){}\[\],:;!?]+")
_HARMLESS = re.compile(r"/?[A-Za-z]{1,11}\.?")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said, 2xx or 4xx. `headers` are by lower-case name, `body` is unpacked."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    asked: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the body's JSON, every number with a point as an exact Decimal.

        BadAnswer when it is none, or has NaN, an infinity, a number beyond any double or lists
        deeper than 64.
        """
        read = msgspec.json.Decoder(float_hook=_Numbers(_decimal).__getitem__).decode
        value, problem = _parsed(self.body, read)
        if problem:
            raise self._refusal(problem)
        return value

    def parts(self) -> list[bytes] | None:
        """Return a JSON list's items as they are written; None when the body is not plainly one.

        `reader` reads them, strictly: here they are only parted.
        """
        try:
            parts = msgspec.json.decode(self.body, type=list[msgspec.Raw])
        except (ValueError, RecursionError):
            return None
        return [bytes(part) for part in parts]

    def reader(self) -> Callable[[bytes], Any]:
        """Return what reads the parts of this answer as `json` reads all of it, errors included."""
        read = msgspec.json.Decoder(float_hook=_Numbers(_decimal).__getitem__).decode

        @cache
        def is_plain() -> bool:
            return _has_short_numbers(self.body) and _is_surely_flat(self.body)

        def read_part(part: bytes) -> Any:
            # What is to be asked of all of it is asked once, when the first part is read.
            if is_plain():
                with suppress(*_UNREADABLE):
                    return read(part)
            # As deep as it is in the body.
            value, problem = _parsed(b"[%b]" % part, read)
            if problem:
                raise self._refusal(problem)
            return value[0]

        return read_part

    def _refusal(self, problem: str) -> BadAnswer:
        kind = self.headers.get("content-type", "no content type").partition(";")[0][:50]
        return BadAnswer(f"{self.asked}: {problem} ({kind}: {self.excerpt()})")

    def excerpt(self) -> str:
        """Return at most 200 characters of the body for a log, with nothing private in them."""
        text = self.body[:_EXCERPT_SOURCE_BYTES].decode("ascii", "replace")
        return " ".join(_TEXTS_AND_TOKENS.sub(_masked, text).split())[:EXCERPT_LENGTH]


class Body:
    """Collects an answer's body and unpacks it, never holding more than `max_bytes` of it."""

    def __init__(self, coding: str, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._data = bytearray()
        self._is_empty = True
        self._unpacker = None
        if coding.strip().lower() in ("gzip", "x-gzip"):
            self._unpacker = zlib.decompressobj(_GZIP)
        elif coding.strip().lower() not in ("", "identity"):
            raise BadAnswer("packed in a way that was not asked for")

    def take(self, chunk: bytes) -> None:
        """Add what came. Refused when it is too much, BadAnswer when it cannot be unpacked."""
        self._is_empty = self._is_empty and not chunk
        self._data += chunk if self._unpacker is None else self._unpacked(self._unpacker, chunk)
        if len(self._data) > self._max_bytes:
            raise Refused(f"more than {self._max_bytes} bytes", "too_large")

    def whole(self) -> bytes:
        """Return all of it. Unavailable when it was packed and stops early."""
        if self._unpacker and not self._unpacker.eof and not self._is_empty:
            raise Unavailable("the answer stops early")
        return bytes(self._data)

    def _unpacked(self, unpacker: Any, chunk: bytes) -> bytes:
        # One byte over the limit is enough to know: a bomb is not unpacked to be measured.
        room = self._max_bytes + 1 - len(self._data)
        try:
            data: bytes = unpacker.decompress(chunk, room)
        except zlib.error:
            raise BadAnswer("cannot be unpacked") from None
        if unpacker.unused_data:
            raise BadAnswer("goes on after its packed end")
        return data


def _masked(token: re.Match[str]) -> str:
    return token[0] if _HARMLESS.fullmatch(token[0]) else "…"


def _parsed(body: bytes, read: Callable[[bytes], Any]) -> tuple[Any, str]:
    # The errors of the parsers hold the whole body: only what is wrong leaves this function.
    try:
        value = _read_at_once(body, read)
    except _UNREADABLE:
        # Half of a pair of code points, and what is no JSON: the standard library knows which.
        try:
            value = _read_by_standard(body)
        except _UNREADABLE:
            return None, "not JSON as the standard has it"
    if not _is_surely_flat(body) and _is_too_deep(value):
        return None, "JSON that is too deep"
    return value, ""


def _read_at_once(body: bytes, read: Callable[[bytes], Any]) -> Any:
    """The value of a body without oddities, in less than half the standard library's time."""
    if not _has_short_numbers(body):
        raise ValueError
    return read(body)


def _has_short_numbers(body: bytes) -> bool:
    return _TOO_MANY_DIGITS not in body.translate(_EVERY_DIGIT_THE_SAME)


def _read_by_standard(body: bytes) -> Any:
    return json.loads(
        body.decode("utf-8-sig"),
        parse_float=_Numbers(_decimal).__getitem__,
        parse_int=_Numbers(_integer).__getitem__,
        parse_constant=_no_constant,
    )


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if len(text) > MAX_NUMBER_LENGTH or abs(value.adjusted()) > MAX_NUMBER_EXPONENT:
        raise ValueError
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_LENGTH:
        raise ValueError
    return int(text)


def _no_constant(text: str) -> NoReturn:
    raise ValueError


class _Numbers(dict[str, Any]):
    """The numbers of one body by how they are written: a list repeats most of them."""

    def __init__(self, read: Callable[[str], Any]) -> None:
        self._read = read

    def __missing__(self, text: str) -> Any:
        self[text] = value = self._read(text)
        return value


def _is_surely_flat(body: bytes) -> bool:
    """Whether JSON is not too deep, told by its brackets; False where a text may have some too."""
    brackets = body.translate(_BRACKETS_ALIKE, _NEITHER_QUOTES_NOR_BRACKETS).replace(b'""', b"")
    for _depth in range(MAX_JSON_DEPTH - 1):
        if not brackets:
            return True
        brackets = brackets.replace(b"[]", b"")
    return not brackets


def _is_too_deep(value: Any) -> bool:
    """Whether anything lies in as many as MAX_JSON_DEPTH lists and objects."""
    level = [value] if isinstance(value, dict | list) else []
    for _depth in range(MAX_JSON_DEPTH - 1):
        # The parser makes no other kinds; nearly all that is looked at is a leaf.
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return any(level)
