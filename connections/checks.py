"""System checks: the sandbox kept away from real addresses, and settings of providers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning, register

from connections.provider import Provider, fetched_providers, missing_settings
from dashtam.http import Refused
from dashtam.http.addresses import split_base

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@register()
def check_sandbox(**_: Any) -> list[CheckMessage]:
    """Refuse the bank in the box on an address that is not this machine's own."""
    address = urlsplit(settings.PUBLIC_URL)
    is_local = address.scheme == "http" and address.hostname in LOCAL_HOSTS
    wrong = [] if is_local else [f"PUBLIC_URL is {settings.PUBLIC_URL}"]
    if settings.HOST not in LOCAL_HOSTS:
        wrong.append(f"HOST is {settings.HOST or 'every interface'}")
    if not settings.SANDBOX or not wrong:
        return []
    return [
        Error(
            f"SANDBOX is on, but {' and '.join(wrong)}: "
            "people would take invented money for theirs.",
            hint="Take SANDBOX out of the environment.",
            id="connections.E001",
        )
    ]


@register()
def check_providers(**_: Any) -> list[CheckMessage]:
    """Name what is wrong with the settings of providers that the operator has begun to set up."""
    found = [_address_problem(source) for source in fetched_providers()]
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


def _address_problem(source: type[Provider]) -> CheckMessage | None:
    try:
        for environment in ("", *source.base_urls):
            split_base(source.base_url(settings.PROVIDERS, environment), frozenset())
    except ValueError as problem:
        return Error(str(problem), id="connections.E002")
    except Refused as refusal:
        words = f"{source.name} cannot be called as {source.slug.upper()}_BASE_URL says: {refusal}."
        return Error(words, id="connections.E002")
    return None
