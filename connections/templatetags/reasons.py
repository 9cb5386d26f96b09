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
from dashtam.templatetags.money import ago, day
from dashtam.text import display_text

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    from accounts.models import Account
    from connections.errors import SyncError
    from connections.history import Health
    from connections.models import Connection, Sync, SyncStep

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
    (ConnectionStatus.EXPIRED, "credentials_refused"): _(
        "%(name)s no longer accepts what was signed in with: it was changed, or taken back there. "
        "Sign in again to go on."
    ),
    (ConnectionStatus.EXPIRED, "wrong_environment"): _(
        "%(name)s says that these keys belong to another of its environments. Sign in again with "
        "those for this one."
    ),
    (ConnectionStatus.EXPIRED, ""): _(
        "%(name)s no longer accepts the sign-in. Sign in again to go on."
    ),
    (ConnectionStatus.REVOKED, ""): _(
        "The consent was withdrawn at %(name)s. Sign in again if that was not meant to be."
    ),
    (ConnectionStatus.FAILED, "credentials_refused"): _(
        "You came back from %(name)s, but it did not let us in afterwards. Sign in once more."
    ),
    (ConnectionStatus.FAILED, "wrong_environment"): _(
        "%(name)s says that these keys belong to another of its environments. Sign in again with "
        "those for this one."
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
    "provider_authentication_failed": _("%(name)s did not accept this sign-in. Sign in again."),
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
    "credentials_invalid": _(
        "This sign-in was made for another world (sandbox or real). Sign in again."
    ),
    "credentials_decryption_failed": _(
        "The sign-in could not be opened: the server's keys have changed. Sign in again, and tell "
        "whoever runs this server."
    ),
    "connection_not_found": _("There is no such connection any more."),
    "not_owned_by_user": _("There is no such connection any more."),
    "account_not_found": _("There is no such account any more. Choose another one."),
    "account_not_owned_by_connection": _(
        "This account belongs to another connection. Read it from there."
    ),
    "no_accounts": _(
        "There is no account at %(name)s to read. Read accounts and balances first; if there are "
        "still none, sign in again and include one."
    ),
    "bad_dates": _("The last day is before the first. Turn them round."),
    "recently_synced": _("This was read moments ago, so there can hardly be anything new."),
    "sync_in_progress": _(
        "Something else is being read from %(name)s right now. Try again when that is done."
    ),
    "not_fetched": _("%(name)s is not read by itself: its figures come with files."),
    "already_disconnected": _("This connection is disconnected already."),
    "gave_up": _(
        "Reading was begun several times and never came to its end. Nothing that was saved is "
        "lost. Tell whoever runs this server."
    ),
    "internal_error": _(
        "Something went wrong on our side. Nothing that was saved is lost. Try again, and tell "
        "whoever runs this server if it happens once more."
    ),
}
ENDING = _(
    "%(name)s lets us in until %(day)s. Sign in again before that, and nothing is interrupted."
)
UNREAD = _("The last good reading was %(since)s, so what you see is older than it should be.")
NEVER_READ = _("It was connected %(since)s, and nothing has been read since.")
OLD = _(
    "Reading works, but %(name)s itself tells figures as of %(day)s for at least one account. Look "
    "there whether they are right."
)
MISSING = _(
    "%(name)s has not told of “%(account)s” since %(day)s. If you closed it, all is well: its "
    "history stays. If not, sign in again and include it."
)
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
    return code_sentence(sync.error_code, provider_name(sync.connection))


@register.filter
def step_sentence(step: SyncStep) -> str:
    """Why one account could not be read, and what to do."""
    return code_sentence(step.error_code, provider_name(step.sync.connection))


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
def concerns(health: Health) -> list[str]:
    """What a person should know of a connection and what to do, each in a sentence or two."""
    connection = health.connection
    words = {"name": provider_name(connection)}
    found = [status_sentence(connection)] if connection.needs_person else []
    if health.is_ending:
        told = {**words, "day": day(connection.credentials_expires_at)}
        found.append(str(ENDING) % told)
    if health.is_unread:
        sentence = UNREAD if connection.last_sync_at else NEVER_READ
        since = connection.last_sync_at or connection.connected_at
        found.append(str(sentence) % {**words, "since": ago(since)})
    elif health.is_old:
        found.append(str(OLD) % {**words, "day": day(health.data_as_of)})
    return [*found, *(_missing(account, words) for account in health.missing)]


def _missing(account: Account, words: dict[str, str]) -> str:
    told = {**words, "account": display_text(account.title), "day": day(account.missing_since)}
    return str(MISSING) % told


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
    return code_sentence(problem.code, name)


def code_sentence(code: str, name: str) -> str:
    """What an outcome code says of the provider of this name."""
    return PROBLEMS.get(code, UNKNOWN_PROBLEM) % {"name": name}
