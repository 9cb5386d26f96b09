"""The pages of one connection: how it is, reading it anew, and what became of its syncs."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from connections import commands
from connections.errors import RecentlySynced, SyncError, SyncInProgress
from connections.forms import PART_FORMS, NameForm
from connections.history import (
    attention,
    health_of,
    is_fetched,
    last_change,
    latest_lines,
    outcome_of,
    page_of_syncs,
    progress_of,
)
from connections.models import Connection, Sync
from connections.provider import provider
from connections.retrying import open_count
from connections.templatetags.reasons import problem_sentence, provider_name
from connections.types import StepKind
from dashtam.people import signed_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from django import forms
    from django.http import HttpRequest, HttpResponse

    from connections.models import ConnectionQuerySet
    from dashtam.models import User

    Parts = dict[str, forms.Form]


@require_safe
def connection(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One connection: its state, its accounts, and what can be done with it."""
    found = get_object_or_404(_mine(request), pk=pk)
    if "HX-Request" in request.headers:
        return render(request, "connections/_connection_live.html", _live(found, is_part=True))
    return _page(request, found)


@require_POST
def rename(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give a connection a name of the person's own."""
    found = get_object_or_404(_mine(request), pk=pk)
    form = NameForm(request.POST, instance=found)
    if not form.is_valid():
        return _page(request, found, form=form)
    Connection.objects.filter(pk=found.pk).update(alias=form.cleaned_data["alias"])
    messages.success(request, gettext("The name was saved."))
    return redirect("connections:detail", pk)


@require_POST
def sync(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Read the connection anew; pressed twice, it runs once."""
    found = _readable(request, pk)
    user, is_forced = signed_in(request), "force" in request.POST
    try:
        commands.sync_connection(user, found.pk, force=is_forced)
    except SyncError as problem:
        _say(request, found, problem)
    return redirect("connections:detail", pk)


@require_POST
def read_part(request: HttpRequest, pk: UUID, kind: str) -> HttpResponse:
    """Read only accounts, transactions or holdings; what is wrong is told at its field."""
    if kind not in COMMANDS:
        raise Http404
    found = _readable(request, pk)
    form_class = next(one for one in PART_FORMS if one.kind == kind)
    form = form_class(request.POST, connection=found)
    if form.is_valid():
        try:
            COMMANDS[kind](signed_in(request), found, form.cleaned_data)
            return redirect("connections:detail", pk)
        except RecentlySynced as skip:
            form.add_error(None, _wait_words(skip))
            return _page(request, found, parts={kind: form}, anyway=kind)
        except SyncError as problem:
            _say(request, found, problem)
            return redirect("connections:detail", pk)
    return _page(request, found, parts={kind: form})


@require_safe
def syncs(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Every sync of a connection, newest first."""
    found = get_object_or_404(_mine(request), pk=pk)
    page, lines = page_of_syncs(found, request.GET.get("page", ""))
    context = {"connection": found, "page": page, "lines": lines}
    return render(request, "connections/sync_list.html", context)


@require_safe
def one_sync(request: HttpRequest, pk: UUID, sync_pk: UUID) -> HttpResponse:
    """One sync: its steps, what could not be read, and what it changed."""
    own = Sync.objects.for_user(signed_in(request)).select_related("connection", "user")
    found = get_object_or_404(own, pk=sync_pk, connection_id=pk)
    part = "HX-Request" in request.headers
    template = "connections/_sync.html" if part else "connections/sync_detail.html"
    context = {"sync": found, "connection": found.connection, "outcome": outcome_of(found)}
    return render(request, template, context)


@require_safe
def attention_part(request: HttpRequest) -> HttpResponse:
    """The connections and rows that a person should look at, as a part of other pages."""
    user = signed_in(request)
    context = {"attention": attention(user), "unreadable": open_count(user)}
    return render(request, "connections/_attention.html", context)


def _accounts(user: User, connection: Connection, asked: dict[str, Any]) -> Sync:
    return commands.sync_accounts(user, connection.pk, force=asked["force"])


def _transactions(user: User, connection: Connection, asked: dict[str, Any]) -> Sync:
    account = asked["account"]
    return commands.sync_transactions(
        user,
        connection.pk,
        start_date=asked["start_date"],
        end_date=asked["end_date"],
        account_id=account.pk if account else None,
        force=asked["force"],
    )


def _holdings(user: User, connection: Connection, asked: dict[str, Any]) -> Sync:
    return commands.sync_holdings(user, asked["account"].pk, force=asked["force"])


COMMANDS: dict[str, Callable[[User, Connection, dict[str, Any]], Sync]] = {
    StepKind.ACCOUNTS: _accounts,
    StepKind.TRANSACTIONS: _transactions,
    StepKind.HOLDINGS: _holdings,
}


def _page(
    request: HttpRequest,
    found: Connection,
    *,
    form: NameForm | None = None,
    parts: Parts | None = None,
    anyway: str = "",
) -> HttpResponse:
    """The whole page, with what was wrong in one of its forms."""
    asked = parts or {}
    context = {
        **_live(found),
        "form": form or NameForm(instance=found),
        "parts": _part_forms(found) | asked,
        "is_asking": bool(asked),
        "anyway": anyway,
    }
    is_wrong = bool(form or asked)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_wrong else HTTPStatus.OK
    return render(request, "connections/connection_detail.html", context, status=status)


def _live(found: Connection, *, is_part: bool = False) -> dict[str, Any]:
    """What changes while one looks at it."""
    accounts = list(found.accounts.order_by("-is_active", "name", "id"))
    lines = latest_lines(found, accounts)
    last_sync = lines[0].sync if lines else None
    progress = progress_of(last_sync) if last_sync else None
    return {
        "connection": found,
        "health": health_of(found, accounts),
        "rows": [(one, progress.parts.get(one.pk) if progress else None) for one in accounts],
        "lines": lines,
        "last": lines[0] if lines else None,
        "progress": progress,
        "last_change": last_change(found),
        "is_part": is_part,
    }


def _part_forms(found: Connection) -> Parts:
    """The parts that can be read alone: nothing of what is not fetched or does not work."""
    if not is_fetched(found):
        return {}
    told = provider(found.provider_slug).capabilities
    return {one.kind: one(connection=found) for one in PART_FORMS if str(one.kind) in told}


def _readable(request: HttpRequest, pk: UUID) -> Connection:
    found = get_object_or_404(_mine(request).living(), pk=pk)
    if not is_fetched(found):
        raise Http404
    return found


def _say(request: HttpRequest, connection: Connection, problem: SyncError) -> None:
    """Tell why nothing is read now: a skip calmly, another reading with the way to it."""
    if isinstance(problem, RecentlySynced):
        messages.info(request, _wait_words(problem))
        return
    words = problem_sentence(problem, provider_name(connection))
    if not isinstance(problem, SyncInProgress) or problem.sync_id is None:
        messages.error(request, words)
        return
    address = reverse("connections:one-sync", args=[connection.pk, problem.sync_id])
    see = gettext("See how far it is")
    messages.info(request, format_html('{} <a href="{}">{}</a>', words, address, see))


def _wait_words(skip: RecentlySynced) -> str:
    minutes = -(-skip.seconds // 60)
    words = gettext(
        "This was read moments ago, so there can hardly be anything new. It can be read again in "
        "%(minutes)s min, or at once if you say so."
    )
    return words % {"minutes": minutes}


def _mine(request: HttpRequest) -> ConnectionQuerySet:
    return Connection.objects.for_user(signed_in(request)).select_related("user")
