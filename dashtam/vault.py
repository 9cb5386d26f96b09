"""Sealed secrets: AES-256-GCM under a ring of keys, each seal bound to the place it was made for.

A seal opens only with the same table, row, user and field: copied anywhere else it is refused.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from functools import lru_cache
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_TEXT_VERSION = "v1"
_BYTES_VERSION = b"\x01"
_DERIVATION = b"dashtam/credentials/v1"
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}", re.ASCII)

Ident = object  # a row's or a user's id, written as text: UUID, int, str


class VaultError(Exception):
    """A secret could not be sealed or opened; never carries the secret or a key."""


class BadKeyRing(VaultError):
    """The keys of the installation cannot be used; the message says what is wrong with them."""


class UnknownKey(VaultError):
    """The seal names a key that is not on the ring; the message names it."""


class Tampered(VaultError):
    """The seal is damaged, was altered, or was made for another place."""


class Secret:
    """A secret in memory: only `reveal()` shows it, whatever prints, logs, copies or dumps it."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """Return the secret itself."""
        return self.__text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__text.encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is neither copied nor pickled")


class Vault:
    """Seals and opens under named keys: the first seals, every one opens."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        """Take 32-byte master keys by id, the sealing one first. BadKeyRing when they are unfit."""
        _check_ring(keys)
        self._ciphers = {kid: AESGCM(_derive(master)) for kid, master in keys.items()}
        self.key_ids = tuple(keys)
        self.sealing_key = self.key_ids[0]

    def seal(self, data: bytes, *, table: str, row: Ident, user: Ident, field: str) -> str:
        """Return `data` sealed for one field of one row of one user: `v1.<key id>.<base64url>`."""
        kid = self.sealing_key
        sealed = self._encrypt(data, (table, row, user, field))
        return ".".join((_TEXT_VERSION, kid, base64.urlsafe_b64encode(sealed).decode()))

    def open(self, sealed: str, *, table: str, row: Ident, user: Ident, field: str) -> bytes:
        """Return what was sealed for this place. UnknownKey or Tampered when it cannot be."""
        kid, body = _split_text(sealed)
        return self._decrypt(kid, body, (table, row, user, field))

    def seal_bytes(self, data: bytes, *, table: str, row: Ident, user: Ident, field: str) -> bytes:
        """Like `seal`, for large payloads: a version byte, the key id with its length, the rest."""
        kid = self.sealing_key.encode()
        head = _BYTES_VERSION + bytes([len(kid)]) + kid
        return head + self._encrypt(data, (table, row, user, field))

    def open_bytes(
        self, sealed: bytes, *, table: str, row: Ident, user: Ident, field: str
    ) -> bytes:
        """Return what `seal_bytes` sealed for this place. UnknownKey or Tampered otherwise."""
        kid, body = _split_bytes(sealed)
        return self._decrypt(kid, body, (table, row, user, field))

    def _encrypt(self, data: bytes, place: tuple[Ident, ...]) -> bytes:
        kid = self.sealing_key
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._ciphers[kid].encrypt(nonce, data, _bound_to(*place, kid))

    def _decrypt(self, kid: str, body: bytes, place: tuple[Ident, ...]) -> bytes:
        if kid not in self._ciphers:
            raise UnknownKey(f"the key {kid!r} is not on the ring")
        nonce, ciphertext = body[:NONCE_BYTES], body[NONCE_BYTES:]
        try:
            return self._ciphers[kid].decrypt(nonce, ciphertext, _bound_to(*place, kid))
        except (InvalidTag, ValueError):
            raise Tampered("the seal does not open here") from None


def key_id(sealed: str | bytes) -> str:
    """Return the id of the key that made a seal. Tampered when it is none."""
    return (_split_text(sealed) if isinstance(sealed, str) else _split_bytes(sealed))[0]


def parse(spec: str) -> Vault:
    """Read `k2:<base64>,k1:<base64>`: 32 bytes each, the first seals. BadKeyRing otherwise."""
    return Vault(_masters(spec))


def derive(spec: str, *, key_id: str, salt: bytes, purpose: str) -> bytes:
    """Return a 32-byte key for one purpose and one salt, made from one key of a ring.

    It tells nothing of the key it comes from. UnknownKey when the ring has no such key.
    """
    masters = _masters(spec)
    if key_id not in masters:
        raise UnknownKey(f"the key {key_id!r} is not on the ring")
    kdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=purpose.encode())
    return kdf.derive(masters[key_id])


def _masters(spec: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for number, part in enumerate(filter(None, (p.strip() for p in spec.split(","))), start=1):
        kid, colon, text = part.partition(":")
        # Without a colon the whole part may be a key: it is counted, not quoted.
        if not colon or not _KEY_ID.fullmatch(kid):
            raise BadKeyRing(f"key number {number} is not written as <id>:<base64>")
        if kid in keys:
            raise BadKeyRing(f"the key id {kid!r} appears twice")
        keys[kid] = _key_bytes(text, f"the key {kid!r}")
    return keys


@lru_cache(maxsize=8)
def vault(spec: str) -> Vault:
    """Return the vault of a key ring as `parse` reads it, made once."""
    return parse(spec)


def fingerprint(text: str, *, key: str, purpose: str) -> str:
    """Return 64 hex digits that are equal for equal text, and tell nothing without the key.

    `key` is base64 of 32 bytes and stays the same when the sealing keys rotate; the same text
    differs from purpose to purpose.
    """
    secret = _key_bytes(key, "the fingerprint key")
    message = _length_prefixed(purpose) + text.encode("utf-8", "surrogatepass")
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def _check_ring(keys: dict[str, bytes]) -> None:
    if not keys:
        raise BadKeyRing("there is no key")
    for kid, master in keys.items():
        if len(master) != KEY_BYTES:
            raise BadKeyRing(f"the key {kid!r} has {len(master)} bytes, not {KEY_BYTES}")
        if len(set(master)) == 1:
            raise BadKeyRing(f"the key {kid!r} is one byte repeated, not random")
    if len(set(keys.values())) < len(keys):
        raise BadKeyRing("two key ids have the same key")


def _key_bytes(text: str, name: str) -> bytes:
    if not _BASE64.fullmatch(text):
        raise BadKeyRing(f"{name} is not base64")
    try:
        key = base64.b64decode(text.translate(str.maketrans("-_", "+/")), validate=True)
    except binascii.Error:
        raise BadKeyRing(f"{name} is not base64") from None
    if len(key) != KEY_BYTES:
        raise BadKeyRing(f"{name} has {len(key)} bytes, not {KEY_BYTES}")
    return key


def _derive(master: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_DERIVATION).derive(master)


def _bound_to(*parts: Ident) -> bytes:
    return b"".join(_length_prefixed(str(part)) for part in parts)


def _length_prefixed(text: str) -> bytes:
    # Without lengths ("ab", "c") and ("a", "bc") would be one place.
    data = text.encode()
    return len(data).to_bytes(4, "big") + data


def _split_text(sealed: str) -> tuple[str, bytes]:
    version, _, rest = sealed.partition(".")
    kid, _, body = rest.partition(".")
    if version != _TEXT_VERSION or not _KEY_ID.fullmatch(kid):
        raise Tampered("this is no seal")
    try:
        return kid, base64.b64decode(body, altchars=b"-_", validate=True)
    except ValueError:
        raise Tampered("this is no seal") from None


def _split_bytes(sealed: bytes) -> tuple[str, bytes]:
    if len(sealed) < 2 + NONCE_BYTES or sealed[:1] != _BYTES_VERSION:
        raise Tampered("this is no seal")
    end = 2 + sealed[1]
    kid = sealed[2:end].decode("ascii", "replace")
    if not _KEY_ID.fullmatch(kid):
        raise Tampered("this is no seal")
    return kid, sealed[end:]
