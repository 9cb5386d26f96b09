"""How a provider is reached: the operator's settings, its address, a client that goes there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection as db_connection

from connections.auth import OAuth2
from connections.errors import NotConfigured, SyncError
from connections.models import ProviderSetting
from connections.oauth import App
from connections.provider import missing_settings
from connections.sandbox.registration import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from connections.wire import SignedApi
from dashtam.http import Brake, Client, Limits, Pace, Refused, Wiring
from dashtam.vault import Secret, VaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connections.auth import Credentials
    from connections.models import Connection
    from connections.provider import Provider

# One for the whole process: a provider that asked to wait is left in peace by everybody.
BRAKE = Brake()
# Likewise one for the whole process.
PACE = Pace()
_LIMITS = Limits()


def disabled_slugs() -> set[str]:
    """The providers that the operator has switched off."""
    return set(ProviderSetting.objects.filter(enabled=False).values_list("slug", flat=True))


def missing_of(source: type[Provider]) -> tuple[str, ...]:
    """The settings it needs that have no value; in the sandbox none are needed."""
    return () if settings.SANDBOX else missing_settings(source, settings.PROVIDERS)


def check_usable(source: type[Provider]) -> None:
    """Raise NotConfigured, or SyncError("provider_disabled"), when nobody can connect it now."""
    if source.slug in disabled_slugs():
        raise SyncError("provider_disabled", provider=source.name)
    missing = missing_of(source)
    if missing:
        raise NotConfigured(source.name, missing)


def base_url_of(source: type[Provider], environment: str = "") -> str:
    """Where its API is: in the bank in the box, where the operator says, or where it is at home.

    SyncError("provider_not_configured") when the operator names a world that does not exist.
    """
    if settings.SANDBOX:
        return "/".join(filter(None, (settings.SANDBOX_URL, source.slug, environment)))
    try:
        return source.base_url(settings.PROVIDERS, environment)
    except ValueError:
        raise SyncError("provider_not_configured", reason="environment") from None


def oauth_of(source: type[Provider]) -> OAuth2:
    """Its OAuth sign-in; TypeError when it has another kind."""
    if not isinstance(source.auth, OAuth2):
        raise TypeError(f"{source.name} has no OAuth sign-in.")
    return source.auth


def app_of(source: type[Provider]) -> App:
    """What an OAuth provider knows this installation by."""
    prefix, stated = source.slug.upper(), settings.PROVIDERS
    redirect_uri = stated.get(f"{prefix}_REDIRECT_URI")
    client_id, secret = SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
    if not settings.SANDBOX:
        client_id, secret = stated[f"{prefix}_CLIENT_ID"], stated[f"{prefix}_CLIENT_SECRET"]
    return App(
        client_id=client_id,
        client_secret=Secret(secret),
        redirect_uri=redirect_uri or f"{settings.PUBLIC_URL}/oauth/{source.slug}/callback",
    )


def client_of(
    source: type[Provider],
    environment: str = "",
    *,
    limits: Limits = _LIMITS,
    in_transaction: bool = False,
) -> Client:
    """A client of its API; to be closed after use.

    It refuses to call while a transaction is open, unless `in_transaction` says so.
    SyncError("provider_not_configured") when the operator says an address that nobody may call.
    """
    base_url = base_url_of(source, environment)
    wiring = Wiring(
        allow_hosts=frozenset({urlsplit(base_url).netloc} if settings.SANDBOX else ()),
        before_call=_before_call(source, in_transaction=in_transaction),
    )
    try:
        return Client(base_url, provider=source.slug, brake=BRAKE, limits=limits, wiring=wiring)
    except Refused as refusal:
        raise SyncError("provider_not_configured", reason=refusal.reason) from None


@contextmanager
def opened(
    source: type[Provider],
    credentials: Credentials,
    *,
    environment: str = "",
    renew: Callable[[Credentials], Credentials | None] | None = None,
) -> Iterator[Provider]:
    """The provider, signed in; its connections to the outside end with the block."""
    with client_of(source, environment) as client:
        api = SignedApi(
            client, templates=source.request_headers, credentials=credentials, renew=renew
        )
        yield source(api, environment=environment)


def credentials_of(connection: Connection) -> dict[str, Secret]:
    """Open what is sealed. SyncError when it cannot be opened, or was given by another world."""
    if connection.is_sandbox != settings.SANDBOX:
        raise SyncError("credentials_invalid", reason="other_world")
    try:
        return connection.open()
    except VaultError:
        raise SyncError("credentials_decryption_failed") from None


def _before_call(source: type[Provider], *, in_transaction: bool) -> Callable[[], None] | None:
    """What stands before each call: no transaction is open, and the provider has had its pause."""
    if in_transaction:
        return None
    # The workers share what one installation may ask; the bank in the box takes any pace.
    whole = None if settings.SANDBOX else source.calls_per_minute
    if whole is None:
        return _refuse_in_transaction
    share = whole / settings.Q_CLUSTER["workers"]

    def wait_outside_transactions() -> None:
        _refuse_in_transaction()
        PACE.wait(source.slug, share)

    return wait_outside_transactions


def _refuse_in_transaction() -> None:
    # The blocks that a test case wraps around everything are no transactions of ours.
    if any(not getattr(block, "_from_testcase", False) for block in db_connection.atomic_blocks):
        raise RuntimeError("A provider is not called while a transaction is open.")
