"""OAuth 2 on the wire: where to send the person, and tokens for a code. Free of Django."""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote, urlencode

from connections.errors import BadProviderData, NeedsReauthentication, Retryable, SyncError
from connections.wire import own_words
from dashtam.http import BadAnswer
from dashtam.vault import Secret

if TYPE_CHECKING:
    from connections.auth import Credentials, OAuth2
    from dashtam.http import Answer, Client

Form = dict[str, str | Secret]

MAX_TOKEN_LENGTH: Final = 16_000
LONGEST_LIFE: Final = timedelta(days=366)
# Refused is the application, not the person: only the operator can repair that.
_APP_REFUSALS = frozenset({"invalid_client", "unauthorized_client"})
_EXPIRES_AT = "access_expires_at"


class GrantRefused(NeedsReauthentication):
    """The code or the refresh token is not accepted: the person has to agree again."""

    def __init__(self) -> None:
        super().__init__("grant_refused")


class AppRefused(SyncError):
    """The client id or its secret is not accepted: the operator has to look at the settings."""

    def __init__(self) -> None:
        super().__init__("provider_not_configured", reason="app_refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What the provider knows this installation by."""

    client_id: str
    client_secret: Secret
    redirect_uri: str


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge that announces a verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def authorize_url(auth: OAuth2, base_url: str, app: App, *, state: str, verifier: str) -> str:
    """Return the address of the provider's page where the person agrees."""
    values = {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": app.redirect_uri,
        "state": state,
    }
    if auth.scope:
        values["scope"] = auth.scope
    if auth.uses_pkce:
        values |= {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
    return f"{base_url}{auth.authorize_path}?{urlencode(values, quote_via=quote)}"


def exchange(
    auth: OAuth2, client: Client, app: App, *, code: Secret, verifier: Secret
) -> Credentials:
    """Return the tokens that a code is good for; sent once, since a code is good for one use.

    GrantRefused, AppRefused, Retryable or BadProviderData.
    """
    values: Form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": app.redirect_uri,
    }
    if auth.uses_pkce:
        values["code_verifier"] = verifier
    return _asked(auth, client, app, values)


def refresh(auth: OAuth2, client: Client, app: App, kept: Credentials) -> Credentials:
    """Return new tokens for a refresh token, which stays when the answer brings no other.

    GrantRefused, AppRefused, Retryable or BadProviderData.
    """
    if "refresh_token" not in kept:
        raise GrantRefused
    values: Form = {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"]}
    return {**kept, **_asked(auth, client, app, values)}


def expires_at(credentials: Credentials) -> datetime | None:
    """Return when the access token ends; None when that was not said."""
    kept = credentials.get(_EXPIRES_AT)
    return datetime.fromisoformat(kept.reveal()) if kept and kept.reveal() else None


def _asked(auth: OAuth2, client: Client, app: App, values: Form) -> Credentials:
    form, headers = {**values}, Form()
    if auth.secret_in_form:
        form |= {"client_id": app.client_id, "client_secret": app.client_secret}
    else:
        headers["Authorization"] = _basic(app)
    with own_words():
        answer = client.post(auth.token_path, data=form, headers=headers)
        return _tokens_of(answer) if answer.is_success else _refused(answer)


def _basic(app: App) -> Secret:
    pair = f"{quote(app.client_id, safe='')}:{quote(app.client_secret.reveal(), safe='')}"
    return Secret("Basic " + b64encode(pair.encode()).decode())


def _refused(answer: Answer) -> NoReturn:
    said = _error_of(answer)
    if said in _APP_REFUSALS:
        raise AppRefused
    if said and answer.status in (400, 401):
        raise GrantRefused
    # No OAuth error at all: something before the token endpoint answered.
    raise Retryable


def _error_of(answer: Answer) -> str:
    try:
        body = answer.json()
    except BadAnswer:
        return ""
    said = body.get("error") if isinstance(body, dict) else None
    return said if isinstance(said, str) else ""


def _tokens_of(answer: Answer) -> Credentials:
    body = answer.json()
    if not isinstance(body, dict) or not _is_token(body.get("access_token")):
        raise BadProviderData("wrong_shape")
    tokens = {
        name: Secret(body[name])
        for name in ("access_token", "refresh_token", "token_type", "scope")
        if _is_token(body.get(name))
    }
    tokens[_EXPIRES_AT] = Secret(_end_of(body.get("expires_in")))
    return tokens


def _is_token(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TOKEN_LENGTH


def _end_of(expires_in: Any) -> str:
    try:
        life = min(timedelta(seconds=int(expires_in)), LONGEST_LIFE)
    except (TypeError, ValueError, OverflowError):
        return ""
    return (datetime.now(UTC) + life).isoformat()
