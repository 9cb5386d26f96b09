"""Positions are saved once, and leave when they are sold."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.types import AssetType
from holdings.models import Holding
from holdings.services import deactivate_missing, save_holdings, value_by_currency
from holdings.types import HoldingData

pytestmark = pytest.mark.django_db


def position(key="CUSIP:1", quantity="10", **fields):
    return HoldingData(
        **{
            "provider_holding_id": key,
            "quantity": Decimal(quantity),
            "currency": "USD",
            "asset_type": AssetType.EQUITY,
            "symbol": "ACME",
            "market_value": Decimal("1500.00"),
            **fields,
        }
    )


def test_a_position_is_created_then_unchanged(account):
    assert save_holdings(account, [position()]).counts.created == 1
    assert save_holdings(account, [position()]).counts.unchanged == 1


def test_a_changed_quantity_is_updated_exactly(account):
    save_holdings(account, [position()])
    counts = save_holdings(account, [position(quantity="10.000000000000000001")]).counts
    assert counts.updated == 1
    assert Holding.objects.get().quantity == Decimal("10.000000000000000001")


def test_a_position_of_zero_is_not_stored(account):
    assert save_holdings(account, [position(quantity="0")]).counts.ignored == 1
    assert not Holding.objects.exists()


def test_a_position_listed_twice_is_saved_once(account):
    assert save_holdings(account, [position(), position()]).counts.ignored == 1


def test_a_sold_position_is_deactivated_and_kept(account):
    save_holdings(account, [position("a"), position("b")])
    assert deactivate_missing(account, ["a"]) == 1
    assert Holding.objects.get(provider_holding_id="b").is_active is False


def test_a_position_bought_back_is_active_again(account):
    save_holdings(account, [position("a"), position("b")])
    deactivate_missing(account, ["a"])
    assert save_holdings(account, [position("b")]).counts.updated == 1


def test_an_empty_list_sells_nothing(account):
    save_holdings(account, [position()])
    assert deactivate_missing(account, []) == 0


def test_values_are_summed_by_currency(account):
    save_holdings(account, [position("a"), position("b"), position("c", currency="EUR")])
    assert value_by_currency(account) == {"USD": Decimal(3000), "EUR": Decimal(1500)}
