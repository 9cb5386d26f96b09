"""Accounts, what they were worth and when, exchange rates, and the last known net worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from accounts.types import (
    BANKING_TYPES,
    INVESTMENT_TYPES,
    LIABILITY_TYPES,
    AccountType,
    SnapshotSource,
)
from dashtam.fields import AmountField, CurrencyField, QuantityField, choices
from dashtam.owned import Owned, OwnedQuerySet, Stamped

if TYPE_CHECKING:
    from datetime import date

TYPE_LABELS = {
    AccountType.IRA: "IRA",
    AccountType.ROTH_IRA: "Roth IRA",
    AccountType.K401: "401(k)",
    AccountType.B403: "403(b)",
    AccountType.HSA: "HSA",
    AccountType.EDUCATION_529: "529 plan",
    AccountType.CD: "Certificate of deposit",
}
KIND_NAMES = dict(choices(AccountType, TYPE_LABELS))


class AccountQuerySet(OwnedQuerySet["Account"]):
    """Reads of accounts."""

    def of_this_world(self) -> AccountQuerySet:
        """Without invented money, once the bank in the box is gone."""
        return self if settings.SANDBOX else self.filter(connection__is_sandbox=False)

    def counted(self) -> AccountQuerySet:
        """Those whose balance is part of net worth."""
        return self.of_this_world().filter(
            is_active=True, include_in_net_worth=True, duplicate_of=None, balance__isnull=False
        )

    def for_dashboard(self) -> AccountQuerySet:
        """Those a person looks at, in a steady order."""
        return (
            self.of_this_world()
            .filter(is_active=True, duplicate_of=None)
            .order_by("institution_name", "name", "id")
        )


class Account(Owned):
    """A financial account; its balance is negative when it is a liability with money owed."""

    connection = models.ForeignKey(
        "connections.Connection", models.CASCADE, related_name="accounts"
    )
    provider_account_id = models.CharField(max_length=255)
    account_number_masked = models.CharField(_("number"), max_length=64, blank=True)
    name = models.CharField(_("name"), max_length=200)
    display_name = models.CharField(_("own name"), max_length=200, blank=True)
    institution_name = models.CharField(_("institution"), max_length=200, blank=True)
    account_type = models.CharField(
        _("type"), max_length=16, choices=choices(AccountType, TYPE_LABELS)
    )
    user_type = models.CharField(
        _("own type"), max_length=16, blank=True, choices=choices(AccountType, TYPE_LABELS)
    )
    balance = AmountField(_("balance"), null=True, blank=True)
    available_balance = AmountField(_("available"), null=True, blank=True)
    currency = CurrencyField(_("currency"))
    balance_as_of = models.DateTimeField(_("as of"), null=True, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    # In how many whole syncs in a row the provider did not tell of it; from the second on, the
    # person is told since when it is missing.
    absences = models.PositiveSmallIntegerField(default=0)
    missing_since = models.DateTimeField(null=True, blank=True)
    include_in_net_worth = models.BooleanField(_("in net worth"), default=True)
    duplicate_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="duplicates"
    )
    last_synced_at = models.DateTimeField(null=True, blank=True)
    transactions_synced_at = models.DateTimeField(null=True, blank=True)
    # The days whose transactions are known: up to its newest row, and back to where its history
    # was read so far (in parts, newest first).
    transactions_from = models.DateField(null=True, blank=True)
    transactions_through = models.DateField(null=True, blank=True)
    is_history_complete = models.BooleanField(default=False)
    holdings_synced_at = models.DateTimeField(null=True, blank=True)
    cursor = models.TextField(blank=True)
    provider_metadata = models.JSONField(default=dict, blank=True)

    objects: ClassVar[AccountQuerySet] = AccountQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "provider_account_id"], name="account_once_per_connection"
            ),
            models.CheckConstraint(
                condition=~models.Q(duplicate_of=models.F("id")), name="account_not_its_own_twin"
            ),
        ]
        indexes = [models.Index(fields=["user", "is_active"], name="account_of_user")]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """What the person calls it, else the provider, else what it is."""
        return self.display_name or self.name or str(KIND_NAMES[self.kind])

    @property
    def kind(self) -> AccountType:
        """The person's own choice of type, else the provider's."""
        return AccountType(self.user_type or self.account_type)

    @property
    def is_liability(self) -> bool:
        """Whether its balance is money owed."""
        return self.kind in LIABILITY_TYPES

    @property
    def is_investment(self) -> bool:
        """Whether it holds securities."""
        return self.kind in INVESTMENT_TYPES

    @property
    def is_banking(self) -> bool:
        """Whether it is everyday money."""
        return self.kind in BANKING_TYPES


class BalanceSnapshot(Owned):
    """What an account was worth at an instant; append-only."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="snapshots")
    sync = models.ForeignKey(
        "connections.Sync", models.SET_NULL, null=True, blank=True, related_name="snapshots"
    )
    balance = AmountField()
    available_balance = AmountField(null=True, blank=True)
    holdings_value = AmountField(null=True, blank=True)
    cash_value = AmountField(null=True, blank=True)
    currency = CurrencyField()
    source = models.CharField(max_length=24, choices=choices(SnapshotSource))
    as_of = models.DateTimeField()
    captured_at = models.DateTimeField(default=now)
    metadata = models.JSONField(default=dict, blank=True)

    objects: ClassVar[OwnedQuerySet[BalanceSnapshot]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [
            models.Index(fields=["account", "-as_of"], name="snapshot_of_account"),
            models.Index(fields=["user", "-as_of"], name="snapshot_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.balance} {self.currency} {self.as_of:%Y-%m-%d}"


class CoveredPeriod(Owned):
    """The days of an account that a statement is about: whatever happened then is in its rows.

    What a connection covers is on the account itself: `transactions_from` and when it was read.
    """

    account = models.ForeignKey(Account, models.CASCADE, related_name="periods")
    sync = models.ForeignKey(
        "connections.Sync", models.SET_NULL, null=True, blank=True, related_name="periods"
    )
    first_day = models.DateField()
    last_day = models.DateField()
    source = models.CharField(max_length=24, choices=choices(SnapshotSource))

    objects: ClassVar[OwnedQuerySet[CoveredPeriod]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "sync"], name="period_once_per_sync"),
            models.CheckConstraint(
                condition=models.Q(first_day__lte=models.F("last_day")),
                name="period_begins_before_it_ends",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.first_day} – {self.last_day}"


class KeptApart(Owned):
    """The person's word that two accounts, however alike, are two; `first` has the lower id."""

    first = models.ForeignKey(Account, models.CASCADE, related_name="+")
    second = models.ForeignKey(Account, models.CASCADE, related_name="+")

    objects: ClassVar[OwnedQuerySet[KeptApart]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="kept_apart_once"),
        ]

    def __str__(self) -> str:
        return f"{self.first_id}, {self.second_id}"


class ExchangeRateQuerySet(models.QuerySet["ExchangeRate"]):
    """Reads of exchange rates."""

    def latest_on(self, day: date) -> ExchangeRateQuerySet:
        """For each currency the newest rate on or before this day."""
        newest = (
            self.filter(currency=models.OuterRef("currency"), date__lte=day)
            .order_by("-date")
            .values("date")[:1]
        )
        return self.filter(date=models.Subquery(newest))


class ExchangeRate(Stamped):
    """How much of a currency one euro bought on a day."""

    currency = CurrencyField()
    date = models.DateField()
    per_euro = QuantityField()
    source = models.CharField(max_length=64)

    objects: ClassVar[ExchangeRateQuerySet] = ExchangeRateQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["currency", "date"], name="rate_once_per_day")
        ]

    def __str__(self) -> str:
        return f"{self.currency} {self.date}"


class NetWorth(models.Model):
    """The last net worth told to a person, so that the next event can say from what to what."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="net_worth"
    )
    value = AmountField()
    currency = CurrencyField()
    account_count = models.PositiveIntegerField()
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.value} {self.currency}"
