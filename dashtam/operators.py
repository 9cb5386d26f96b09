"""The door of the admin: staff alone, and with a second factor where the operator asks for it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from allauth.account.utils import get_next_redirect_url
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache

from dashtam.models import User
from dashtam.second_factors import used_second_factor

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


def may_operate(request: HttpRequest) -> bool:
    """Whether this session may see the admin."""
    user = request.user
    if not (isinstance(user, User) and user.is_active and user.is_staff):
        return False
    return not settings.ADMIN_NEEDS_SECOND_FACTOR or used_second_factor(request)


@login_not_required
@never_cache
def door(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """Where the admin sends whom it does not let in: to the sign-in, or to what is missing."""
    next_url = get_next_redirect_url(request) or reverse("admin:index")
    if not isinstance(request.user, User):
        return redirect_to_login(next_url)
    if not request.user.is_staff:
        raise PermissionDenied
    if may_operate(request):
        return redirect(next_url)
    return _ask_for_factor(request, request.user, next_url)


def _ask_for_factor(request: HttpRequest, user: User, next_url: str) -> HttpResponse:
    if is_mfa_enabled(user, [Authenticator.Type.WEBAUTHN]):
        way = "mfa_reauthenticate_webauthn"
    elif is_mfa_enabled(user):
        way = "mfa_reauthenticate"
    else:
        template = "pages/second_factor_needed.html"
        return render(request, template, status=HTTPStatus.FORBIDDEN)
    return redirect(f"{reverse(way)}?{urlencode({'next': next_url})}")
