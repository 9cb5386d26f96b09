"""Recorded answers of every provider, and a wire that gives them.

A provider's folder in `fixtures` holds `answers.json` (answers by path, in turn, the last one for
ever), `expected.json` (what becomes of them; figures as text) and `about.json` (the days asked for,
the path of the transactions, the fields that hold words, the field of the amount).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accounts.types import Rejected
from connections.provider import provider
from connections.wire import Said
from dashtam.http import Answer
from dashtam.money import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accounts.types import AccountData
    from connections.provider import Provider

FOLDER = Path(__file__).parent / "fixtures"
OTHER_NAMES = {
    "provider_account_id": "id",
    "provider_transaction_id": "id",
    "provider_holding_id": "id",
    "transaction_type": "type",
    "transaction_date": "date",
}


@dataclass
class Wire:
    """An `Api` that knows its answers; an answer is (status, body) or a body of status 200."""

    answers: dict[str, list[Any]]
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Said:
        """The next answer of this path."""
        self.asked.append((path, dict(params or {})))
        waiting = self.answers.get(path, [(404, {"message": "Not found"})])
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return said(*answer) if isinstance(answer, tuple) else said(200, answer)

    def post(self, path: str, data: Mapping[str, str] | None = None) -> Said:
        """Nothing a provider asks for is sent."""
        raise AssertionError(path)


def said(status: int, body: Any) -> Said:
    """An answer off the wire: text as it is, anything else as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Said(Answer(status=status, headers={}, body=text.encode()))


def read(slug: str, name: str) -> Any:
    """One of a provider's recorded files."""
    return json.loads((FOLDER / slug / f"{name}.json").read_text())


@dataclass
class Recorded:
    """One provider, its answers, and what they are expected to become."""

    slug: str

    def __post_init__(self) -> None:
        self.answers = read(self.slug, "answers")
        self.expected = read(self.slug, "expected")
        self.about = read(self.slug, "about")

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The recorded rows of transactions, as they are on the wire."""
        rows: list[dict[str, Any]] = self.answers[self.about["transactions"]][0]
        return rows

    def provider(self) -> Provider:
        """The provider on a wire with these answers."""
        answers = {path: list(waiting) for path, waiting in self.answers.items()}
        return provider(self.slug)(Wire(answers), environment=self.about["environment"])

    def account(self) -> AccountData:
        """The first account."""
        first = next(iter(self.provider().accounts()))
        assert not isinstance(first, Rejected)
        return first

    def transactions(self, rows: list[Any] | None = None) -> list[Any]:
        """What becomes of the recorded rows, or of these."""
        account = self.account()
        if rows is not None:
            self.answers[self.about["transactions"]] = [rows, []]
        start, end = (date.fromisoformat(self.about[name]) for name in ("start", "end"))
        pages = self.provider().transactions(account, start, end)
        return [one for page in pages for one in page]

    def holdings(self) -> list[Any]:
        """The positions of the first account."""
        return list(self.provider().holdings(self.account()))

    def of(self, kind: str) -> list[Any]:
        """All of a kind: accounts, transactions or holdings."""
        readers: dict[str, Callable[[], list[Any]]] = {
            "accounts": lambda: list(self.provider().accounts()),
            "transactions": self.transactions,
            "holdings": self.holdings,
        }
        return readers[kind]()


def plain(record: Any) -> dict[str, Any]:
    """A record as `expected.json` has it."""
    return {OTHER_NAMES.get(name, name): _plain(getattr(record, name)) for name in record.__slots__}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return canonical(value)
    return value.isoformat() if isinstance(value, date) else value
