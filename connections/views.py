"""The pages around connections: what there is, connecting by each kind of sign-in, the end."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
    require_safe,
)

from connections import connecting, consent
from connections.auth import ApiKey
from connections.errors import NeedsReauthentication, NotConfigured, SyncError
from connections.forms import DisconnectForm, KeyForm
from connections.history import healths
from connections.models import Connection
from connections.provider import UnknownProvider, oauth_providers, provider, providers
from connections.reach import check_usable, disabled_slugs, missing_of
from connections.services import sync_now
from connections.templatetags.reasons import problem_sentence, provider_name
from connections.types import AuthType, Category, ConnectionStatus, SyncTrigger
from dashtam.models import User
from dashtam.people import prove_again, signed_in
from dashtam.text import display_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from connections.auth import SignIn
    from connections.models import ConnectionQuerySet
    from connections.provider import Provider


@dataclass(frozen=True, slots=True)
class Card:
    """A provider as pages show it: a template would take the class itself for something to call."""

    slug: str
    name: str
    category: Category
    auth: SignIn
    reads_files: bool
    missing: tuple[str, ...]
    is_off: bool = False


def card_of(source: type[Provider], *, is_off: bool = False) -> Card:
    """The provider's card."""
    return Card(
        slug=source.slug,
        name=source.name,
        category=source.category,
        auth=source.auth,
        reads_files=source.reads_files,
        missing=missing_of(source),
        is_off=is_off,
    )


@require_safe
def connections(request: HttpRequest) -> HttpResponse:
    """Every connection, those that need the person first."""
    found = healths(signed_in(request))
    living = [one for one in found if one.connection.status != ConnectionStatus.DISCONNECTED]
    groups = {
        "waiting": [one for one in living if one.connection.needs_person],
        "working": [one for one in living if not one.connection.needs_person],
        "ended": [one for one in found if one not in living],
    }
    return render(request, "connections/connection_list.html", groups)


@require_safe
def catalogue(request: HttpRequest) -> HttpResponse:
    """Every provider that can be connected, by category."""
    return _catalogue(request)


def _catalogue(request: HttpRequest, *, unknown: str = "") -> HttpResponse:
    off = disabled_slugs()
    cards = [card_of(one, is_off=one.slug in off) for one in providers() if one.auth.is_offered]
    shelves = [(each, [card for card in cards if card.category == each]) for each in Category]
    context = {
        "shelves": [(category, found) for category, found in shelves if found],
        "unknown": unknown,
        "is_sandbox": settings.SANDBOX,
    }
    status = HTTPStatus.NOT_FOUND if unknown else HTTPStatus.OK
    return render(request, "connections/catalogue.html", context, status=status)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest, slug: str) -> HttpResponse:
    """Connect a provider in the way of its sign-in."""
    try:
        source = provider(slug)
    except UnknownProvider:
        return _catalogue(request, unknown=slug)
    if not source.auth.is_offered:
        return _catalogue(request, unknown=slug)
    return _connect(request, source, None)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def reconnect(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Sign in again, for a connection that is there: its accounts and history stay."""
    connection = get_object_or_404(_mine(request).living(), pk=pk)
    return _connect(request, _source_of(connection), connection)


def _connect(
    request: HttpRequest, source: type[Provider], reconnecting: Connection | None
) -> HttpResponse:
    try:
        check_usable(source)
    except SyncError as problem:
        context = {"source": card_of(source)}
        unset = isinstance(problem, NotConfigured)
        status = HTTPStatus.NOT_IMPLEMENTED if unset else HTTPStatus.FORBIDDEN
        return render(request, "connections/unavailable.html", context, status=status)
    return WAYS[source.auth.auth_type](request, source, reconnecting)


def by_files(
    request: HttpRequest, source: type[Provider], reconnecting: Connection | None
) -> HttpResponse:
    """Files are brought on the page of imports."""
    return redirect("imports:list")


def by_consent(
    request: HttpRequest, source: type[Provider], reconnecting: Connection | None
) -> HttpResponse:
    """A page that says what will happen; its button leads to the provider's own page."""
    if request.method != "POST":
        return _connect_page(request, source, reconnecting)
    session_key = request.session.session_key or ""
    try:
        address = consent.begin(signed_in(request), session_key, source, reconnecting)
    except SyncError as problem:
        messages.error(request, problem_sentence(problem, source.name))
        return redirect("connections:add")
    context = {"source": card_of(source), "address": address, "host": urlsplit(address).netloc}
    response = render(request, "connections/leave.html", context)
    # Not a redirect: form-action holds for every address that a form's answer redirects to, and
    # who knows through how many a provider leads.
    response["Refresh"] = f"0; url={address}"
    return response


@sensitive_variables("form")
def by_key(
    request: HttpRequest, source: type[Provider], reconnecting: Connection | None
) -> HttpResponse:
    """A form for keys; they are tried before they are kept."""
    if not isinstance(source.auth, ApiKey):
        raise TypeError(f"{source.name} has no sign-in by key.")
    if request.method != "POST":
        return _connect_page(request, source, reconnecting, KeyForm(auth=source.auth))
    form = KeyForm(request.POST, auth=source.auth)
    if form.is_valid():
        connection = _try_keys(request, source, form, reconnecting)
        if connection:
            return _connected(request, connection)
    return _connect_page(request, source, reconnecting, form)


@sensitive_variables("form", "credentials")
def _try_keys(
    request: HttpRequest, source: type[Provider], form: KeyForm, reconnecting: Connection | None
) -> Connection | None:
    credentials, environment = form.credentials(), form.environment()
    try:
        return connecting.connect_by_key(
            signed_in(request),
            source,
            credentials,
            environment=environment,
            reconnecting=reconnecting,
        )
    except NeedsReauthentication:
        other = connecting.other_environment(source, credentials, environment)
        if other:
            words = gettext("These keys are not for this one: they belong to “%(other)s”.")
            form.add_error("environment", words % {"other": gettext(other.label)})
        else:
            words = gettext("%(name)s does not accept these keys. Copy both of them again.")
            form.add_error(None, words % {"name": source.name})
    except SyncError as problem:
        form.add_error(None, problem_sentence(problem, source.name))
    return None


def _connect_page(
    request: HttpRequest,
    source: type[Provider],
    reconnecting: Connection | None,
    form: KeyForm | None = None,
) -> HttpResponse:
    context = {
        "source": card_of(source),
        "form": form,
        "reconnecting": reconnecting,
        "way": f"connections/_connect_{source.auth.auth_type}.html",
        "is_sandbox": settings.SANDBOX,
        "sandbox_keys": f"{settings.SANDBOX_URL}/{source.slug}/keys",
    }
    wrong = form is not None and form.is_bound
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    return render(request, "connections/connect.html", context, status=status)


# Which view takes a person in, by the kind of sign-in.
WAYS: dict[AuthType, Callable[[HttpRequest, type[Provider], Connection | None], HttpResponse]] = {
    AuthType.OAUTH: by_consent,
    AuthType.API_KEY: by_key,
    AuthType.FILE_IMPORT: by_files,
}


@login_not_required
@require_GET
@sensitive_variables()
def oauth_callback(request: HttpRequest, slug: str) -> HttpResponse:
    """Back from the provider's own page. What does not fit is 400, and no token is asked for."""
    source = next((one for one in oauth_providers() if one.slug == slug), None)
    if source is None:
        raise Http404
    if not isinstance(request.user, User):
        return _refused_return(request, source, "stranger")
    session_key, came = request.session.session_key or "", dict(request.GET.lists())
    try:
        connection = consent.finish(request.user, session_key, source, came)
    except consent.CallbackRefused as refusal:
        return _refused_return(request, source, refusal.code)
    except SyncError as problem:
        messages.error(request, problem_sentence(problem, source.name))
        return redirect("connections:list")
    return _connected(request, connection)


def _refused_return(request: HttpRequest, source: type[Provider], code: str) -> HttpResponse:
    context = {"source": card_of(source), "code": code}
    return render(
        request, "connections/callback_refused.html", context, status=HTTPStatus.BAD_REQUEST
    )


def _connected(request: HttpRequest, connection: Connection) -> HttpResponse:
    words = gettext("%(name)s is connected.") % {"name": display_text(connection.title)}
    messages.success(request, words)
    try:
        sync_now(connection, SyncTrigger.INITIAL)
    except SyncError as problem:
        messages.error(request, problem_sentence(problem, provider_name(connection)))
    return redirect("connections:detail", connection.pk)


@require_POST
def complete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Try again to finish a connection whose provider did not answer after the sign-in."""
    pending = get_object_or_404(_mine(request).filter(status=ConnectionStatus.PENDING), pk=pk)
    source = _source_of(pending)
    try:
        return _connected(request, connecting.complete(pending))
    except SyncError as problem:
        messages.error(request, problem_sentence(problem, source.name))
    if not _mine(request).filter(pk=pk).exists():
        return redirect("connections:list")
    return redirect("connections:detail", pk)


@require_POST
def disconnect(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Destroy the sign-in, and what was fetched too if the person says so."""
    found = get_object_or_404(_mine(request).living(), pk=pk)
    form = DisconnectForm(request.POST)
    if not form.is_valid():
        messages.error(request, gettext("Choose what should become of the data."))
        return redirect("connections:detail", pk)
    keep_data = form.cleaned_data["fetched"] == "keep"
    if not keep_data:
        prove_again(request)
    connecting.disconnect(found, keep_data=keep_data)
    messages.success(
        request, gettext("%(name)s is disconnected.") % {"name": display_text(found.title)}
    )
    return redirect("connections:list")


def _mine(request: HttpRequest) -> ConnectionQuerySet:
    return Connection.objects.for_user(signed_in(request))


def _source_of(connection: Connection) -> type[Provider]:
    try:
        return provider(connection.provider_slug)
    except UnknownProvider as unknown:
        raise Http404 from unknown
