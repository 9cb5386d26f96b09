"""OAuth, the person's part: sent to the provider with a state, and back from there with a code."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.timezone import now

from connections import oauth
from connections.connecting import complete, new_connection
from connections.errors import SyncError
from connections.reach import app_of, base_url_of, check_usable, client_of, oauth_of
from connections.states import OAuthState
from connections.types import ConnectionStatus
from dashtam.vault import Secret, VaultError, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connections.auth import OAuth2
    from connections.models import Connection
    from connections.provider import Provider
    from dashtam.models import User

STATE_LIFE = timedelta(minutes=10)
RANDOM_BYTES = 32
SINGLE = ("state", "code", "error", "iss")
# The provider's word for a person who said no (RFC 6749, 4.1.2.1).
DENIED = "access_denied"


class CallbackRefused(Exception):
    """Who came back brings nothing to go on with; no token was asked for.

    `code` is state_unknown, denied, provider_error, code_missing, code_used, repeated or
    issuer_wrong.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def begin(
    user: User, session_key: str, source: type[Provider], reconnecting: Connection | None = None
) -> str:
    """Return the provider's address to send the person to, good for ten minutes and one return.

    NotConfigured, or SyncError: provider_disabled, provider_not_configured.
    """
    check_usable(source)
    OAuthState.objects.filter(expires_at__lt=now()).delete()
    state, verifier = secrets.token_urlsafe(RANDOM_BYTES), secrets.token_urlsafe(RANDOM_BYTES)
    row = OAuthState(
        user=user,
        provider_slug=source.slug,
        connection=reconnecting,
        state_mark=_mark(state, "oauth-state"),
        session_mark=_mark(session_key, "oauth-session"),
        expires_at=now() + STATE_LIFE,
    )
    row.seal(Secret(verifier))
    row.save()
    return oauth.authorize_url(
        oauth_of(source), base_url_of(source), app_of(source), state=state, verifier=verifier
    )


def finish(
    user: User, session_key: str, source: type[Provider], came: Mapping[str, list[str]]
) -> Connection:
    """Connect a person who came back with `came` (the query, every value of each name).

    CallbackRefused, or what `check_usable` raises, or SyncError("connection_not_active") for a
    repair of what was disconnected meanwhile, before anything is asked for; then what
    `oauth.exchange` and `connecting.complete` raise.
    """
    if any(len(came.get(name, ())) > 1 for name in SINGLE):
        raise CallbackRefused("repeated")
    query = {name: came[name][0] for name in SINGLE if came.get(name)}
    state = _known_state(user, session_key, source, query.get("state", ""))
    code = query.get("code", "")
    problem = _problem(oauth_of(source), query)
    verifier = _verifier(state)
    # Used up in any case: what came back once is never listened to again.
    is_new = OAuthState.objects.take(state, _mark(code, "oauth-code") if code else "")
    if problem or not is_new:
        raise CallbackRefused(problem or "code_used")
    # The operator, or the person, may have thought better of it on the way.
    check_usable(source)
    if state.connection and state.connection.status == ConnectionStatus.DISCONNECTED:
        raise SyncError("connection_not_active")
    pending = _exchange(user, source, Secret(code), verifier)
    return complete(pending, state.connection)


def _known_state(user: User, session_key: str, source: type[Provider], text: str) -> OAuthState:
    state = (
        OAuthState.objects.for_user(user)
        .filter(
            provider_slug=source.slug,
            state_mark=_mark(text, "oauth-state"),
            session_mark=_mark(session_key, "oauth-session"),
            used_at=None,
            expires_at__gt=now(),
        )
        .select_related("connection")
        .first()
    )
    if state is None:
        raise CallbackRefused("state_unknown")
    return state


def _problem(auth: OAuth2, query: Mapping[str, str]) -> str:
    if query.get("iss", "") != auth.issuer and (auth.issuer or "iss" in query):
        return "issuer_wrong"
    if "error" in query:
        return "denied" if query["error"] == DENIED else "provider_error"
    return "" if query.get("code") else "code_missing"


def _verifier(state: OAuthState) -> Secret:
    try:
        return state.open()
    except VaultError:
        raise CallbackRefused("state_unknown") from None


def _exchange(user: User, source: type[Provider], code: Secret, verifier: Secret) -> Connection:
    pending = new_connection(user, source)
    with client_of(source) as client:
        tokens = oauth.exchange(
            oauth_of(source), client, app_of(source), code=code, verifier=verifier
        )
    # Before anything else: these tokens exist nowhere but here.
    pending.seal(tokens)
    pending.save()
    return pending


def _mark(text: str, purpose: str) -> str:
    return fingerprint(text, key=settings.DASHTAM_FINGERPRINT_KEY, purpose=purpose)
