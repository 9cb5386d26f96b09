"""How people come in: what allauth asks the project about, and who asks."""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from allauth.account.internal.userkit import filter_users_by_email
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from dashtam import devices
from dashtam.models import User

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Whether strangers may sign up, and what is told of sign-ins, good and bad."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether a stranger may make an account here."""
        return bool(settings.SIGN_UP_OPEN)

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        """The answer to a sign-in whose every step is done; the device is remembered and told."""
        response: HttpResponse = super().post_login(request, user, **kwargs)
        devices.arrived(request, response, user, is_new=kwargs["signup"])
        return response

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Tell a wrong password to whom it concerns."""
        people = filter_users_by_email(credentials.get("email", ""), prefer_verified=True)
        devices.failed(request, people[0] if people else None)

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Write to a person what changed. That the mail server is away undoes nothing."""
        try:
            super().send_notification_mail(*args, **kwargs)
        except OSError:
            logger.exception("A letter about a change could not be sent.")

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """The ways to prove oneself again, in our words, the one to ask for first in front."""
        words = {
            "reauthenticate": _("Use your password"),
            "mfa_reauthenticate:webauthn": _("Use a passkey"),
            "mfa_reauthenticate": _("Use a code"),
        }
        ways = {one["id"]: one for one in super().get_reauthentication_methods(user)}
        return [{**ways[way], "description": said} for way, said in words.items() if way in ways]


def signed_in(request: HttpRequest) -> User:
    """The person who asks; PermissionDenied for nobody, which the login rule lets no view see."""
    if isinstance(request.user, User):
        return request.user
    raise PermissionDenied


def prove_again(request: HttpRequest) -> None:
    """Before something sensitive: lead to the page of proving oneself, unless that was done lately.

    Raises what allauth's middleware turns into that page; the request is taken up again after it.
    """
    raise_if_reauthentication_required(request, app="")
