"""The kinds of sign-in, one class each. Free of Django and of any provider's name."""

from __future__ import annotations

from dataclasses import dataclass

from connections.types import AuthType, CredentialType


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a person lets us in, what is kept of it, and which task does its syncs."""

    auth_type: AuthType
    credential_type: CredentialType
    task: str


@dataclass(frozen=True, slots=True)
class StatementFiles(SignIn):
    """No sign-in at all: the person brings the provider's files."""

    auth_type: AuthType = AuthType.FILE_IMPORT
    credential_type: CredentialType = CredentialType.FILE_IMPORT
    task: str = "imports.tasks.run_import"


@dataclass(frozen=True, slots=True)
class ByHand(SignIn):
    """Accounts kept by the person; nothing is ever fetched."""

    auth_type: AuthType = AuthType.FILE_IMPORT
    credential_type: CredentialType = CredentialType.CUSTOM
    task: str = ""
