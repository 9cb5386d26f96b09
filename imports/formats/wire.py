"""A parsed file as lines of JSON, for the pipe between the reading child and its parent.

Rows travel as arrays in the order of their fields, decimals as text: exact, and compact.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Generic, TypeVar

from accounts.types import AccountType, AssetType, Rejected
from holdings.types import HoldingData
from imports.formats.types import Institution, ParsedAccount, ParsedFile, StatementRefused
from transactions.types import (
    TransactionData,
    TransactionStatus,
    TransactionSubtype,
    TransactionType,
)

ROWS_IN_LINE = 200
T = TypeVar("T")

_READERS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(["amount", "quantity", "unit_price", "commission"], Decimal),
    **dict.fromkeys(["cost_basis", "market_value", "average_price", "current_price"], Decimal),
    **dict.fromkeys(["balance", "available_balance", "cash_value", "holdings_value"], Decimal),
    **dict.fromkeys(
        ["transaction_date", "settlement_date", "period_start", "period_end"], date.fromisoformat
    ),
    **dict.fromkeys(["occurred_at", "balance_as_of"], datetime.fromisoformat),
    "account_type": AccountType,
    "asset_type": AssetType,
    "transaction_type": TransactionType,
    "subtype": TransactionSubtype,
    "status": TransactionStatus,
}
_LISTS = ("transactions", "holdings", "rejected")


class _Record(Generic[T]):
    """How one kind of record becomes an array and comes back."""

    def __init__(self, kind: type[T], without: tuple[str, ...] = ()) -> None:
        self.kind = kind
        names = [one.name for one in fields(kind) if one.name not in without]  # type: ignore[arg-type]
        self.names = names
        self.values = attrgetter(*names)
        self.readers = [(names.index(name), _READERS[name]) for name in names if name in _READERS]

    def read(self, row: list[Any]) -> T:
        for index, reader in self.readers:
            if row[index] is not None:
                row[index] = reader(row[index])
        return self.kind(**dict(zip(self.names, row, strict=True)))


_INSTITUTION = _Record(Institution)
_ACCOUNT = _Record(ParsedAccount, without=_LISTS)
_ROWS: dict[str, _Record[Any]] = {
    "transactions": _Record(TransactionData),
    "holdings": _Record(HoldingData),
    "rejected": _Record(Rejected),
}


def encode(parsed: ParsedFile) -> Iterator[bytes]:
    """Yield the lines of a parsed file; the last one says that it is complete."""
    institution = _INSTITUTION.values(parsed.institution)
    yield _line("file", parsed.format, institution, parsed.notices, parsed.rows_in_file)
    for account in parsed.accounts:
        yield _line("account", _ACCOUNT.values(account))
        for name in _LISTS:
            rows, record = getattr(account, name), _ROWS[name]
            for start in range(0, len(rows), ROWS_IN_LINE):
                chunk = rows[start : start + ROWS_IN_LINE]
                yield _line(name, [record.values(row) for row in chunk])
    yield _line("end")


def encode_refusal(refused: StatementRefused) -> bytes:
    """Return the one line of a refused file."""
    return _line("refused", refused.code, refused.params)


def decode(lines: Iterable[bytes]) -> ParsedFile | None:
    """Put a parsed file together from its lines; None when they end too early.

    StatementRefused when that is what they say; ValueError, TypeError or LookupError when they
    are not what `encode` yields.
    """
    parsed: ParsedFile | None = None
    for line in lines:
        kind, *rest = json.loads(line)
        if kind == "refused":
            raise StatementRefused(rest[0], **rest[1])
        if kind == "end":
            return parsed
        if kind == "file" or parsed is None:
            parsed = ParsedFile(
                format=rest[0],
                institution=_INSTITUTION.read(rest[1]),
                notices=rest[2],
                rows_in_file=rest[3],
            )
        elif kind == "account":
            parsed.accounts.append(_ACCOUNT.read(rest[0]))
        else:
            record = _ROWS[kind]
            getattr(parsed.accounts[-1], kind).extend(record.read(row) for row in rest[0])
    return None


def _line(*message: object) -> bytes:
    return json.dumps(message, default=str, separators=(",", ":")).encode() + b"\n"
