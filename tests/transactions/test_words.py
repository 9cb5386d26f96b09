"""What providers' words mean here."""

from __future__ import annotations

from decimal import Decimal

import pytest

from transactions.types import (
    SUBTYPES,
    TransactionSubtype,
    TransactionType,
    status_of,
    subtype_of,
    transaction_type_of,
)

TYPES = {
    "trade": "trade buy sell short cover option exercise",
    "transfer": "transfer deposit withdrawal ach wire journal",
    "income": "income dividend interest capital_gain distribution",
    "fee": "fee commission margin_interest management_fee",
    "other": "purchase nonsense",
}
STATUSES = {
    "settled": "settled executed complete completed posted valid nonsense",
    "pending": "pending processing in_progress",
    "failed": "failed rejected error",
    "cancelled": "cancelled canceled voided",
}
SUBTYPE_WORDS = {
    "trade": {"buy": "buy purchase", "sell": "sell sale", "short_sell": "short_sell"},
    "transfer": {
        "deposit": "deposit ach_in",
        "withdrawal": "withdrawal ach_out",
        "wire_in": "wire_in",
        "wire_out": "wire_out",
        "transfer_in": "transfer_in journal_in",
        "transfer_out": "transfer_out journal_out",
    },
    "income": {
        "dividend": "dividend",
        "interest": "interest",
        "capital_gain": "capital_gain cap_gain",
    },
    "fee": {
        "commission": "commission trade_fee",
        "margin_interest": "margin_interest margin",
        "account_fee": "account_fee fee",
    },
    "other": {"purchase": "purchase", "refund": "refund", "unknown": "sale fee nonsense"},
}
ALL_SUBTYPE_WORDS = [
    (kind, word, subtype)
    for kind, subtypes in SUBTYPE_WORDS.items()
    for subtype, words in subtypes.items()
    for word in words.split()
]


def pairs(table):
    return [(word, meaning) for meaning, words in table.items() for word in words.split()]


@pytest.mark.parametrize(("word", "meaning"), pairs(TYPES))
def test_a_word_has_a_type(word, meaning):
    assert transaction_type_of(word) == meaning


@pytest.mark.parametrize(("word", "meaning"), pairs(STATUSES))
def test_a_word_has_a_status(word, meaning):
    assert status_of(word) == meaning


@pytest.mark.parametrize(("kind", "word", "subtype"), ALL_SUBTYPE_WORDS)
def test_a_word_has_a_subtype_within_its_type(kind, word, subtype):
    assert subtype_of(word, TransactionType(kind), amount=Decimal(1)) == subtype


@pytest.mark.parametrize("word", ["Capital Gain", "CAPITAL-GAIN", " capital_gain "])
def test_case_and_gaps_do_not_matter(word):
    assert transaction_type_of(word) == TransactionType.INCOME


@pytest.mark.parametrize(
    ("kind", "signs", "subtype"),
    [
        ("trade", {"amount": -5}, "buy"),
        ("trade", {"amount": 5}, "sell"),
        ("trade", {"amount": 5, "quantity": 3}, "buy"),
        ("trade", {"amount": 0, "quantity": -3}, "sell"),
        ("transfer", {"amount": 5}, "deposit"),
        ("transfer", {"amount": -5}, "withdrawal"),
        ("income", {"amount": 5, "has_security": True}, "dividend"),
        ("income", {"amount": 5}, "interest"),
        ("fee", {"amount": -5}, "account_fee"),
        ("other", {"amount": -5}, "unknown"),
    ],
)
def test_without_a_word_the_signs_say_what_it_is(kind, signs, subtype):
    assert subtype_of("", TransactionType(kind), **signs) == subtype


def test_every_subtype_belongs_to_one_type():
    assert sorted(sum(SUBTYPES.values(), ())) == sorted(TransactionSubtype)
    assert set(SUBTYPES) == set(TransactionType)
