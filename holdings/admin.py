"""The operators' page on holdings."""

from django.contrib import admin

from dashtam.admin import ReadOnlyAdmin
from holdings.models import Holding


@admin.register(Holding)
class HoldingAdmin(ReadOnlyAdmin[Holding]):
    """What everybody's accounts hold."""

    list_display = (
        "symbol",
        "security_name",
        "quantity",
        "market_value",
        "currency",
        "asset_type",
        "is_active",
        "account",
        "user",
    )
    list_filter = ("asset_type", "is_active", "currency")
    search_fields = ("symbol", "security_name", "cusip", "isin", "user__email")
    list_select_related = ("account", "user")
    ordering = ("symbol", "id")
