"""The transactions page."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashtam.people import signed_in
from transactions.forms import TransactionFilters
from transactions.models import Transaction, TransactionPage

if TYPE_CHECKING:
    from transactions.models import Cursor

PAGE_SIZE = 50
CURSOR_SALT = "transactions.page"


@require_safe
def transactions(request: HttpRequest) -> HttpResponse:
    """One page of the person's transactions, newest first, narrowed by the filters."""
    user = signed_in(request)
    form = TransactionFilters(user, data=request.GET)
    form.is_valid()  # a wrong filter is told beside its field, and narrows nothing
    rows = Transaction.objects.for_user(user).listed()
    page = (
        rows.matching(form.cleaned_data)
        .select_related("account", "edit")
        .page(
            PAGE_SIZE,
            older_than=read_cursor(request.GET.get("older", "")),
            newer_than=read_cursor(request.GET.get("newer", "")),
        )
    )
    context = {"form": form, "page": page, **links(request, page)}
    return render(request, "transactions/transaction_list.html", context)


def links(request: HttpRequest, page: TransactionPage) -> dict[str, str]:
    """The query strings of the pages beside this one, empty at the ends."""
    return {
        "newer": link(request, "newer", page.rows[0]) if page.rows and page.has_newer else "",
        "older": link(request, "older", page.rows[-1]) if page.rows and page.has_older else "",
    }


def link(request: HttpRequest, direction: str, row: Transaction) -> str:
    """The query string of the page that begins beside this row, with the same filters."""
    query = request.GET.copy()
    query.pop("older", None)
    query.pop("newer", None)
    place = [row.transaction_date.isoformat(), str(row.pk)]
    query[direction] = signing.dumps(place, salt=CURSOR_SALT)
    return query.urlencode()


def read_cursor(text: str) -> Cursor | None:
    """Where a page begins; None (the first page) for a cursor that is not ours."""
    try:
        day, row = signing.loads(text, salt=CURSOR_SALT)
    except signing.BadSignature:
        return None
    return date.fromisoformat(day), UUID(row)
