"""What the registry answers, and what a provider needs before it can be used."""

from __future__ import annotations

from datetime import date

import pytest

from connections import provider as registry
from connections.errors import AccountUnknown, NotConfigured, RateLimited, Retryable
from connections.provider import Provider, missing_settings, provider, require_settings
from connections.types import AuthType, Category
from tests.factories import account_data
from tests.providers.recorded import Wire


def slugs(found):
    return [one.slug for one in found]


def test_it_lists_all_and_those_of_a_kind():
    assert slugs(registry.providers()) == [
        "alpaca",
        "chase_file",
        "manual",
        "schwab",
        "statement_file",
    ]
    assert slugs(registry.fetched_providers()) == ["alpaca", "schwab"]
    assert slugs(registry.oauth_providers()) == ["schwab"]
    assert slugs(registry.providers_of(Category.BROKERAGE)) == ["alpaca", "schwab"]
    assert slugs(registry.providers_of(Category.CRYPTO)) == []


def test_it_counts_by_category():
    counts = registry.provider_counts()
    assert counts == {Category.BROKERAGE: 2, Category.BANK: 1, Category.OTHER: 2}
    assert sum(counts.values()) == len(registry.providers())


def test_what_is_signed_in_to_on_its_own_pages_is_oauth():
    assert provider("schwab").auth.auth_type == AuthType.OAUTH


def test_missing_settings_are_named():
    given = {"SCHWAB_CLIENT_ID": "x", "SCHWAB_CLIENT_SECRET": ""}
    assert missing_settings(provider("schwab"), given) == ("SCHWAB_CLIENT_SECRET",)
    with pytest.raises(NotConfigured, match=r"Charles Schwab needs .*: SCHWAB_CLIENT_SECRET"):
        require_settings(provider("schwab"), given)


def test_a_provider_that_has_its_settings_can_be_used():
    given = {"SCHWAB_CLIENT_ID": "x", "SCHWAB_CLIENT_SECRET": "y"}
    require_settings(provider("schwab"), given)
    require_settings(provider("alpaca"), {})


@pytest.mark.parametrize(
    ("settings", "environment", "url"),
    [
        ({}, "", "https://paper-api.alpaca.markets"),
        ({}, "live", "https://api.alpaca.markets"),
        ({"ALPACA_ENVIRONMENT": "live"}, "", "https://api.alpaca.markets"),
        ({"ALPACA_ENVIRONMENT": "live"}, "paper", "https://paper-api.alpaca.markets"),
        (
            {"ALPACA_BASE_URL": "http://localhost:1/a/{environment}/"},
            "",
            "http://localhost:1/a/paper",
        ),
    ],
)
def test_where_to_call_is_the_connections_the_operators_or_the_usual(settings, environment, url):
    assert provider("alpaca").base_url(settings, environment) == url


def test_an_environment_nobody_knows_lists_those_there_are():
    with pytest.raises(ValueError, match=r"Alpaca has no environment 'moon'.*paper, live"):
        provider("alpaca").base_url({}, "moon")


def test_a_provider_is_in_its_usual_environment_unless_told():
    assert provider("alpaca")(Wire({})).environment == "paper"
    assert provider("alpaca")(Wire({}), environment="live").environment == "live"
    assert provider("manual")(Wire({})).environment == ""


def test_a_provider_that_tells_nothing_has_nothing_to_tell():
    source, house = provider("manual")(Wire({})), account_data()
    assert list(source.transactions(house, None, date(2026, 6, 1))) == []
    assert list(source.holdings(house)) == []
    for call in (source.check, source.accounts):
        with pytest.raises(NotImplementedError):
            call()


def test_slugs_are_written_in_one_way():
    assert all(one.slug.isidentifier() and one.slug.islower() for one in registry.providers())


def test_errors_carry_their_outcome_codes():
    assert Retryable().code == "provider_unavailable"
    assert RateLimited().code == "provider_rate_limited"
    assert AccountUnknown().code == "provider_invalid_response"
    assert isinstance(RateLimited(), Retryable)


def test_a_class_is_registered_by_being_declared(monkeypatch):
    monkeypatch.setattr(registry, "_registry", dict(registry._registry))
    declared = type("Brand", (Provider,), {"slug": "brand_new"})
    assert provider("brand_new") is declared
