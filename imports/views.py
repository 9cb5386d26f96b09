"""Bringing a statement file: choose, look, confirm, watch, and take back."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import Account
from connections.errors import SyncError
from connections.models import QuarantinedRecord
from connections.types import Resolution
from dashtam.people import signed_in
from imports import services, undoing
from imports.formats.reader import MAX_BYTES, MAX_MEGABYTES
from imports.formats.types import StatementRefused
from imports.forms import StatementForm
from imports.mapping import Signs
from imports.models import StatementFile
from imports.preview import SHOWN_UNREADABLE
from imports.templatetags.sentences import refusal_sentence
from imports.types import StatementStatus
from imports.uploads import TOO_LARGE

if TYPE_CHECKING:
    from dashtam.models import User

HISTORY_PAGE = 25
# What is no statement at all is 415; a statement that cannot be read is 422.
NOT_A_STATEMENT = frozenset(
    {"empty_file", "not_a_statement", "html_page", "archive", "pdf", "spreadsheet"}
)

# What is said by what was discarded.
DISCARDED = {
    StatementStatus.PREVIEWED: _("The file was discarded. Nothing was imported."),
    StatementStatus.FAILED: _("The failed import was removed. What it had saved stays."),
    None: _("The file was not removed: its import has begun or is done."),
}


@require_http_methods(["GET", "HEAD", "POST"])
def statements(request: HttpRequest) -> HttpResponse:
    """The drop zone and the files so far; a POST reads one file and leads to its preview."""
    if request.method != "POST":
        return show(request, StatementForm())
    form = StatementForm(request.POST, request.FILES)
    if TOO_LARGE in request.META:
        return refused(request, form, StatementRefused("too_large", limit=str(MAX_MEGABYTES)))
    if not form.is_valid():
        return show(request, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    upload = form.cleaned_data["statement"]
    try:
        found = services.preview_upload(
            signed_in(request), file_name=upload.name, data=upload.read()
        )
    except StatementRefused as refusal:
        return refused(request, form, refusal)
    return go_to(request, found)


def refused(request: HttpRequest, form: StatementForm, refusal: StatementRefused) -> HttpResponse:
    """The form again, with what is wrong with the file and what to do."""
    if refusal.code == "too_large":
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    elif refusal.code in NOT_A_STATEMENT:
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    else:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    return show(request, form, status=status, refusal=refusal)


def show(
    request: HttpRequest,
    form: StatementForm,
    *,
    status: int = HTTPStatus.OK,
    refusal: StatementRefused | None = None,
) -> HttpResponse:
    """The page of the drop zone."""
    history = StatementFile.objects.for_user(signed_in(request)).for_history()
    page = Paginator(history, HISTORY_PAGE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "refusal": refusal,
        "page": page,
        "limit_bytes": MAX_BYTES,
        "limit": MAX_MEGABYTES,
    }
    return render(request, "imports/statement_list.html", context, status=status)


def go_to(request: HttpRequest, statement: StatementFile) -> HttpResponse:
    """To the file's own page; a file known already says since when."""
    if statement.status == StatementStatus.IMPORTED:
        messages.info(request, gettext("This file was imported before. Nothing was changed."))
    response = redirect("imports:statement", statement.pk)
    return HttpResponseClientRedirect(response.url) if "HX-Request" in request.headers else response


@require_safe
def statement(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One file, whatever became of it; its live part alone when htmx asks."""
    user = signed_in(request)
    found = get_object_or_404(StatementFile.objects.for_user(user).for_history(), pk=pk)
    part = "HX-Request" in request.headers
    template = "imports/_statement.html" if part else "imports/statement_detail.html"
    is_done = found.status in (StatementStatus.IMPORTED, StatementStatus.UNDONE)
    context = result_of(user, found.sync_id) if is_done and found.sync_id else {}
    can_undo = undoing.can_undo(found)
    return render(request, template, {"statement": found, "can_undo": can_undo, **context})


def result_of(user: User, sync_id: UUID) -> dict[str, Any]:
    """An imported file's accounts, and its rows that could not be read."""
    kept = QuarantinedRecord.objects.for_user(user).filter(step__sync_id=sync_id)
    quarantine = kept.exclude(resolution=Resolution.UNDONE).select_related("step__account")
    return {
        "accounts": Account.objects.for_user(user).filter(steps__sync_id=sync_id).distinct(),
        "quarantine": quarantine.order_by("created_at")[:SHOWN_UNREADABLE],
    }


@require_POST
def confirm(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Import a file that was looked at."""
    found = get_object_or_404(StatementFile.objects.for_user(signed_in(request)).light(), pk=pk)
    try:
        services.confirm(found)
    except (StatementRefused, SyncError) as refusal:
        messages.error(request, refusal_sentence(refusal.code, refusal.params))
    return redirect("imports:statement", pk)


@require_POST
def discard(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Forget a file that was only looked at, or an import that failed."""
    found = get_object_or_404(StatementFile.objects.for_user(signed_in(request)).light(), pk=pk)
    discarded = services.discard(found)
    tell = messages.success if discarded else messages.info
    tell(request, DISCARDED[discarded])
    return redirect("imports:list")


@require_POST
def signs(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Look at a file again with a card's rows or balance the other way round."""
    found = get_object_or_404(StatementFile.objects.for_user(signed_in(request)), pk=pk)
    chosen = Signs(
        rows_turned="rows_turned" in request.POST,
        balance_turned="balance_turned" in request.POST,
    )
    try:
        services.turn_signs(found, request.POST.get("account", ""), chosen)
    except StatementRefused as refusal:
        messages.error(request, refusal_sentence(refusal.code, refusal.params))
    return redirect("imports:statement", pk)


@require_http_methods(["GET", "HEAD", "POST"])
def undo(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What taking an import back does; a POST has it done."""
    user = signed_in(request)
    found = get_object_or_404(StatementFile.objects.for_user(user).for_history(), pk=pk)
    if request.method == "POST":
        return undone(request, found)
    if not undoing.can_undo(found):
        return redirect("imports:statement", pk)
    plan = undoing.plan_of(found)
    return render(request, "imports/statement_undo.html", {"statement": found, "plan": plan})


def undone(request: HttpRequest, found: StatementFile) -> HttpResponse:
    """Have an import taken back; to its own page, which says how far it is."""
    try:
        undoing.request(found, signed_in(request))
    except (StatementRefused, SyncError) as refusal:
        code = "undo_in_progress" if refusal.code == "sync_in_progress" else refusal.code
        messages.error(request, refusal_sentence(code, refusal.params))
    return redirect("imports:statement", found.pk)
