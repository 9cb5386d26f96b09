"""How figures read: money, quantities, dates, freshness, text from outside."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.types import AccountType
from dashtam.templatetags import money as figures


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        ("1234.5", "USD", "$1,234.50"),
        ("-0.5", "USD", "−$0.50"),
        ("1235", "JPY", "¥1,235"),
        ("1.2345", "KWD", "KWD 1.234"),
        ("922337203685477.5807", "EUR", "€922,337,203,685,477.58"),
        ("12.5", "", "12.50"),
    ],
)
def test_money_has_its_currencys_own_places(amount, currency, words):
    assert figures.money(Decimal(amount), currency).replace("\xa0", " ") == words


@pytest.mark.parametrize("unknown", [None, "", "much"])
def test_what_is_unknown_is_a_dash_and_never_zero(unknown):
    assert figures.money(unknown, "USD") == figures.UNKNOWN
    assert figures.quantity(unknown) == figures.price(unknown, "USD") == figures.UNKNOWN


def test_a_change_carries_its_sign():
    assert [figures.change(n, "USD") for n in ("5", "-5", "0")] == ["+$5.00", "−$5.00", "$0.00"]
    assert [figures.tone(n) for n in ("5", "-5", "0")] == ["gain", "loss", ""]


def test_only_what_comes_in_is_marked():
    assert [figures.inflow(n) for n in ("5", "-5", None)] == ["gain", "", ""]


def test_a_quantity_keeps_every_decimal():
    assert figures.quantity(Decimal("-1234.123456789012345678")) == "−1,234.123456789012345678"


def test_a_price_shows_up_to_six_decimals():
    assert figures.price(Decimal("280.06671234"), "USD") == "$280.066712"
    assert figures.price(Decimal("3"), "USD") == "$3.00"


def test_a_day_is_told_by_the_persons_clock():
    late = datetime(2024, 1, 31, 23, 30, tzinfo=UTC)
    with timezone.override("Asia/Tokyo"):
        assert figures.day(late) == "Feb 1, 2024"
    assert figures.day(late) == figures.day(date(2024, 1, 31)) == figures.day("2024-01-31")


def test_every_balance_says_how_fresh_it_is():
    instant = timezone.now() - timedelta(days=3)
    assert figures.freshness(instant) == f"as of {figures.day(instant)} · 3 days ago"
    assert figures.freshness(timezone.now().isoformat()).endswith("just now")
    assert figures.freshness(None) == "no date given"
    assert figures.ago(None) == ""


def test_text_from_outside_cannot_turn_around():
    assert figures.shown("pay\u202eelgoog") == "payelgoog"


def test_every_account_type_has_a_name_and_an_icon():
    for kind in AccountType:
        assert figures.account_type(kind) != kind
        assert figures.account_icon(kind)
