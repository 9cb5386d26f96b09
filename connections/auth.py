"""The kinds of sign-in, one class each. Free of Django and of any provider's name.

A new kind (a link token, a certificate, a setup token) is a class here, a template
`connections/_connect_<auth type>.html` that asks for it, and a line in `connections.views.WAYS` for
what takes the answer. How credentials sign a call in is the provider's `request_headers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connections.types import AuthType, CredentialType

if TYPE_CHECKING:
    from datetime import timedelta

    from dashtam.vault import Secret

Credentials = Mapping[str, "Secret"]
"""What is kept of a sign-in, by name; sealed as one JSON object of texts."""

API_TASK = "connections.tasks.run_sync"


def gettext_noop(text: str) -> str:
    """Mark a text for the translators; the page that shows it translates it."""
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How a person lets us in, what is kept of it, and which task does its syncs.

    `is_offered` is False for what nobody connects from the catalogue. `consent_life` is how long
    after the person let us in it ends, whatever is refreshed meanwhile; None is never.
    """

    auth_type: AuthType
    credential_type: CredentialType
    task: str
    is_offered: bool = True
    consent_life: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2(SignIn):
    """The person agrees at the provider's own page and comes back with a code (RFC 6749, 9700).

    Paths are below the provider's base URL. `issuer`, when there is one, must come back as `iss`.
    """

    auth_type: AuthType = AuthType.OAUTH
    credential_type: CredentialType = CredentialType.OAUTH2
    task: str = API_TASK
    authorize_path: str
    token_path: str
    scope: str = ""
    uses_pkce: bool = True
    secret_in_form: bool = False
    issuer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyField:
    """One thing to copy from the provider's pages into the form."""

    name: str
    label: str
    help: str = ""
    is_secret: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One of several worlds a provider has keys for: real money, or play money."""

    slug: str
    label: str
    help: str = ""


API_KEY = KeyField(name="api_key", label=gettext_noop("API key"), is_secret=False)
API_SECRET = KeyField(name="api_secret", label=gettext_noop("API secret"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey(SignIn):
    """The person copies keys from the provider's pages into a form made of `fields`.

    The first of `environments` is what the form suggests; without any there is only one world.
    `help` says where to find the keys, in one sentence.
    """

    auth_type: AuthType = AuthType.API_KEY
    credential_type: CredentialType = CredentialType.API_KEY
    task: str = API_TASK
    fields: tuple[KeyField, ...] = (API_KEY, API_SECRET)
    environments: tuple[Environment, ...] = ()
    help: str = ""

    def environment(self, slug: str) -> Environment | None:
        """The environment of that name, if there is one."""
        return next((one for one in self.environments if one.slug == slug), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFiles(SignIn):
    """No sign-in at all: the person brings the provider's files."""

    auth_type: AuthType = AuthType.FILE_IMPORT
    credential_type: CredentialType = CredentialType.FILE_IMPORT
    task: str = "imports.tasks.run_import"


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand(SignIn):
    """Accounts kept by the person; nothing is ever fetched."""

    auth_type: AuthType = AuthType.FILE_IMPORT
    credential_type: CredentialType = CredentialType.CUSTOM
    task: str = ""
    is_offered: bool = False
