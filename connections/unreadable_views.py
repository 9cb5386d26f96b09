"""The rows that could not be read: looked at, tried again, dismissed with a reason, taken back."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from connections import retrying
from connections.forms import DismissForm
from connections.models import QuarantinedRecord, Sync
from connections.templatetags.syncs import number
from connections.types import Resolution
from dashtam.people import signed_in
from dashtam.text import display_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http import HttpRequest, HttpResponse

    from connections.retrying import Asked
    from connections.set_aside import QuarantineQuerySet

PAGE_SIZE = 50
# What the lists show; a row told again later is shown once, as it was told last.
LISTS = {
    "open": Q(resolved_at=None),
    "dismissed": Q(resolution=Resolution.DISMISSED),
    "settled": Q(resolution__in=[Resolution.READ, Resolution.OUTDATED]),
}


@require_safe
def rows(request: HttpRequest) -> HttpResponse:
    """A person's unreadable rows, of everything or of one sync or import."""
    return _page(request)


@require_POST
def retry(request: HttpRequest) -> HttpResponse:
    """Try all open rows again, or those of one sync."""
    return _tried(request, _chosen(request))


@require_POST
def retry_one(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Try a row again, with those that came with it."""
    return _tried(request, _one(request, pk))


@require_POST
def dismiss(request: HttpRequest) -> HttpResponse:
    """Dismiss all open rows, or those of one sync, for a reason."""
    return _dismissed(request, _chosen(request), "all")


@require_POST
def dismiss_one(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Dismiss a row for a reason."""
    return _dismissed(request, _one(request, pk), str(pk))


@require_POST
def reopen(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Have a dismissed row wait again."""
    if retrying.reopen(_one(request, pk)):
        messages.success(request, gettext("The row waits again."))
    return _back(request)


def _tried(request: HttpRequest, chosen: QuarantineQuerySet) -> HttpResponse:
    for message, tell in _told(retrying.retry(chosen)):
        tell(request, message)
    return _back(request)


def _told(asked: Asked) -> Iterator[tuple[str, Callable[[HttpRequest, str], None]]]:
    if asked.rows:
        words = ngettext(
            "%(rows)s row is being tried again.", "%(rows)s rows are being tried again.", asked.rows
        )
        yield words % {"rows": number(asked.rows)}, messages.success
    for connection in asked.busy:
        words = gettext("%(name)s is being read right now. Try again when that is done.")
        yield words % {"name": display_text(connection.title)}, messages.info
    if not asked.rows and not asked.busy:
        words = gettext("There was nothing to try: the rows are settled, or of no account.")
        yield words, messages.info


def _dismissed(request: HttpRequest, chosen: QuarantineQuerySet, name: str) -> HttpResponse:
    form = DismissForm(request.POST, auto_id=f"id_{name}_%s")
    if not form.is_valid():
        return _page(request, wrong={name: form})
    count = retrying.dismiss(chosen, form.cleaned_data["note"])
    words = ngettext("%(rows)s row was dismissed.", "%(rows)s rows were dismissed.", count)
    messages.success(request, words % {"rows": number(count)})
    return _back(request)


def _page(request: HttpRequest, wrong: dict[str, DismissForm] | None = None) -> HttpResponse:
    asked = request.POST or request.GET
    name = asked.get("list", "open")
    if name not in LISTS:
        raise Http404
    mine, sync = _mine(request), _sync(request)
    counts = mine.aggregate(**{one: Count("pk", filter=which) for one, which in LISTS.items()})
    found = mine.filter(LISTS[name]).select_related(
        "step__account", "step__sync__connection", "retry"
    )
    page = Paginator(found.order_by("-created_at", "-id"), PAGE_SIZE).get_page(asked.get("page"))
    wrong = wrong or {}
    context = {
        "list": name,
        "sync": sync,
        "counts": counts,
        "page": page,
        "rows": [(row, wrong.get(str(row.pk)) or _form(row)) for row in page.object_list],
        "all_form": wrong.get("all") or DismissForm(auto_id="id_all_%s"),
        "is_wrong": bool(wrong),
        "is_trying": any(row.is_tried for row in page.object_list),
    }
    template = "_unreadable.html" if "HX-Request" in request.headers else "unreadable_list.html"
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    return render(request, f"connections/{template}", context, status=status)


def _form(row: QuarantinedRecord) -> DismissForm:
    return DismissForm(auto_id=f"id_{row.pk}_%s")


def _mine(request: HttpRequest) -> QuarantineQuerySet:
    """The person's rows, those of one sync where the page is about one."""
    own = QuarantinedRecord.objects.for_user(signed_in(request))
    sync = _sync(request)
    return own.filter(step__sync=sync) if sync else own


def _chosen(request: HttpRequest) -> QuarantineQuerySet:
    return _mine(request).open()


def _one(request: HttpRequest, pk: UUID) -> QuarantineQuerySet:
    own = QuarantinedRecord.objects.for_user(signed_in(request))
    get_object_or_404(own, pk=pk)
    return own.filter(pk=pk)


def _sync(request: HttpRequest) -> Sync | None:
    """The sync that the page is about; 404 for somebody else's."""
    wanted = (request.POST or request.GET).get("sync")
    if not wanted:
        return None
    try:
        pk = UUID(wanted)
    except ValueError:
        raise Http404 from None
    own = Sync.objects.for_user(signed_in(request)).select_related("connection")
    return get_object_or_404(own, pk=pk)


def _back(request: HttpRequest) -> HttpResponse:
    kept = {name: request.POST[name] for name in ("sync", "list") if request.POST.get(name)}
    address = reverse("connections:unreadable")
    return redirect(f"{address}?{urlencode(kept)}" if kept else address)
