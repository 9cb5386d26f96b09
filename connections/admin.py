"""The operators' pages on providers, connections, syncs and quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from connections.models import Connection, ProviderSetting, QuarantinedRecord, Sync, SyncStep
from connections.provider import provider, providers
from connections.reach import missing_of
from connections.types import ConnectionStatus, SyncStatus
from dashtam.admin import ReadOnlyAdmin

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from connections.provider import Provider


@admin.register(ProviderSetting)
class ProviderSettingAdmin(admin.ModelAdmin[ProviderSetting]):
    """The registry in code, with each provider's switch beside it."""

    list_display = (
        "name",
        "slug",
        "category",
        "sign_in",
        "capabilities",
        "missing_settings",
        "connection_count",
        "failed_syncs",
        "enabled",
    )
    list_editable = ("enabled",)
    list_display_links = None
    search_fields = ("slug",)
    readonly_fields = ("slug",)
    ordering = ("slug",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderSetting]:
        """Only providers that the code still has, with how much they are used."""
        living = Connection.objects.exclude(status=ConnectionStatus.DISCONNECTED)
        failed = Sync.objects.filter(status=SyncStatus.FAILED)
        return (
            super()
            .get_queryset(request)
            .filter(slug__in=[one.slug for one in providers()])
            .annotate(
                connections=_count_of(living, "provider_slug"),
                failures=_count_of(failed, "connection__provider_slug"),
            )
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A provider is added in code."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """A provider is removed in code."""
        return False

    @admin.display(description=_("name"))
    def name(self, row: ProviderSetting) -> str:
        """What people call it."""
        return _provider(row).name

    @admin.display(description=_("category"))
    def category(self, row: ProviderSetting) -> str:
        """What kind of business it is."""
        return _provider(row).category

    @admin.display(description=_("sign-in"))
    def sign_in(self, row: ProviderSetting) -> str:
        """How a person lets us in."""
        return _provider(row).auth.auth_type

    @admin.display(description=_("tells"))
    def capabilities(self, row: ProviderSetting) -> str:
        """What it can tell."""
        return ", ".join(sorted(_provider(row).capabilities))

    @admin.display(description=_("missing settings"))
    def missing_settings(self, row: ProviderSetting) -> str:
        """Required settings that have no value."""
        return ", ".join(missing_of(_provider(row))) or "–"

    @admin.display(description=_("connections"), ordering="connections")
    def connection_count(self, row: ProviderSetting) -> int:
        """How many connections it has that are not disconnected."""
        count: int = row.connections  # type: ignore[attr-defined]
        return count

    @admin.display(description=_("failed syncs"), ordering="failures")
    def failed_syncs(self, row: ProviderSetting) -> int:
        """How many of its syncs ended in failure."""
        count: int = row.failures  # type: ignore[attr-defined]
        return count


def _count_of(rows: QuerySet[Any], slug: str) -> Coalesce:
    counted = (
        rows.filter(**{slug: OuterRef("slug")}).order_by().values(slug).annotate(n=Count("pk"))
    )
    return Coalesce(Subquery(counted.values("n")), 0)


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin[Connection]):
    """Everybody's connections; what is sealed is never shown."""

    list_display = ("__str__", "provider_slug", "status", "status_reason", "last_sync_at", "user")
    list_filter = ("status", "provider_slug")
    search_fields = ("alias", "institution_name", "user__email")
    list_select_related = ("user",)
    exclude = ("cursor",)
    ordering = ("-created_at",)


class StepInline(admin.TabularInline[SyncStep, Sync]):
    """What became of each kind of rows."""

    model = SyncStep
    extra = 0
    can_delete = False
    fields = (
        "kind",
        "account",
        "status",
        "fetched",
        "created",
        "updated",
        "unchanged",
        "ignored",
        "quarantined",
        "cancelled",
        "deactivated",
        "error_code",
    )
    readonly_fields = fields


@admin.register(Sync)
class SyncAdmin(ReadOnlyAdmin[Sync]):
    """Every sync with its steps."""

    list_display = (
        "requested_at",
        "connection",
        "trigger",
        "status",
        "attempt",
        "error_code",
        "finished_at",
        "user",
    )
    list_filter = ("status", "trigger")
    search_fields = ("error_code", "connection__institution_name", "user__email")
    list_select_related = ("connection", "user")
    ordering = ("-requested_at",)
    inlines = (StepInline,)


@admin.register(QuarantinedRecord)
class QuarantinedRecordAdmin(ReadOnlyAdmin[QuarantinedRecord]):
    """Rows that could not be read; the row itself stays sealed."""

    list_display = ("created_at", "reason", "provider_id", "resolution", "user")
    list_filter = ("reason", "resolution")
    search_fields = ("reason", "provider_id", "user__email")
    list_select_related = ("user",)
    ordering = ("-created_at",)


def _provider(row: ProviderSetting) -> type[Provider]:
    return provider(row.slug)
