"""Money is exact, bounded, and never mixed across currencies."""

import subprocess
import sys
from decimal import Decimal, localcontext

import pytest
from babel.core import get_global
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam import money
from dashtam.money import Money

NOT_A_NUMBER = [
    "", " ", "1_000", "\u0661\u0662", "\uff11", "1e3", "NaN", "sNaN", "Infinity", "-", ".", "1,5",
    "+-1", " 1", "1\n", "0x1", "1" * 41, "1.2.3",
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("12.34", "12.3400"), ("-0.00005", "0.0000"), ("0.00015", "0.0002"), ("0.00025", "0.0002"),
        ("+5", "5.0000"), (".5", "0.5000"), ("5.", "5.0000"), (7, "7.0000"),
        (Decimal("1E+3"), "1000.0000"), (Decimal("1E-999999"), "0.0000"),
        ("922337203685477.5807", "922337203685477.5807"),
        ("-922337203685477.5807", "-922337203685477.5807"),
    ],
)  # fmt: skip
def test_an_amount_is_rounded_half_even_to_four_decimals(given, kept):
    assert str(money.amount(given)) == kept


@pytest.mark.parametrize("text", NOT_A_NUMBER)
def test_what_is_no_plain_decimal_is_no_amount_and_no_quantity(text):
    with pytest.raises(ValueError, match="plain decimal"):
        money.amount(text)
    with pytest.raises(ValueError, match=r"plain decimal|digits"):
        money.quantity(text)


@pytest.mark.parametrize("value", [1.5, True, None, b"1", object()])
def test_floats_and_other_types_are_refused(value):
    with pytest.raises(TypeError):
        money.amount(value)
    with pytest.raises(TypeError):
        money.quantity(value)


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_is_refused(value):
    for accept in (money.amount, money.quantity, money.canonical):
        with pytest.raises(ValueError, match="finite"):
            accept(Decimal(value))


@pytest.mark.parametrize(
    "value", ["922337203685477.5808", "1000000000000000", Decimal("1E+1000000"), 10**400]
)
def test_an_amount_beyond_64_bits_is_refused(value):
    with pytest.raises(ValueError, match="too large"):
        money.amount(value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("1.500", "1.5"), ("100", "100"), ("-0.0", "0"),
        ("0.000000000000000001", "0.000000000000000001"),
        (Decimal("1E-8"), "0.00000001"), (Decimal("1E+2"), "100"), (Decimal("0E-1000000"), "0"),
        ("1234567890123456789012.123456789012345678", "1234567890123456789012.123456789012345678"),
    ],
)  # fmt: skip
def test_a_quantity_is_exact_and_without_trailing_zeros(given, kept):
    assert money.canonical(money.quantity(given)) == kept
    assert money.quantity(given).as_tuple() == Decimal(kept).as_tuple()


@pytest.mark.parametrize(
    "value", [Decimal("1E+1000000"), Decimal("1E-1000000"), "1" * 41, Decimal("1E-40"), 10**40]
)
def test_a_quantity_of_more_than_forty_digits_is_refused(value):
    with pytest.raises(ValueError, match="digits"):
        money.quantity(value)


def test_the_thread_s_own_precision_changes_nothing():
    with localcontext(prec=3):
        assert money.amount("123456.78905") == Decimal("123456.7890")
        assert money.quantity("123456.78905") == Decimal("123456.78905")


@settings(derandomize=True, max_examples=500)
@given(st.decimals(-(10**15) + 1, 10**15 - 1, places=4))
def test_every_amount_that_fits_is_kept_exactly(value):
    if abs(value) <= money.MAX_AMOUNT:
        assert money.amount(str(value)) == money.amount(value) == value


@settings(derandomize=True, max_examples=500)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12))
def test_canonical_text_reads_back_and_is_one_text_per_number(value):
    text = money.canonical(value)
    assert Decimal(text) == value
    assert "E" not in text
    assert text == money.canonical(Decimal(text))


def test_codes_are_known_as_the_standard_writes_them():
    assert money.is_currency("USD")
    assert not money.is_currency("usd")
    assert not money.is_currency("BTC")
    assert not money.is_currency("XXX")


def test_every_code_is_known_to_the_library_that_formats_it():
    assert get_global("all_currencies").keys() >= money.CURRENCIES


def test_a_code_is_put_in_capitals_or_refused():
    assert money.currency(" eur ") == "EUR"
    with pytest.raises(ValueError, match="ISO-4217"):
        money.currency("DOGE")


@pytest.mark.parametrize(("code", "places"), [("USD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)])
def test_each_currency_has_its_own_minor_unit(code, places):
    assert money.exponent(code) == places


def test_money_of_one_currency_adds_and_subtracts():
    ten, four = Money(Decimal(10), "USD"), Money(Decimal(4), "USD")
    assert ten + four == Money(Decimal(14), "USD")
    assert ten - four == Money(Decimal(6), "USD")


def test_money_of_two_currencies_does_not_mix():
    dollar, euro = Money(Decimal(1), "USD"), Money(Decimal(1), "EUR")
    with pytest.raises(ValueError, match="USD and EUR"):
        dollar + euro
    with pytest.raises(ValueError, match="USD and EUR"):
        dollar - euro


@pytest.mark.parametrize("module", ["money", "text", "ids", "vault"])
def test_a_plain_tool_comes_without_django(module):
    code = f"import sys, dashtam.{module}; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
