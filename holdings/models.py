"""Holdings: what an account holds now, and what it once held."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.types import AssetType
from dashtam.fields import AmountField, CurrencyField, QuantityField, choices
from dashtam.owned import Owned, OwnedQuerySet

ASSET_LABELS = {AssetType.ETF: "ETF"}


class HoldingQuerySet(OwnedQuerySet["Holding"]):
    """Reads of holdings."""

    def active(self) -> HoldingQuerySet:
        """Those still held, the most valuable first."""
        return self.filter(is_active=True).order_by("-market_value", "symbol", "id")

    def totals(self) -> list[dict[str, Any]]:
        """Per currency (`currency`) the sums of what is known: `value` and `cost`.

        `without_value` and `without_cost` count the holdings that a sum leaves out.
        """
        sums = self.order_by("currency").values("currency")
        return list(
            sums.annotate(
                value=models.Sum("market_value"),
                cost=models.Sum("cost_basis"),
                without_value=models.Count("pk", filter=models.Q(market_value=None)),
                without_cost=models.Count("pk", filter=models.Q(cost_basis=None)),
            )
        )


class Holding(Owned):
    """A position in one account; a short one has a negative quantity."""

    account = models.ForeignKey("accounts.Account", models.CASCADE, related_name="holdings")
    provider_holding_id = models.CharField(max_length=255)
    symbol = models.CharField(_("symbol"), max_length=64, blank=True)
    cusip = models.CharField("CUSIP", max_length=16, blank=True)
    isin = models.CharField("ISIN", max_length=16, blank=True)
    security_name = models.CharField(_("security"), max_length=200, blank=True)
    asset_type = models.CharField(
        _("asset type"), max_length=24, choices=choices(AssetType, ASSET_LABELS)
    )
    quantity = QuantityField(_("quantity"))
    cost_basis = AmountField(_("cost"), null=True, blank=True)
    market_value = AmountField(_("value"), null=True, blank=True)
    currency = CurrencyField(_("currency"))
    average_price = QuantityField(_("average price"), null=True, blank=True)
    current_price = QuantityField(_("price"), null=True, blank=True)
    is_active = models.BooleanField(default=True)
    provider_metadata = models.JSONField(default=dict, blank=True)

    objects: ClassVar[HoldingQuerySet] = HoldingQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "provider_holding_id"], name="holding_once_per_account"
            ),
        ]
        indexes = [models.Index(fields=["user", "is_active"], name="holding_of_user")]

    def __str__(self) -> str:
        return f"{self.quantity} {self.symbol or self.security_name}"
