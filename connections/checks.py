"""System checks: the sandbox kept away from real addresses, and settings of providers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning, register

from connections.provider import Provider, fetched_providers, missing_settings

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@register()
def check_sandbox(**_: Any) -> list[CheckMessage]:
    """Refuse the bank in the box on an address that is not this machine's own."""
    address = urlsplit(settings.PUBLIC_URL)
    if not settings.SANDBOX or (address.scheme == "http" and address.hostname in LOCAL_HOSTS):
        return []
    return [
        Error(
            f"SANDBOX is on, but PUBLIC_URL is {settings.PUBLIC_URL}: "
            "people would take invented money for theirs.",
            hint="Take SANDBOX out of the environment.",
            id="connections.E001",
        )
    ]


@register()
def check_providers(**_: Any) -> list[CheckMessage]:
    """Name what is wrong with the settings of providers that the operator has begun to set up."""
    found = [_environment_problem(source) for source in fetched_providers()]
    found += [_half_set(source) for source in fetched_providers()]
    return [one for one in found if one]


@register(deploy=True)
def check_unset_providers(**_: Any) -> list[CheckMessage]:
    """Say which providers nobody can connect here, and what they would need."""
    return [
        Info(f"{source.name} is not set up: {', '.join(missing)} missing.", id="connections.I001")
        for source in fetched_providers()
        if (missing := missing_settings(source, settings.PROVIDERS))
    ]


def _half_set(source: type[Provider]) -> CheckMessage | None:
    missing = missing_settings(source, settings.PROVIDERS)
    if not missing or len(missing) == len(source.settings):
        return None
    words = f"{source.name} is set up by half: {', '.join(missing)} missing."
    return Warning(words, id="connections.W001")


def _environment_problem(source: type[Provider]) -> CheckMessage | None:
    try:
        source.base_url(settings.PROVIDERS)
    except ValueError as problem:
        return Error(str(problem), id="connections.E002")
    return None
