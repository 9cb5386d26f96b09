"""How people come in: what allauth asks the project about, and who asks."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from dashtam.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Sign-up is open or closed by the operator's SIGN_UP_OPEN."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether a stranger may make an account here."""
        return bool(settings.SIGN_UP_OPEN)


def signed_in(request: HttpRequest) -> User:
    """The person who asks; PermissionDenied for nobody, which the login rule lets no view see."""
    if isinstance(request.user, User):
        return request.user
    raise PermissionDenied
