"""The operators' pages on providers, connections, syncs and quarantine."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.template.response import TemplateResponse
from django.utils.timezone import now
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from connections.models import Connection, ProviderSetting, QuarantinedRecord, Sync, SyncStep
from connections.operators import AT_ONCE, OperatorAdmin, disconnect, run_again, sync_now
from connections.provider import provider, providers
from connections.reach import missing_of
from connections.retrying import retry
from connections.types import BROKEN, ConnectionStatus, SyncStatus

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from connections.provider import Provider

# A connection that should have been read so long ago waits for a worker, or for a defect's repair.
OVERDUE = timedelta(hours=1)


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


class YesFilter(admin.SimpleListFilter):
    """All rows, or those to which something applies."""

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Any]]:
        """One choice beside all."""
        return [("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the choice."""
        return queryset.filter(self.condition()) if self.value() == "yes" else queryset

    def condition(self) -> Q:
        """What has to apply."""
        raise NotImplementedError


class NeedsPerson(YesFilter):
    """Connections that only their people can make work."""

    title = _("needs its person")
    parameter_name = "needs_person"

    def condition(self) -> Q:
        """Not finished, or not working any more."""
        return Q(status__in=(ConnectionStatus.PENDING, *BROKEN))


class Overdue(YesFilter):
    """Connections that should have been read long ago."""

    title = _("overdue")
    parameter_name = "overdue"

    def condition(self) -> Q:
        """Planned for a time that has passed."""
        return Q(status=ConnectionStatus.ACTIVE, next_sync_at__lt=now() - OVERDUE)


@admin.register(Connection)
class ConnectionAdmin(OperatorAdmin[Connection]):
    """Everybody's connections; what is sealed is never shown."""

    list_display = (
        "__str__",
        "user",
        "status",
        "status_reason",
        "next_sync_at",
        "failure_count",
        "last_outcome",
        "last_sync_at",
        "provider_slug",
    )
    list_filter = ("status", NeedsPerson, Overdue, "provider_slug")
    search_fields = ("alias", "institution_name", "user__email")
    list_select_related = ("user",)
    exclude = ("cursor",)
    ordering = ("-created_at",)
    actions = ("sync_now", "disconnect")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        """With how the last sync of each went."""
        newest = Sync.objects.filter(connection=OuterRef("pk")).order_by("-requested_at")
        return (
            super()
            .get_queryset(request)
            .annotate(
                outcome=Subquery(newest.values("status")[:1]),
                outcome_code=Subquery(newest.values("error_code")[:1]),
            )
        )

    @admin.display(description=_("last sync"))
    def last_outcome(self, row: Connection) -> str:
        """How its last sync went, and why it failed."""
        outcome: str | None = row.outcome  # type: ignore[attr-defined]
        code: str | None = row.outcome_code  # type: ignore[attr-defined]
        if not outcome:
            return "–"
        label = str(dict(Sync._meta.get_field("status").flatchoices)[outcome])
        return f"{label}: {code}" if code else label

    @admin.action(description=_("Sync now"), permissions=["operate"])
    def sync_now(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        """Queue a sync of everything, however recent the last."""
        count = self.operate(request, queryset, "sync_now", sync_now)
        self.say_queued(request, count)

    @admin.action(description=_("Disconnect, keeping the data"), permissions=["operate"])
    def disconnect(
        self, request: HttpRequest, queryset: QuerySet[Connection]
    ) -> TemplateResponse | None:
        """Ask first, then destroy the sign-ins; what was fetched stays as history."""
        if request.POST.get("confirmed") != "yes":
            return self._confirm(request, queryset)
        count = self.operate(request, queryset, "disconnect", disconnect)
        if count:
            words = ngettext(
                "%(count)s connection is disconnected; its data are kept.",
                "%(count)s connections are disconnected; their data are kept.",
                count,
            )
            self.message_user(request, words % {"count": count}, messages.SUCCESS)
        return None

    def _confirm(self, request: HttpRequest, queryset: QuerySet[Connection]) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Disconnect, keeping the data"),
            "opts": self.opts,
            "rows": queryset[:AT_ONCE],
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
            "media": self.media,
        }
        return TemplateResponse(
            request, "admin/connections/connection/disconnect_confirmation.html", context
        )


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
class SyncAdmin(OperatorAdmin[Sync]):
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
    actions = ("run_again",)

    @admin.action(description=_("Run again"), permissions=["operate"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[Sync]) -> None:
        """Ask once more for what each was asked for."""
        count = self.operate(request, queryset, "run_again", run_again)
        self.say_queued(request, count)


@admin.register(QuarantinedRecord)
class QuarantinedRecordAdmin(OperatorAdmin[QuarantinedRecord]):
    """Rows that could not be read; the row itself stays sealed."""

    list_display = ("created_at", "reason", "provider_id", "times_told", "resolution", "user")
    fields = (
        "created_at",
        "user",
        "step",
        "reason",
        "redacted",
        "first_told_at",
        "times_told",
        "retry",
        "resolution",
        "resolved_at",
    )
    list_filter = ("reason", "resolution", "step__sync__connection__provider_slug")
    search_fields = ("reason", "provider_id", "user__email")
    list_select_related = ("user",)
    ordering = ("-created_at",)
    actions = ("try_again",)

    @admin.action(description=_("Try again"), permissions=["operate"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[QuarantinedRecord]) -> None:
        """Have each read again from what was kept of it."""
        rows = list(queryset[:AT_ONCE])
        asked = retry(QuarantinedRecord.objects.filter(pk__in=[row.pk for row in rows]))
        for row in rows:
            self.log_change(request, row, "try_again")
        self.say_queued(request, len(asked.syncs))
        for connection in asked.busy:
            words = gettext("%(name)s is being read right now: try again when that is done.")
            self.message_user(request, words % {"name": connection}, messages.WARNING)
        if not asked.rows and not asked.busy:
            words = gettext("There was nothing to try: the rows are settled, or of no account.")
            self.message_user(request, words, messages.WARNING)


def _provider(row: ProviderSetting) -> type[Provider]:
    return provider(row.slug)
