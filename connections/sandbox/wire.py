"""What goes over the sandbox's wire: a request, an answer, and the facts it tells."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from connections.sandbox.ledger import Book, Entry

JSON = "application/json"
HTML = "text/html; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
MAX_REQUEST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    def params(self) -> list[tuple[str, str]]:
        """The query's names and values, in order, decoded once."""
        return parse_qsl(self.query, keep_blank_values=True)

    def form(self) -> list[tuple[str, str]]:
        """The names and values of a form's body, in order, decoded once."""
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that an answer tells: which provider, account and row, and what is true of it."""

    provider: str
    account: str
    kind: str
    key: str
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: JSON when `content` is no text, else a page.

    `facts[i]` belongs to the i-th row of a list; `book` is the account that was asked about.
    """

    status: int
    content: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()
    book: Book | None = None

    def body(self) -> bytes:
        """The bytes to send."""
        if isinstance(self.content, str):
            return self.content.encode()
        return json.dumps(self.content, default=_number, separators=(",", ":")).encode()

    def content_type(self) -> str:
        """The kind of the body."""
        return HTML if isinstance(self.content, str) else JSON


class Refusal(Exception):
    """The request is answered with an error."""

    def __init__(self, answer: Answer) -> None:
        """Carry the answer."""
        super().__init__(answer.status)
        self.answer = answer


def transaction_fact(entry: Entry, provider: str, account: str, now: datetime) -> Fact:
    """What is true of a transaction at `now`; amounts and quantities as text."""
    told = {
        "amount": str(entry.amount), "date": entry.day.isoformat(), "status": str(entry.state(now)),
        "kind": entry.kind, "symbol": entry.symbol, "quantity": str(entry.quantity),
        "description": entry.description,
    }  # fmt: skip
    return Fact(provider, account, "transaction", entry.id, told)


def single(pairs: list[tuple[str, str]]) -> dict[str, str] | None:
    """The pairs as a mapping, or None when a name comes twice."""
    mapping = dict(pairs)
    return mapping if len(mapping) == len(pairs) else None


def path_segments(path: str, prefix: str) -> list[str]:
    """What follows the prefix, segment by segment, decoded."""
    rest = path.removeprefix(prefix).strip("/")
    return [unquote(segment) for segment in rest.split("/")] if rest else []


def _number(value: object) -> float | int:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no place in JSON.")
    return int(value) if value == value.to_integral_value() and value.is_finite() else float(value)
