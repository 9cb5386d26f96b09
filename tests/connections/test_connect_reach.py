"""Where providers are reached as the settings say, and what a bare one still connects."""

import pytest

from connections.auth import API_KEY, ApiKey, KeyField
from connections.connecting import connect_by_key, new_connection
from connections.errors import NotConfigured, SyncError
from connections.forms import KeyForm
from connections.provider import Provider, _registry, provider
from connections.reach import app_of, base_url_of, check_usable, client_of, oauth_of
from connections.types import Capability, ConnectionStatus
from dashtam.vault import Secret
from tests.connections.journeys import KEYS, OAUTH


@pytest.fixture
def bare():
    """A provider with one key, one world, and no accounts to tell."""

    class Bare(Provider):
        slug = "bare_bank"
        name = "Bare Bank"
        auth = ApiKey(fields=(KeyField(name="token", label="Token"),))
        capabilities = frozenset({Capability.TRANSACTIONS})
        base_urls = {"production": "https://bare.test"}
        request_headers = {"X-Token": "{token}"}

        def check(self) -> None:
            """Believe it."""

    yield Bare
    del _registry[Bare.slug]


@pytest.fixture
def real(settings):
    """No sandbox, and settings as an operator has them."""
    settings.SANDBOX = False
    settings.PROVIDERS = {"SCHWAB_CLIENT_ID": "id", "SCHWAB_CLIENT_SECRET": "secret"}
    settings.PUBLIC_URL = "https://money.example"
    return settings


def test_at_home_a_provider_is_where_it_says(real):
    assert base_url_of(provider(OAUTH)) == "https://api.schwabapi.com"
    assert base_url_of(provider(KEYS), "live") == "https://api.alpaca.markets"


def test_the_operator_may_say_where_it_is(real):
    real.PROVIDERS["SCHWAB_BASE_URL"] = "https://relay.example/schwab/"
    assert base_url_of(provider(OAUTH)) == "https://relay.example/schwab"


def test_the_way_back_is_exactly_what_was_registered(real):
    assert app_of(provider(OAUTH)).redirect_uri == "https://money.example/oauth/schwab/callback"
    real.PROVIDERS["SCHWAB_REDIRECT_URI"] = "https://127.0.0.1/here/"
    app = app_of(provider(OAUTH))
    assert (app.client_id, app.redirect_uri) == ("id", "https://127.0.0.1/here/")
    assert app.client_secret == Secret("secret")


@pytest.mark.django_db
def test_what_is_missing_is_named(real):
    del real.PROVIDERS["SCHWAB_CLIENT_SECRET"]
    with pytest.raises(NotConfigured, match="SCHWAB_CLIENT_SECRET"):
        check_usable(provider(OAUTH))


@pytest.mark.parametrize("url", ["http://127.0.0.1:8900/schwab", "https://localhost", "moon"])
def test_outside_the_sandbox_this_machine_is_not_called(real, url):
    real.PROVIDERS["SCHWAB_BASE_URL"] = url
    with pytest.raises(SyncError, match="provider_not_configured"):
        client_of(provider(OAUTH))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("slug", "named"),
    [(OAUTH, {"SCHWAB_ENVIRONMENT": "moon"}), (KEYS, {"ALPACA_BASE_URL": "http://192.168.0.1"})],
)
def test_an_address_that_cannot_be_is_said_on_the_page(browser, real, slug, named):
    real.PROVIDERS |= named
    filled = {"environment": "paper", "api_key": "PKX", "api_secret": "s"}
    response = browser.post(f"/connections/add/{slug}/", filled, follow=True)
    assert "This server is not set up for" in response.content.decode()


def test_only_oauth_has_an_oauth_sign_in():
    with pytest.raises(TypeError, match="Alpaca"):
        oauth_of(provider(KEYS))


def test_a_form_without_environments_asks_for_none(bare):
    form = KeyForm({"token": "t"}, auth=bare.auth)
    assert form.is_valid()
    assert (list(form.fields), form.environment()) == (["token"], "")


def test_a_provider_without_accounts_is_connected_without_a_login_key(alice, bank, bare):
    made = connect_by_key(alice, bare, {"token": Secret("t")})
    assert (made.status, made.provider_user_key) == (ConnectionStatus.ACTIVE, "")


def test_a_repair_of_a_login_nothing_is_known_of_stays_in_place(alice, bank, bare):
    made = connect_by_key(alice, bare, {"token": Secret("t")})
    again = connect_by_key(alice, bare, {"token": Secret("u")}, reconnecting=made)
    assert again.pk == made.pk
    assert again.open() == {"token": Secret("u")}


def test_a_sign_in_without_an_end_has_none(alice, bank, bare):
    assert new_connection(alice, bare).credentials_expires_at is None


def test_a_key_is_shown_as_it_is_typed_and_a_secret_is_not():
    form = KeyForm(auth=ApiKey(fields=(API_KEY, KeyField(name="s", label="S"))))
    assert 'type="text"' in str(form["api_key"])
    assert 'type="password"' in str(form["s"])
