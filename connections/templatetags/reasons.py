"""Human words for a connection's state, for what went wrong, and for what providers are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import template
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from connections.auth import ApiKey
from connections.errors import NeedsReauthentication
from connections.provider import UnknownProvider, provider
from connections.types import Category, ConnectionStatus

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    from connections.errors import SyncError
    from connections.models import Connection, Sync

register = template.Library()

CATEGORIES = {
    Category.BROKERAGE: _("Brokers"),
    Category.BANK: _("Banks"),
    Category.CRYPTO: _("Crypto"),
    Category.RETIREMENT: _("Retirement"),
    Category.INVESTMENT: _("Investments"),
    Category.OTHER: _("Anything else"),
}
ICONS = {
    Category.BROKERAGE: "chart-candlestick",
    Category.BANK: "landmark",
    Category.CRYPTO: "coins",
    Category.RETIREMENT: "piggy-bank",
    Category.INVESTMENT: "trending-up",
}
LABELS = {
    ConnectionStatus.PENDING: _("Not finished"),
    ConnectionStatus.ACTIVE: _("Connected"),
    ConnectionStatus.EXPIRED: _("Sign in again"),
    ConnectionStatus.REVOKED: _("Sign in again"),
    ConnectionStatus.FAILED: _("Not connected"),
    ConnectionStatus.DISCONNECTED: _("Disconnected"),
}
TONES = {
    ConnectionStatus.PENDING: "warning",
    ConnectionStatus.ACTIVE: "good",
    ConnectionStatus.EXPIRED: "bad",
    ConnectionStatus.REVOKED: "bad",
    ConnectionStatus.FAILED: "bad",
}
# By (status, reason), then by status alone.
SENTENCES = {
    (ConnectionStatus.EXPIRED, "consent_ended"): _(
        "%(name)s ends every consent after a while, and yours has ended. Sign in again to go on."
    ),
    (ConnectionStatus.EXPIRED, "refresh_refused"): _(
        "%(name)s no longer accepts the sign-in. Sign in again to go on."
    ),
    (ConnectionStatus.EXPIRED, "refresh_interrupted"): _(
        "Renewing the sign-in at %(name)s was cut off, and the old one no longer works. "
        "Sign in again to go on."
    ),
    (ConnectionStatus.EXPIRED, ""): _(
        "%(name)s no longer accepts the sign-in. Sign in again to go on."
    ),
    (ConnectionStatus.REVOKED, ""): _(
        "The consent was withdrawn at %(name)s. Sign in again if that was not meant to be."
    ),
    (ConnectionStatus.FAILED, ""): _("%(name)s did not let us in. Try to sign in again."),
    (ConnectionStatus.PENDING, ""): _(
        "You have signed in, but %(name)s did not answer afterwards. Try again: nothing is lost."
    ),
    (ConnectionStatus.DISCONNECTED, ""): _(
        "The sign-in has been destroyed. What was fetched is kept as history."
    ),
}
PROBLEMS = {
    "provider_authentication_failed": _("%(name)s did not accept this sign-in."),
    "provider_rate_limited": _(
        "%(name)s asks us to wait. Nothing is lost: try again in some minutes."
    ),
    "provider_unavailable": _(
        "%(name)s does not answer at the moment. Nothing is lost: try again in some minutes."
    ),
    "provider_invalid_response": _(
        "%(name)s answered something that cannot be read. Tell whoever runs this server."
    ),
    "provider_not_configured": _(
        "This server is not set up for %(name)s. Tell whoever runs it: the keys it was given "
        "by %(name)s are missing or are not accepted."
    ),
    "provider_disabled": _("%(name)s is switched off on this server. Ask whoever runs it."),
    "connection_not_active": _(
        "This connection to %(name)s does not work any more: it was disconnected, or you have to "
        "sign in again."
    ),
    "credentials_invalid": _("This sign-in was made for another world (sandbox or real)."),
    "credentials_decryption_failed": _(
        "The sign-in could not be opened: the server's keys have changed. Sign in again, and tell "
        "whoever runs this server."
    ),
}
UNKNOWN_PROBLEM = _("Something went wrong on our side. Try again.")
REFUSED_RETURNS = {
    "denied": _("You said no at %(name)s, so nothing was connected. Nothing was saved either."),
    "provider_error": _("%(name)s sent you back without letting us in. Try again."),
    "state_unknown": _(
        "This way back was not opened by you here, was used before, or took more than ten minutes. "
        "For your safety nothing was done with it."
    ),
    "stranger": _(
        "You are not signed in here, so this way back belongs to nobody. Sign in and start again."
    ),
    "code_used": _("This way back was used before. For your safety nothing was done with it."),
}
UNUSABLE_RETURN = _(
    "What came back from %(name)s is not what should have come. For your safety nothing was done "
    "with it."
)


@register.filter
def sync_sentence(sync: Sync) -> str:
    """What went wrong with a sync that failed, and what to do."""
    words = PROBLEMS.get(sync.error_code, UNKNOWN_PROBLEM)
    return words % {"name": provider_name(sync.connection)}


@register.filter
def provider_name(connection: Connection) -> str:
    """What the provider is called; its slug when the code no longer knows it."""
    try:
        return provider(connection.provider_slug).name
    except UnknownProvider:
        return connection.provider_slug


@register.filter
def status_label(connection: Connection) -> StrPromise:
    """The state in two words."""
    return LABELS[ConnectionStatus(connection.status)]


@register.filter
def status_tone(connection: Connection) -> str:
    """The colour of the state: good, warning, bad or none."""
    return TONES.get(ConnectionStatus(connection.status), "")


@register.filter
def status_sentence(connection: Connection) -> str:
    """The state with its reason and what to do; nothing while all is well."""
    status = ConnectionStatus(connection.status)
    reason = (status, connection.status_reason)
    sentence = SENTENCES.get(reason) or SENTENCES.get((status, ""))
    return sentence % {"name": provider_name(connection)} if sentence else ""


@register.filter
def environment_label(connection: Connection) -> str:
    """Which of the provider's worlds it is of; empty when there is only one."""
    try:
        auth = provider(connection.provider_slug).auth
    except UnknownProvider:
        return connection.environment
    found = auth.environment(connection.environment) if isinstance(auth, ApiKey) else None
    return gettext(found.label) if found else ""


@register.filter
def translated(text: str) -> str:
    """A text that a provider's module marked, in the person's language."""
    return gettext(text) if text else ""


@register.filter
def category_label(category: str) -> StrPromise:
    """What a category's providers are."""
    return CATEGORIES[Category(category)]


@register.filter
def category_icon(category: str) -> str:
    """The icon of a category."""
    return ICONS.get(Category(category), "file-text")


@register.filter
def return_sentence(code: str, name: str) -> str:
    """Why a way back from a provider was not accepted."""
    return REFUSED_RETURNS.get(code, UNUSABLE_RETURN) % {"name": name}


def problem_sentence(problem: SyncError, name: str) -> str:
    """What went wrong with a provider, and what to do."""
    if isinstance(problem, NeedsReauthentication) and problem.reason == "grant_refused":
        return gettext("%(name)s no longer accepts this way back. Start again.") % {"name": name}
    return PROBLEMS.get(problem.code, UNKNOWN_PROBLEM) % {"name": name}
