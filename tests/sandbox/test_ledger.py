"""What the entries of a book add up to."""

from __future__ import annotations

from decimal import Decimal

import pytest

from connections.sandbox.ledger import Position


@pytest.mark.parametrize(
    ("trades", "quantity", "cost"),
    [
        ([(10, 100), (10, 300)], 20, 400),
        ([(10, 100), (-4, -80)], 6, 60),
        ([(-10, -100), (4, 20)], -6, -60),
        ([(4, 40), (-10, -200)], -6, -120),
        ([(4, 100), (36, 0)], 40, 100),
        ([(4, 100), (-4, -120)], 0, 0),
    ],
)
def test_a_position_keeps_its_average_cost(trades, quantity, cost):
    position = Position()
    for count, paid in trades:
        position.add(Decimal(count), Decimal(paid))
    assert (position.quantity, position.cost) == (quantity, cost)
