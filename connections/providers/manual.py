"""Accounts a person keeps by hand: a house, a car, cash."""

from connections.auth import ByHand
from connections.provider import Provider
from connections.types import Capability, Category


class Manual(Provider):
    """One connection per person, never scheduled, nothing fetched."""

    slug = "manual"
    name = "Kept by hand"
    category = Category.OTHER
    auth = ByHand()
    capabilities = frozenset({Capability.ACCOUNTS})
