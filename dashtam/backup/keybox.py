"""The installation's keys under a passphrase, for a backup that opens by itself elsewhere."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from dashtam.backup.errors import BackupError, Damaged, WrongKey

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_PASSPHRASE: Final = 12
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
# 128 MB of memory for each guess: about half a second here.
_COST = 2**17
_BLOCK = 8
_PLACE = b"dashtam/backup/keys/v1"


def shut(keys: Mapping[str, str], passphrase: str) -> str:
    """Return settings sealed by a passphrase, as base64. BackupError when it is too short."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise BackupError(f"A passphrase has at least {MIN_PASSPHRASE} characters.")
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    box = AESGCM(_key(passphrase, salt)).encrypt(nonce, json.dumps(dict(keys)).encode(), _PLACE)
    return base64.b64encode(salt + nonce + box).decode()


def open_box(box: str, passphrase: str) -> dict[str, str]:
    """Return the settings in a box. WrongKey when the passphrase does not open it."""
    try:
        data = base64.b64decode(box, validate=True)
    except ValueError:
        raise Damaged("The keys in this backup are damaged.") from None
    salt, nonce = data[:SALT_BYTES], data[SALT_BYTES : SALT_BYTES + NONCE_BYTES]
    try:
        text = AESGCM(_key(passphrase, salt)).decrypt(
            nonce, data[SALT_BYTES + NONCE_BYTES :], _PLACE
        )
    except (InvalidTag, ValueError):
        raise WrongKey("The passphrase does not open the keys in this backup.") from None
    return {str(name): str(value) for name, value in json.loads(text).items()}


def _key(passphrase: str, salt: bytes) -> bytes:
    kdf = Scrypt(salt=salt, length=32, n=_COST, r=_BLOCK, p=1)
    return kdf.derive(passphrase.encode("utf-8", "surrogatepass"))
