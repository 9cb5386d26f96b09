"""Looks for secrets in everything that is kept or shown, in every dress they could wear."""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.db import connection as db_connection

if TYPE_CHECKING:
    from collections.abc import Iterable


def dump() -> bytes:
    """Every value of every table, as it is stored."""
    found: list[bytes] = []
    with db_connection.cursor() as cursor:
        for table in db_connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            found += [_bytes(value) for row in cursor.fetchall() for value in row]
    return b"\n".join(found)


def dresses(secret: str) -> dict[str, bytes]:
    """The secret as it is, and in eight encodings (base64 at each of its three offsets)."""
    plain = secret.encode()
    return {
        "plain": plain,
        "base64": b64encode(plain)[: len(plain) // 3 * 4],
        "base64+1": b64encode(b"x" + plain)[4 : len(plain) // 3 * 4],
        "base64+2": b64encode(b"xx" + plain)[4 : len(plain) // 3 * 4],
        "base64url": urlsafe_b64encode(plain)[: len(plain) // 3 * 4],
        "hex": plain.hex().encode(),
        "url": quote(secret, safe="").encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "html": html.escape(secret).encode(),
    }


def hits(secrets: Iterable[str], *places: bytes) -> list[str]:
    """Which secret was found in which dress."""
    return [
        f"{secret[:6]}… as {name}"
        for secret in secrets
        for name, dressed in dresses(secret).items()
        if any(dressed in place for place in places)
    ]


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return str(value).encode()
