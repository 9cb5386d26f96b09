"""The bank in the box in the place of every provider, and alice signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from connections.auth import OAuth2
from connections.provider import Provider, _registry
from connections.sandbox.bank import Bank

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client

    from dashtam.models import User


@pytest.fixture
def bank(settings: Any) -> Iterator[Bank]:
    """Serves every provider; nothing outside is reached."""
    with Bank(size=50) as served:
        settings.SANDBOX, settings.SANDBOX_URL = True, served.url
        settings.PROVIDERS, settings.PUBLIC_URL = {}, "http://localhost:8000"
        yield served


@pytest.fixture
def browser(client: Client, alice: User) -> Client:
    """Alice's browser."""
    client.force_login(alice)
    return client


@pytest.fixture
def strict(bank: Bank) -> Iterator[type[Provider]]:
    """A provider that speaks PKCE and says who it is when it sends a person back."""

    class Strict(Provider):
        slug = "strict_bank"
        name = "Strict Bank"
        auth = OAuth2(
            authorize_path="/authorize", token_path="/token", issuer="https://strict.test"
        )
        base_urls = {"production": "https://strict.test"}
        request_headers = {"Authorization": "Bearer {access_token}"}

        def check(self) -> None:
            """Believe it."""

    yield Strict
    del _registry[Strict.slug]
