"""Transactions, what they used to say, what the person wrote on them, and who saw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import connection as db_connection
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, CoveredPeriod
from accounts.types import AssetType
from dashtam.bulk import among, read_moments_fast
from dashtam.fields import AmountField, CurrencyField, QuantityField, choices
from dashtam.owned import Owned, OwnedQuerySet
from transactions.types import Known, TransactionStatus, TransactionSubtype, TransactionType

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date
    from uuid import UUID

    # Where a page begins or ends: the date and id of its first or last row.
    Cursor = tuple[date, UUID]
    # A row as the driver gives it: its own id, the provider's, and the fields asked for.
    Written = tuple[Any, ...]

# The words of a search beyond these do not narrow it.
MAX_SEARCH_WORDS = 8
FILTERS = {
    "transaction_type": "transaction_type",
    "status": "status",
    "date_from": "transaction_date__gte",
    "date_to": "transaction_date__lte",
    "amount_min": "amount__gte",
    "amount_max": "amount__lte",
}


@dataclass(frozen=True, slots=True)
class TransactionPage:
    """Some transactions, newest first, and whether there are older and newer ones."""

    rows: list[Transaction]
    has_newer: bool
    has_older: bool


def _told_by_another() -> models.Exists:
    """Whether an account that goes before a duplicate knows the day of its row.

    It does where a statement or its connection covers the day, and where it has a row of it.
    """
    day, leading = models.OuterRef("transaction_date"), models.OuterRef("account__duplicate_of")
    goes_before = models.Q(duplicate_of=leading, pk__lt=models.OuterRef("account"))
    earlier = Account.objects.filter(models.Q(pk=leading) | goes_before)
    outer_day = models.OuterRef(day)
    periods = CoveredPeriod.objects.filter(
        account=models.OuterRef("pk"), first_day__lte=outer_day, last_day__gte=outer_day
    )
    rows = Transaction.objects.filter(account=models.OuterRef("pk"), transaction_date=outer_day)
    # Against the day's beginning: its date would have to be asked of the database row by row.
    is_read = models.Q(transactions_from__lte=day, transactions_synced_at__gte=day)
    return models.Exists(
        earlier.filter(is_read | models.Exists(periods) | models.Exists(rows)).order_by()
    )


_MARK_THAT_COUNTS = models.Case(
    models.When(told_at=models.F("updated_at"), then=models.F("told_as"))
)


def _from_driver(asked_for: models.QuerySet[Any, Any]) -> list[Written]:
    with db_connection.cursor() as cursor:
        read_moments_fast(cursor)
        cursor.execute(*asked_for.query.sql_with_params())
        rows: list[Written] = cursor.fetchall()
        return rows


class TransactionQuerySet(OwnedQuerySet["Transaction"]):
    """Reads of transactions."""

    def newest_first(self) -> TransactionQuerySet:
        """By the source's own date, newest first; the id settles a tie."""
        return self.order_by("-transaction_date", "-id")

    def listed(self) -> TransactionQuerySet:
        """Those a person looks at: once each, and none of invented money in a real house."""
        once = self.once()
        return once if settings.SANDBOX else once.filter(account__connection__is_sandbox=False)

    def once(self) -> TransactionQuerySet:
        """Of accounts that are one and the same, each day's by one of them.

        A duplicate's are there on the days that the leading account does not know: nothing of its
        longer history is lost, and no day is told by both. Of several duplicates the older wins.
        """
        return self.filter(models.Q(account__duplicate_of=None) | ~_told_by_another())

    def of_account(self, account: Account) -> TransactionQuerySet:
        """Those of an account and of its duplicates; of a duplicate its own."""
        same = [account.pk, *account.duplicates.values_list("pk", flat=True)]
        # By one id an index leads to the newest at once.
        return self.filter(account__in=same) if len(same) > 1 else self.filter(account=account)

    def pending(self) -> TransactionQuerySet:
        """Those that may still change or vanish."""
        return self.filter(status=TransactionStatus.PENDING)

    def matching(self, filters: Mapping[str, Any]) -> TransactionQuerySet:
        """Those that fit every given filter: as in FILTERS, `account` and `q`; empty ones are none.

        Each word of `q` must be somewhere: in the description, the security, or the person's edit.
        """
        given = {
            FILTERS[name]: value
            for name, value in filters.items()
            if name in FILTERS and value not in (None, "")
        }
        rows = self.filter(**given)
        if filters.get("account"):
            rows = rows.of_account(filters["account"])
        for word in str(filters.get("q") or "").split()[:MAX_SEARCH_WORDS]:
            rows = rows.filter(
                models.Q(description__icontains=word)
                | models.Q(symbol__iexact=word)
                | models.Q(security_name__icontains=word)
                | models.Q(edit__description__icontains=word)
                | models.Q(edit__note__icontains=word)
            )
        return rows

    def as_written(self, ids: Collection[str], fields: Sequence[str]) -> dict[str, Written]:
        """Those with these provider ids, by it: (pk, id, *fields) as the driver gives them.

        `mark_that_counts` may be asked for like a field: see `Transaction.mark`.
        """
        names = ("pk", "provider_transaction_id", *fields)
        found = self.filter(among("provider_transaction_id", ids))
        marked = found.annotate(mark_that_counts=_MARK_THAT_COUNTS)
        return {row[1]: row for row in _from_driver(marked.values_list(*names))}

    def told(self, most: int) -> list[Written]:
        """Of at most so many: (account, *fields of Known) as the driver gives them."""
        names = ("account", *Known._fields)
        marked = self.filter(told_as__isnull=False, told_at=models.F("updated_at"))
        return _from_driver(marked.order_by().values_list(*names)[:most])

    def period(self) -> tuple[date | None, date | None]:
        """The first and last day of these; None for both when there are none."""
        ends = self.aggregate(
            first=models.Min("transaction_date"), last=models.Max("transaction_date")
        )
        return ends["first"], ends["last"]

    def page(
        self, size: int, *, older_than: Cursor | None = None, newer_than: Cursor | None = None
    ) -> TransactionPage:
        """One page by key, not by offset: it stays put while rows are added, however far back."""
        if newer_than:
            rows = list(self._newer(*newer_than)[: size + 1])
            page = TransactionPage(rows[:size][::-1], len(rows) > size, has_older=True)
        else:
            found = self._older(*older_than) if older_than else self.newest_first()
            rows = list(found[: size + 1])
            page = TransactionPage(rows[:size], older_than is not None, len(rows) > size)
        return page

    # The leading bound on the date alone is what lets the index find the page's start.
    def _older(self, day: date, row: UUID) -> TransactionQuerySet:
        before = models.Q(transaction_date__lt=day) | models.Q(id__lt=row)
        return self.filter(before, transaction_date__lte=day).newest_first()

    def _newer(self, day: date, row: UUID) -> TransactionQuerySet:
        after = models.Q(transaction_date__gt=day) | models.Q(id__gt=row)
        return self.filter(after, transaction_date__gte=day).order_by("transaction_date", "id")


class Transaction(Owned):
    """One movement in an account; its amount is positive when money came in."""

    account = models.ForeignKey("accounts.Account", models.CASCADE, related_name="transactions")
    provider_transaction_id = models.CharField(max_length=300)
    transaction_type = models.CharField(_("type"), max_length=16, choices=choices(TransactionType))
    subtype = models.CharField(_("subtype"), max_length=24, choices=choices(TransactionSubtype))
    status = models.CharField(_("status"), max_length=16, choices=choices(TransactionStatus))
    amount = AmountField(_("amount"))
    currency = CurrencyField(_("currency"))
    description = models.CharField(_("description"), max_length=500, blank=True)
    asset_type = models.CharField(max_length=24, blank=True, choices=choices(AssetType))
    symbol = models.CharField(_("symbol"), max_length=64, blank=True)
    cusip = models.CharField("CUSIP", max_length=16, blank=True)
    isin = models.CharField("ISIN", max_length=16, blank=True)
    security_name = models.CharField(_("security"), max_length=200, blank=True)
    quantity = QuantityField(_("quantity"), null=True, blank=True)
    unit_price = QuantityField(_("price"), null=True, blank=True)
    commission = AmountField(_("commission"), null=True, blank=True)
    transaction_date = models.DateField(_("date"))
    settlement_date = models.DateField(_("settled"), null=True, blank=True)
    occurred_at = models.DateTimeField(null=True, blank=True)
    raw_type = models.CharField(max_length=100, blank=True)
    pending_provider_id = models.CharField(max_length=300, blank=True)
    is_flagged = models.BooleanField(default=False)
    provider_metadata = models.JSONField(default=dict, blank=True)
    # How the row was told that all this was read from, and when that was written: whatever else
    # writes here moves `updated_at`, and the mark means nothing any more. They may be empty because
    # such columns are added to millions of rows in no time.
    told_as = models.CharField(max_length=32, null=True, editable=False)  # noqa: DJ001 - see above
    told_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[TransactionQuerySet] = TransactionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "provider_transaction_id"], name="transaction_once_per_account"
            ),
            models.CheckConstraint(
                condition=~models.Q(provider_transaction_id=""), name="transaction_has_an_id"
            ),
        ]
        indexes = [
            models.Index(
                fields=["account", "-transaction_date", "-id"], name="transaction_of_account"
            ),
            models.Index(fields=["user", "-transaction_date", "-id"], name="transaction_of_user"),
            models.Index(
                fields=["account"],
                name="transaction_pending",
                condition=models.Q(status="pending"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.transaction_date} {self.amount} {self.currency}"

    @property
    def mark(self) -> str | None:
        """The mark of the row that this was read from, as long as it says what that row says."""
        return self.told_as if self.told_at == self.updated_at else None


class TransactionRevision(Owned):
    """What a transaction used to say before a sync changed it: {field: [before, after]}."""

    transaction = models.ForeignKey(Transaction, models.CASCADE, related_name="revisions")
    sync = models.ForeignKey(
        "connections.Sync", models.SET_NULL, null=True, blank=True, related_name="revisions"
    )
    changes = models.JSONField()

    objects: ClassVar[OwnedQuerySet[TransactionRevision]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [models.Index(fields=["sync"], name="revision_of_sync")]

    def __str__(self) -> str:
        return f"{self.transaction_id}: {', '.join(self.changes)}"


class TransactionEdit(Owned):
    """What the person says of a transaction, apart from what the provider says."""

    transaction = models.OneToOneField(Transaction, models.CASCADE, related_name="edit")
    category = models.CharField(max_length=100, blank=True)
    note = models.TextField(blank=True)
    description = models.CharField(max_length=500, blank=True)

    objects: ClassVar[OwnedQuerySet[TransactionEdit]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"edit of {self.transaction_id}"


class Sighting(Owned):
    """An imported file showed this transaction; `is_creator` when it was the first to do so."""

    sync = models.ForeignKey("connections.Sync", models.CASCADE, related_name="sightings")
    transaction = models.ForeignKey(Transaction, models.CASCADE, related_name="sightings")
    is_creator = models.BooleanField()

    objects: ClassVar[OwnedQuerySet[Sighting]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sync", "transaction"], name="sighting_once_per_sync")
        ]

    def __str__(self) -> str:
        return f"{self.transaction_id} in {self.sync_id}"
