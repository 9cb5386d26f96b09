"""The operators' pages on transactions."""

from django.contrib import admin

from dashtam.admin import ReadOnlyAdmin
from transactions.models import Transaction, TransactionRevision


class RevisionInline(admin.TabularInline[TransactionRevision, Transaction]):
    """What the transaction used to say."""

    model = TransactionRevision
    extra = 0
    can_delete = False
    fields = ("created_at", "sync", "changes")
    readonly_fields = fields


@admin.register(Transaction)
class TransactionAdmin(ReadOnlyAdmin[Transaction]):
    """Everybody's transactions."""

    list_display = (
        "transaction_date",
        "description",
        "amount",
        "currency",
        "transaction_type",
        "subtype",
        "status",
        "is_flagged",
        "account",
        "user",
    )
    list_filter = ("transaction_type", "status", "is_flagged", "currency")
    search_fields = ("description", "symbol", "provider_transaction_id", "user__email")
    list_select_related = ("account", "user")
    ordering = ("-transaction_date", "-id")
    inlines = (RevisionInline,)
