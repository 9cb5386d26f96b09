"""Self-describing tokens, signed with the sandbox's seed: a restarted sandbox still knows them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

_TAG_BYTES = 16


class Signer:
    """Seals small mappings into text and opens its own."""

    def __init__(self, seed: str) -> None:
        """Sign with a key made from the seed."""
        self._key = hashlib.sha256(f"sandbox-tokens|{seed}".encode()).digest()

    def seal(self, content: dict[str, Any]) -> str:
        """The mapping as URL-safe text."""
        body = json.dumps(content, sort_keys=True).encode()
        return base64.urlsafe_b64encode(self._tag(body) + body).decode().rstrip("=")

    def open(self, token: str) -> dict[str, Any] | None:
        """The mapping in a token of this seed, else None."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), "-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(body)):
            return None
        content: dict[str, Any] = json.loads(body)
        return content

    def _tag(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).digest()[:_TAG_BYTES]
