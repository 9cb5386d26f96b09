"""What providers' words for securities mean here."""

from __future__ import annotations

import pytest

from accounts.types import asset_type_of

WORDS = {
    "equity": "equity stock common_stock adr ADR Common-Stock",
    "etf": "etf ETF",
    "option": "option call put",
    "mutual_fund": "mutual_fund fund",
    "fixed_income": "fixed_income bond treasury",
    "futures": "future futures",
    "cryptocurrency": "crypto cryptocurrency",
    "cash_equivalent": "cash money_market currency cash_equivalent",
    "other": "other collectible",
}
PAIRS = [(word, meaning) for meaning, words in WORDS.items() for word in words.split()]


@pytest.mark.parametrize(("word", "meaning"), PAIRS)
def test_a_word_has_an_asset_type(word, meaning):
    assert asset_type_of(word) == meaning


@pytest.mark.parametrize("word", ["", "   ", "Money Market?"])
def test_a_word_nobody_knows_is_other(word):
    assert asset_type_of(word) == "other"
