"""The operators' pages on people and events, and the read-only page all bank data shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db import models
from django.utils.translation import gettext_lazy as _

from dashtam.models import Event, User

if TYPE_CHECKING:
    from django.http import HttpRequest

_M = TypeVar("_M", bound=models.Model)


class ReadOnlyAdmin(admin.ModelAdmin[_M]):
    """Shows rows that only a sync, an import or the person may change."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds bank data by hand here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes what a bank said."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes single rows: a person deletes their account, or undoes an import."""
        return False


@admin.register(User)
class PersonAdmin(UserAdmin[User]):  # type: ignore[type-var]
    """People who sign in with an e-mail address."""

    ordering = ("email",)
    search_fields = ("email",)
    list_display = ("email", "is_active", "is_staff", "last_login", "created_at")
    list_filter = ("is_active", "is_staff")
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (_("Preferences"), {"fields": ("base_currency", "time_zone")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        (_("Dates"), {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)
    filter_horizontal = ("groups",)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin[Event]):
    """What happened, for every person."""

    list_display = ("occurred_at", "user", "sequence", "name", "category", "is_audit")
    list_filter = ("category", "is_audit", "name")
    search_fields = ("name", "user__email", "request_id")
    list_select_related = ("user",)
    ordering = ("-occurred_at",)


for _theirs in (Authenticator, UserSession, SocialApp, SocialToken):
    # Seeds, session keys and tokens are nobody's to see; the server is named in the settings.
    admin.site.unregister(_theirs)


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyAdmin[Authenticator]):
    """Second factors: an operator may take one away from somebody who lost it, and see no more."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__email",)
    ordering = ("-created_at",)
    fields = ("user", "type", "created_at", "last_used_at")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this operator may, by the permissions they were given."""
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(UserSession)
class SessionAdmin(ReadOnlyAdmin[UserSession]):
    """Where people are signed in; without what signs one in."""

    list_display = ("user", "ip", "user_agent", "created_at", "last_seen_at")
    list_select_related = ("user",)
    search_fields = ("user__email", "ip")
    ordering = ("-last_seen_at",)
    fields = ("user", "ip", "user_agent", "created_at", "last_seen_at")
