"""Single sign-on: the one server of the settings, and how far it is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from django.conf import settings

if TYPE_CHECKING:
    from allauth.socialaccount.models import SocialLogin
    from django.http import HttpRequest

# Part of the address that the server sends people back to.
PROVIDER_ID = "sso"
# What allauth lets through when a server answers something else than it should.
NONSENSE = (requests.RequestException, AttributeError, KeyError, TypeError, ValueError)


def is_configured() -> bool:
    """Whether the operator named a server, and what it knows us by."""
    return bool(settings.OIDC_SERVER_URL and settings.OIDC_CLIENT_ID)


class Session(requests.Session):
    """Asks the operator's server: encrypted (but for a server on this machine), never led away."""

    def request(self, method: Any, url: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """Send a request. RequestException for an address that may not be asked."""
        allowed = {"https", urlsplit(settings.OIDC_SERVER_URL).scheme}
        if urlsplit(str(url)).scheme not in allowed:
            raise requests.exceptions.InvalidURL("The server's addresses are not encrypted.")
        timeout = settings.SOCIALACCOUNT_REQUESTS_TIMEOUT
        return super().request(
            method, url, **{**kwargs, "timeout": timeout, "allow_redirects": False}
        )


class SingleSignOnAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Knows one server, from the settings, and believes it only what it says plainly."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """The server of the settings, when it is asked for; nothing from the database."""
        is_meant = provider in {None, PROVIDER_ID, "openid_connect"}
        return [_app()] if is_configured() and is_meant else []

    def get_requests_session(self) -> Session:
        """What asks the server."""
        return Session()

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Take an address for confirmed only when the server says so with a plain yes.

        Some send the text "false". Whatever is not confirmed gets our own code by e-mail.
        """
        for address in sociallogin.email_addresses:
            address.verified = address.verified is True


def _app() -> SocialApp:
    return SocialApp(
        provider="openid_connect",
        provider_id=PROVIDER_ID,
        name=settings.OIDC_NAME,
        client_id=settings.OIDC_CLIENT_ID,
        secret=settings.OIDC_CLIENT_SECRET,
        settings={"server_url": settings.OIDC_SERVER_URL},
    )
