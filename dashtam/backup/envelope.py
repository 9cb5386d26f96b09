"""The sealed file: a head in clear, then chunks that open only whole, in order and under its key.

    "DASHTAM BACKUP 1\\n" · length of the head (4 bytes) · head (JSON) · chunk · chunk · …

Each chunk is AES-256-GCM over 1 MiB (the last one over what is left). Its nonce counts the chunks
and marks the last, and the head is part of what is authenticated: a chunk that is cut off, moved,
repeated or altered, and an altered head, are found (the STREAM construction).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dashtam.backup.errors import Damaged, WrongKey
from dashtam.vault import UnknownKey, derive

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES: Final = 1 << 20
TAG_BYTES: Final = 16
SALT_BYTES: Final = 32
MAX_HEAD_BYTES: Final = 1 << 16
_FAMILY = b"DASHTAM BACKUP "
_MAGIC = _FAMILY + b"1\n"
_SEALING = "dashtam/backup/v1"
_MARKING = "dashtam/backup/v1/mark"
_LENGTH_BYTES = 4
_COUNTER_BYTES = 11


@dataclass(frozen=True, slots=True)
class Head:
    """What anybody may read of a backup: which key seals it, and when it was made.

    `mark` tells a wrong key from a damaged file; `key_box` holds the keys under a passphrase.
    """

    key_id: str
    salt: str
    mark: str
    created_at: str
    product: str
    key_box: str = ""

    def encoded(self) -> bytes:
        """How it stands in the file, magic and length included."""
        body = json.dumps(asdict(self)).encode()
        return _MAGIC + len(body).to_bytes(_LENGTH_BYTES, "big") + body


def new_head(
    ring: str, *, key_id: str, created_at: str, product: str, key_box: str
) -> tuple[Head, bytes]:
    """Return the head of a new file, with a fresh salt, and the key that seals its chunks."""
    salt = secrets.token_bytes(SALT_BYTES)
    head = Head(
        key_id=key_id,
        salt=salt.hex(),
        mark=_mark(ring, key_id, salt),
        created_at=created_at,
        product=product,
        key_box=key_box,
    )
    return head, derive(ring, key_id=key_id, salt=salt, purpose=_SEALING)


def read_head(file: IO[bytes]) -> Head:
    """Read the head and leave the file at its first chunk. Damaged when it is no backup."""
    magic = file.read(len(_MAGIC))
    if magic != _MAGIC:
        if magic.startswith(_FAMILY):
            raise Damaged("This backup is of a later format than this version of Dashtam knows.")
        raise Damaged("This is no backup of Dashtam's.")
    length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
    if not 0 < length <= MAX_HEAD_BYTES:
        raise Damaged("The head of this backup is damaged.")
    body = file.read(length)
    try:
        head = Head(**json.loads(body))
        bytes.fromhex(head.salt)
        # Not a byte of it may differ from what was sealed together with the chunks.
        is_ours = head.encoded().endswith(body)
    except (ValueError, TypeError, RecursionError) as error:
        raise Damaged("The head of this backup is damaged.") from error
    if not is_ours or not all(isinstance(part, str) for part in asdict(head).values()):
        raise Damaged("The head of this backup is damaged.")
    return head


def key_of(head: Head, ring: str) -> bytes:
    """Return the key that opens the chunks. WrongKey, with its id, when the ring has it not."""
    salt = bytes.fromhex(head.salt)
    try:
        mark = _mark(ring, head.key_id, salt)
    except UnknownKey:
        raise WrongKey(
            f"This backup is sealed with the key {head.key_id!r}, which is not in DASHTAM_KEYS."
        ) from None
    if not hmac.compare_digest(mark.encode(), head.mark.encode()):
        raise WrongKey(
            f"This backup is sealed with another key {head.key_id!r} than the one of that name in "
            "DASHTAM_KEYS (or its head is damaged)."
        )
    return derive(ring, key_id=head.key_id, salt=salt, purpose=_SEALING)


class SealedWriter:
    """Seals what is written to it into chunks of a file; `close` seals the last."""

    def __init__(self, file: IO[bytes], head: Head, key: bytes) -> None:
        """Write the head."""
        encoded = head.encoded()
        self._file = file
        self._cipher = AESGCM(key)
        self._bound_to = hashlib.sha256(encoded).digest()
        self._waiting = bytearray()
        self._count = 0
        file.write(encoded)

    def write(self, data: bytes) -> None:
        """Take some of the content; a chunk is sealed once it is known not to be the last."""
        self._waiting += data
        while len(self._waiting) > CHUNK_BYTES:
            self._seal(bytes(self._waiting[:CHUNK_BYTES]), is_last=False)
            del self._waiting[:CHUNK_BYTES]

    def close(self) -> None:
        """Seal what is left as the last chunk; the file itself stays open."""
        self._seal(bytes(self._waiting), is_last=True)
        self._waiting.clear()

    def _seal(self, data: bytes, *, is_last: bool) -> None:
        nonce = _nonce(self._count, is_last=is_last)
        self._file.write(self._cipher.encrypt(nonce, data, self._bound_to))
        self._count += 1


def opened(file: IO[bytes], head: Head, key: bytes) -> Iterator[bytes]:
    """Return the content piece by piece. Damaged as soon as a chunk does not open.

    Nothing is known to be complete before the iterator has ended.
    """
    cipher = AESGCM(key)
    bound_to = hashlib.sha256(head.encoded()).digest()
    sealed, count = file.read(CHUNK_BYTES + TAG_BYTES), 0
    while True:
        following = file.read(CHUNK_BYTES + TAG_BYTES)
        nonce = _nonce(count, is_last=not following)
        try:
            yield cipher.decrypt(nonce, sealed, bound_to)
        except (InvalidTag, ValueError):
            raise Damaged(
                f"This backup was cut or altered: its part {count + 1} does not open."
            ) from None
        if not following:
            return
        sealed, count = following, count + 1


def _mark(ring: str, key_id: str, salt: bytes) -> str:
    return derive(ring, key_id=key_id, salt=salt, purpose=_MARKING).hex()


def _nonce(count: int, *, is_last: bool) -> bytes:
    return count.to_bytes(_COUNTER_BYTES, "big") + bytes([is_last])
