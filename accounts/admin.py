"""The operators' pages on accounts, balances and exchange rates."""

from django.contrib import admin

from accounts.models import Account, BalanceSnapshot, ExchangeRate, NetWorth
from dashtam.admin import ReadOnlyAdmin


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin[Account]):
    """Everybody's accounts."""

    list_display = (
        "__str__",
        "institution_name",
        "account_number_masked",
        "account_type",
        "balance",
        "currency",
        "balance_as_of",
        "is_active",
        "user",
    )
    list_filter = ("account_type", "is_active", "currency")
    search_fields = ("name", "display_name", "institution_name", "user__email")
    list_select_related = ("user",)
    exclude = ("provider_account_id", "cursor")
    ordering = ("-created_at",)


@admin.register(BalanceSnapshot)
class BalanceSnapshotAdmin(ReadOnlyAdmin[BalanceSnapshot]):
    """What accounts were worth, and when."""

    list_display = ("account", "balance", "currency", "as_of", "source", "captured_at", "user")
    list_filter = ("source", "currency")
    search_fields = ("account__name", "account__institution_name", "user__email")
    list_select_related = ("account", "user")
    ordering = ("-captured_at",)


@admin.register(NetWorth)
class NetWorthAdmin(ReadOnlyAdmin[NetWorth]):
    """The last net worth told to each person."""

    list_display = ("user", "value", "currency", "account_count", "updated_at")
    search_fields = ("user__email",)
    list_select_related = ("user",)


@admin.register(ExchangeRate)
class ExchangeRateAdmin(ReadOnlyAdmin[ExchangeRate]):
    """Reference rates against the euro."""

    list_display = ("currency", "date", "per_euro", "source")
    list_filter = ("source",)
    search_fields = ("currency",)
    date_hierarchy = "date"
