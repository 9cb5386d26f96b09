"""What the system checks say of the sandbox and of providers' settings."""

import pytest
from django.core.checks import run_checks
from django.core.management.base import CommandError

from connections.checks import check_providers, check_sandbox, check_unset_providers
from dashtam.management.commands import up


def ids(messages) -> list[str]:
    return [message.id for message in messages]


def test_the_sandbox_is_refused_on_a_public_address(settings):
    settings.SANDBOX, settings.PUBLIC_URL = True, "https://money.example"
    assert ids(check_sandbox()) == ["connections.E001"]


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.168.0.7"])
def test_the_sandbox_is_refused_to_a_network(settings, host):
    settings.SANDBOX, settings.PUBLIC_URL = True, "http://localhost:8000"
    settings.HOST = host
    assert ids(check_sandbox()) == ["connections.E001"]
    with pytest.raises(CommandError, match="HOST is"):
        up.check_sandbox()


@pytest.mark.parametrize(
    ("sandbox", "url"), [(True, "http://localhost:8000"), (False, "https://money.example")]
)
def test_otherwise_it_is_nobodys_business(settings, sandbox, url):
    settings.SANDBOX, settings.PUBLIC_URL = sandbox, url
    assert check_sandbox() == []


def test_a_provider_set_up_by_half_is_a_warning(settings):
    settings.PROVIDERS = {"SCHWAB_CLIENT_ID": "x"}
    assert [message.msg for message in check_providers()] == [
        "Charles Schwab is set up by half: SCHWAB_CLIENT_SECRET missing."
    ]


def test_an_environment_that_does_not_exist_is_an_error(settings):
    settings.PROVIDERS = {"ALPACA_ENVIRONMENT": "moon"}
    assert ids(check_providers()) == ["connections.E002"]


@pytest.mark.parametrize("url", ["http://192.168.0.1", "https://localhost", "https://a.test:1"])
def test_an_address_that_may_not_be_called_is_an_error(settings, url):
    settings.PROVIDERS = {"ALPACA_BASE_URL": url}
    assert ids(check_providers()) == ["connections.E002"]
    assert "ALPACA_BASE_URL" in check_providers()[0].msg


def test_a_provider_nobody_set_up_is_only_told_when_asked(settings):
    settings.PROVIDERS = {}
    assert check_providers() == []
    assert "SCHWAB_CLIENT_ID, SCHWAB_CLIENT_SECRET" in check_unset_providers()[0].msg


def test_they_are_among_the_checks_that_run(settings):
    settings.SANDBOX, settings.PUBLIC_URL = True, "https://money.example"
    assert "connections.E001" in ids(run_checks())
