"""A request as it goes out, and the words for it in logs: never a value, a header or a body."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from dashtam.http.addresses import Origin, checked_path
from dashtam.http.errors import Refused
from dashtam.vault import Secret

# What an id or a date contributes, not an essay: httpx's own limit is four times as much.
MAX_TARGET_LENGTH: Final = 16_000

Scalar = str | int | Secret
Values = Mapping[str, Scalar] | Iterable[tuple[str, Scalar]]
Headers = Mapping[str, str | Secret]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?", re.ASCII)
_ALWAYS = {"accept": "application/json", "accept-encoding": "gzip", "user-agent": "Dashtam"}
_FORM = {"content-type": "application/x-www-form-urlencoded"}
_JSON = {"content-type": "application/json"}


# The generated repr would show everything; the plain one shows nothing.
@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """One request ready to be sent; `asked` are the words for it."""

    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes | None
    asked: str


@dataclass(frozen=True, slots=True, repr=False)
class Question:
    """What an adapter asks for, its secrets still wrapped. At most one of `data` and `json`."""

    method: str
    path: str | Secret
    params: Values | None = None
    data: Values | None = None
    json: Any = None
    headers: Headers | None = None


def written(question: Question, origin: Origin, base_path: str, headers: Headers) -> Call:
    """Return the question as a request to `origin`. Refused when HTTP cannot carry a part of it."""
    call = _written(question, origin, base_path, headers)
    # Raised here, where nothing in reach shows a value and no other error hangs on.
    if call is None:
        raise Refused(f"{question.method} {origin.name}: cannot be written as HTTP", "request")
    return call


def _written(question: Question, origin: Origin, base: str, headers: Headers) -> Call | None:
    params = _pairs(question.params)
    try:
        path, shown = _path(question.path, base)
        query = urlencode(params, quote_via=quote)
        content, content_type = _content(question)
        lines = _lines(_ALWAYS, content_type, headers, question.headers or {})
    except (ValueError, Refused):
        return None
    target = f"{path or '/'}?{query}" if query else path or "/"
    if len(target) > MAX_TARGET_LENGTH:
        return None
    names = "&".join(f"{quote(name)}=…" for name, _value in params)
    asked = f"{question.method} {origin.name}{shown or '/'}{'?' if names else ''}{names}"
    return Call(question.method, target, lines, content, asked)


def _path(path: str | Secret, base: str) -> tuple[str, str]:
    if isinstance(path, Secret):
        return base + checked_path(path.reveal()), f"{base}/…"
    return base + checked_path(path), base + path


def _pairs(values: Values | None) -> list[tuple[str, str]]:
    pairs = values.items() if isinstance(values, Mapping) else values or ()
    return [(name, _text(value)) for name, value in pairs]


def _text(value: Scalar) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _content(question: Question) -> tuple[bytes | None, Mapping[str, str]]:
    if question.data is not None:
        return urlencode(_pairs(question.data)).encode(), _FORM
    if question.json is not None:
        return json.dumps(question.json, default=_revealed, allow_nan=False).encode(), _JSON
    return None, {}


def _revealed(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _lines(*sources: Headers) -> dict[str, str]:
    """Return all headers as text, the later source winning. ValueError when HTTP refuses one."""
    lines = {name.lower(): _text(value) for source in sources for name, value in source.items()}
    for name, value in lines.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError
    return lines
