"""The pages of signing in that are our own: devices, and both ends of a foreign sign-in."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from allauth.account.models import Login
from allauth.account.utils import get_next_redirect_url
from allauth.mfa.webauthn.internal.flows import perform_passwordless_login
from allauth.mfa.webauthn.views import LoginWebAuthnView
from allauth.socialaccount.providers.openid_connect import views as openid
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from dashtam import devices as places
from dashtam.people import signed_in
from dashtam.single_sign_on import NONSENSE

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

# More digits than any number of ours has.
MAX_DIGITS = 18

logger = logging.getLogger(__name__)


@require_safe
def devices(request: HttpRequest) -> HttpResponse:
    """Where the person is signed in, this place first."""
    here = request.session.session_key
    rows = [
        {
            "session": one,
            "words": places.device_words(one.user_agent),
            "is_handheld": places.is_handheld(one.user_agent),
            "is_here": one.session_key == here,
        }
        for one in places.sessions_of(signed_in(request))
    ]
    rows.sort(key=lambda row: not row["is_here"])
    context = {"rows": rows, "others": sum(not row["is_here"] for row in rows)}
    return render(request, "pages/devices.html", context)


@require_POST
def end_device(request: HttpRequest) -> HttpResponse:
    """Sign out one other place."""
    user = signed_in(request)
    number = request.POST.get("session", "")
    others = UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key)
    is_number = number.isdecimal() and len(number) < MAX_DIGITS
    found = get_object_or_404(others, pk=int(number) if is_number else 0)
    places.end_sessions(request, user, [found])
    words = gettext("%(device)s is signed out.")
    messages.success(request, words % {"device": places.device_words(found.user_agent)})
    return redirect("devices")


@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    count = places.end_other_sessions(request, signed_in(request))
    words = ngettext("%(count)d device is signed out.", "%(count)d devices are signed out.", count)
    messages.success(request, words % {"count": count})
    return redirect("devices")


class PasskeySignIn(LoginWebAuthnView):  # type: ignore[misc]
    """A sign-in by passkey that leads where the person wanted to go."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Sign in whose passkey it is."""
        authenticator = form.cleaned_data["credential"]
        login = Login(user=authenticator.user, redirect_url=get_next_redirect_url(self.request))
        response: HttpResponse = perform_passwordless_login(self.request, authenticator, login)
        return response


by_passkey = PasskeySignIn.as_view()


@login_not_required
def to_single_sign_on(request: HttpRequest, provider_id: str) -> HttpResponse:
    """A page that asks, then one that leads to the operator's server.

    Not a redirect: form-action holds for every address that a form's answer redirects to.
    """
    try:
        response: HttpResponse = openid.login(request, provider_id)
    except NONSENSE as problem:
        return _sign_on_failed(request, problem)
    if not isinstance(response, HttpResponseRedirect) or not urlsplit(response.url).netloc:
        return response
    context = {"address": response.url, "name": settings.OIDC_NAME}
    page = render(request, "pages/to_single_sign_on.html", context)
    page["Refresh"] = f"0; url={response.url}"
    return page


@login_not_required
def from_single_sign_on(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Back from the operator's server."""
    try:
        response: HttpResponse = openid.callback(request, provider_id)
    except NONSENSE as problem:
        return _sign_on_failed(request, problem)
    return response


def _sign_on_failed(request: HttpRequest, problem: Exception) -> HttpResponse:
    # The kind alone: the server's answer may carry what is nobody's business.
    logger.warning("Single sign-on failed: %s", type(problem).__name__)
    template = "socialaccount/authentication_error.html"
    return render(request, template, status=HTTPStatus.BAD_GATEWAY)
