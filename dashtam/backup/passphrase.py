"""Passphrases: read from a file, or asked for on the terminal."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import TYPE_CHECKING

from dashtam.backup.errors import BackupError

if TYPE_CHECKING:
    from pathlib import Path


def new_passphrase(file: Path | None) -> str:
    """Return the passphrase in the file, or one typed twice; BackupError when there is none."""
    if file:
        return _written(file)
    typed = _typed("Passphrase: ")
    if _typed("Once more: ") != typed:
        raise BackupError("The two are not the same.")
    return typed


def known_passphrase(file: Path | None) -> str:
    """Return the passphrase in the file, or one typed once; BackupError when there is none."""
    return _written(file) if file else _typed("Passphrase of the backup: ")


def _written(file: Path) -> str:
    try:
        text = file.read_text().rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise BackupError(f"{file} cannot be read.") from error
    if not text:
        raise BackupError(f"There is no passphrase in {file}.")
    return text


def _typed(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise BackupError("There is no terminal to ask for the passphrase: use --passphrase-file.")
    return getpass(prompt)
