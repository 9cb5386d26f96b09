"""What a person does, step by step, without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

if TYPE_CHECKING:
    from uuid import UUID

    from django.test import Client

    from connections.models import Connection
    from connections.sandbox.bank import Bank

OAUTH, KEYS = "schwab", "alpaca"
CALLBACK = f"/oauth/{OAUTH}/callback"
TOKENS = f"/{OAUTH}/v1/oauth/token"


class _Stay(HTTPRedirectHandler):
    """Shows where a redirect leads instead of going there."""

    def http_error_302(self, request: Any, response: Any, *_rest: Any) -> Any:
        return response


def set_out(browser: Client, *, reconnecting: UUID | None = None) -> str:
    """Press the button that leads to the provider; returns its address."""
    place = f"{reconnecting}/reconnect" if reconnecting else f"add/{OAUTH}"
    response = browser.post(f"/connections/{place}/")
    assert response.status_code == 200
    return str(response.context["address"])


def agree(bank: Bank, address: str, *, person: str = "sam", decision: str = "allow") -> str:
    """Answer the provider's consent page; returns the query the person comes back with."""
    found = bank.people.person(person)
    assert found
    ticked = [("account", account.hash_value) for account in found.schwab]
    form = [*parse_qsl(urlsplit(address).query), ("person", person), ("decision", decision)]
    request = Request(address.partition("?")[0], urlencode([*form, *ticked]).encode())  # noqa: S310
    with build_opener(_Stay).open(request) as response:
        return str(urlsplit(response.headers["Location"]).query)


def connect(browser: Client, bank: Bank, *, person: str = "sam") -> Connection:
    """The whole way through the consent page; returns the connection."""
    query = agree(bank, set_out(browser), person=person)
    response = browser.get(f"{CALLBACK}?{query}", follow=True)
    assert response.status_code == 200
    found: Connection = response.context["connection"]
    return found


def keys(bank: Bank, *, person: str = "sam", environment: str = "paper") -> dict[str, str]:
    """The keys that a person copies from the provider's page, as the form takes them."""
    found = bank.people.person(person)
    assert found
    account = next(one for one in found.alpaca if one.environment == environment)
    return {"environment": environment, "api_key": account.key_id, "api_secret": account.secret}


def send_keys(browser: Client, filled: dict[str, str], *, slug: str = KEYS) -> Any:
    """Send the form with keys."""
    return browser.post(f"/connections/add/{slug}/", filled)


def token_requests(bank: Bank) -> int:
    """How many times tokens were asked for."""
    return sum(one.path == TOKENS for one in bank.requests)
