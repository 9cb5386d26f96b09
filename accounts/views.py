"""The list of accounts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Account
from accounts.services import grouped
from accounts.twins import suggestions
from dashtam.people import signed_in


@require_safe
def accounts(request: HttpRequest) -> HttpResponse:
    """Every account of the person, by what it is for; the list alone when htmx asks."""
    user = signed_in(request)
    own = list(Account.objects.for_user(user).for_dashboard().select_related("connection"))
    part = "HX-Request" in request.headers
    template = "accounts/_account_list.html" if part else "accounts/account_list.html"
    context = {"groups": grouped(own), "suggestions": suggestions(user, own)}
    return render(request, template, context)
