"""The operators' page on statement files."""

from django.contrib import admin

from dashtam.admin import ReadOnlyAdmin
from imports.models import StatementFile


@admin.register(StatementFile)
class StatementFileAdmin(ReadOnlyAdmin[StatementFile]):
    """Every uploaded statement; its bytes stay sealed."""

    list_display = (
        "created_at",
        "file_name",
        "format",
        "size_bytes",
        "status",
        "error_code",
        "rows_done",
        "rows_total",
        "user",
    )
    list_filter = ("status", "format")
    search_fields = ("file_name", "sha256", "user__email")
    list_select_related = ("user", "sync")
    exclude = ("summary",)
    ordering = ("-created_at",)
