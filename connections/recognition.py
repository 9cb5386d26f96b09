"""Rows that a provider tells word for word as it did when they were stored are not read again.

A row is recognised by its mark: who read it, and a hash of its own words. What the words become
depends on the reader's code and on the account, so the mark begins with a hash of both: after an
upgrade every row is read once more.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from connections.rows import Told
from transactions.types import READER_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from accounts.types import AccountData, Rejected
    from transactions.types import Known, TransactionData

    Read = Callable[[object, AccountData], Iterator[TransactionData | Rejected]]

_HASH_BYTES = 12
_SALT_BYTES = 16
# Folders whose code has a part in what is stored of a row.
_READING = ("accounts", "connections", "dashtam", "transactions")
_HERE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Memory:
    """What is stored of one account's newest rows, by their marks."""

    reader: bytes
    known: Mapping[str, Known]

    def read(
        self, rows: Sequence[object], account: AccountData, read: Read
    ) -> Iterator[TransactionData | Known | Rejected]:
        """Recognise rows of an answer, and have the others read, in their order."""
        marks = [self._mark(row) for row in rows]
        news = [row for row, mark in zip(rows, marks, strict=True) if mark not in self.known]
        found = list(read(news, account))
        if len(found) != len(news):
            raise ValueError(f"{len(news)} rows were read as {len(found)}")
        others = iter(found)
        for mark in marks:
            yield self.known.get(mark) or next(others)

    def of_nothing(self) -> Memory:
        """The same reader with no row in mind: each is marked, and read."""
        return Memory(self.reader, {})

    def _mark(self, row: object) -> str:
        if not isinstance(row, Told):
            return ""
        words = hashlib.blake2b(row.text, digest_size=_HASH_BYTES, salt=self.reader)
        row.mark = self.reader.hex()[:READER_LENGTH] + words.hexdigest()
        return row.mark


def reader_of(slug: str, account: AccountData) -> bytes:
    """What a row's words are read by: the code, and all of an account that may matter to them."""
    about = (
        account.provider_account_id,
        account.account_type,
        account.currency,
        account.account_number_masked,
        json.dumps(account.metadata, sort_keys=True, default=str),
    )
    return hashlib.blake2b(
        "\0".join(about).encode(), digest_size=_SALT_BYTES, key=_version_of(slug)
    ).digest()


def _version_of(slug: str) -> bytes:
    words = (_CODE, slug, msgspec.__version__, sys.version)
    return hashlib.blake2b("\0".join(words).encode()).digest()


def _code() -> str:
    """A hash of the code that reads and stores rows."""
    found = hashlib.blake2b()
    for folder in _READING:
        for file in sorted(_HERE.joinpath(folder).rglob("*.py")):
            found.update(f"\0{file.relative_to(_HERE)}\0".encode())
            found.update(file.read_bytes())
    return found.hexdigest()


# Now, while the code is loaded: files that are replaced later are not what this process runs.
_CODE = _code()
