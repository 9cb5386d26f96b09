"""Identifiers that sort by the time they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uuid_utils.compat import uuid7 as _uuid7

if TYPE_CHECKING:
    from uuid import UUID


def uuid7() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then chance."""
    return _uuid7()
