"""Amounts in all the ways banks write them, and those that could mean two things."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imports.formats.ofx_values import Limits, RowRejectedError, amount, quantity
from tests.imports.statements import TODAY, bank_set, read_account, read_row, reason_of, row

LIMITS = Limits.around(TODAY)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("-12.34", "-12.34"), ("+1234.56", "1234.56"), ("1,234.56", "1234.56"),
        ("-1.234,56", "-1234.56"), ("12,34", "12.34"), ("1.234.567", "1234567"),
        ("12,34,567.89", "1234567.89"), ("1'234.50", "1234.50"), ("1 234,50", "1234.50"),
        ("(12.34)", "-12.34"), ("12.34-", "-12.34"), ("$12.34", "12.34"), ("-$12.34", "-12.34"),
        ("$-12.34", "-12.34"), ("USD -12.34", "-12.34"), ("12.34 USD", "12.34"),
        ("−12.34", "-12.34"), (".50", "0.50"), ("12.", "12"), ("0,125", "0.125"),
        ("1234,567", "1234.567"), ("-00000000001500.0000", "-1500"), ("115.833", "115.833"),
        ("R$ 10,00", "10"), ("€5", "5"), ("0", "0"), ("1303.7355652284177", "1303.7356"),
    ],
)  # fmt: skip
def test_every_way_of_writing_an_amount_is_read(written, value):
    assert read_row(TRNAMT=written).amount == Decimal(value)


@pytest.mark.parametrize(
    "written",
    [".", "abc", "1,234", "-1,234", "1e5", "NaN", "Infinity", "1_000", "١٢", "1,23,45.6", "(12.34",
     "-12.34-", "1.234,567.89", "EUR 12.34", "12.34 CR", "--1",
     "1" * 400, "1," * 100, "12.34.56"],
)  # fmt: skip
def test_an_amount_that_would_need_a_guess_is_kept_apart(written):
    assert reason_of(TRNAMT=written) == "amount_unreadable"


@pytest.mark.parametrize(
    "written",
    ["10000000000000.01", "-10000000000001", "(10,000,000,000,001.00)", "9" * 16, "1" * 30],
)
def test_an_amount_beyond_ten_million_million_is_kept_apart(written):
    assert reason_of(TRNAMT=written) == "amount_too_large"


@pytest.mark.parametrize("written", ["10000000000000", "-10000000000000.00"])
def test_an_amount_of_ten_million_million_is_read(written):
    assert read_row(TRNAMT=written).amount == Decimal(written)


def test_a_balance_beyond_ten_million_million_is_not_believed():
    after = f"<LEDGERBAL><BALAMT>{10**14}<DTASOF>20240131</LEDGERBAL>"
    assert read_account(bank_set(after=after)).balance is None


@pytest.mark.parametrize("written", [None, "", "  "])
def test_a_row_without_an_amount_says_so(written):
    assert reason_of(TRNAMT=written) == "amount_missing"


def test_in_a_file_of_decimal_commas_a_point_before_three_digits_is_not_guessed():
    account = read_account(bank_set(row(TRNAMT="-530,86"), row(TRNAMT="1.234", FITID="f2")))
    assert [one.amount for one in account.transactions] == [Decimal("-530.86")]
    assert [one.provider_id for one in account.rejected] == ["f2"]


def test_the_figure_as_written_is_kept_where_reading_changed_it():
    assert read_row(TRNAMT="(1,234.56)").metadata == {"amount_as_written": "(1,234.56)"}
    assert read_row(TRNAMT="0.00005").metadata == {"amount_as_written": "0.00005"}
    assert read_row(TRNAMT="+0012.300").metadata == {}


@given(st.decimals(-(10**11), 10**11, places=4))
@settings(derandomize=True, deadline=None)
def test_any_amount_survives_exactly(value):
    assert amount(str(value), LIMITS) == value


@given(st.text(alphabet="0123456789.,-+()$ E'USD", max_size=20))
@settings(derandomize=True, deadline=None, max_examples=500)
def test_any_scribble_is_a_finite_amount_or_rejected(written):
    try:
        value = amount(written.strip(), LIMITS, "USD")
    except RowRejectedError:
        return
    assert value.is_finite()


def test_quantities_are_exact_and_unrounded():
    assert quantity("3824.9561497776986", LIMITS) == Decimal("3824.9561497776986")
    assert quantity("", LIMITS) is None
    with pytest.raises(RowRejectedError):
        quantity("a few", LIMITS)
