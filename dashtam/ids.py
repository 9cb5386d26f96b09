"""Identifiers that sort by the time they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from uuid_utils.compat import uuid7 as _uuid7

if TYPE_CHECKING:
    from datetime import datetime


def uuid7() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then chance."""
    return _uuid7()


def first_of(moment: datetime) -> UUID:
    """Return the least UUIDv7 of this instant: rows made since have greater ones."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62)
