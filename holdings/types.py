"""What the holdings app accepts: the frozen record, free of Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from accounts.types import AssetType


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingData:
    """One position as a provider or a file tells it.

    `quantity` is signed (short is negative); `market_value`, `cost_basis` are in `currency`;
    prices are per unit. None means the source did not say.
    """

    provider_holding_id: str
    quantity: Decimal
    currency: str
    asset_type: AssetType
    symbol: str = ""
    cusip: str = ""
    isin: str = ""
    security_name: str = ""
    cost_basis: Decimal | None = None
    market_value: Decimal | None = None
    average_price: Decimal | None = None
    current_price: Decimal | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
