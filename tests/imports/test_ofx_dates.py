"""Dates as written, instants where they are known, and dates that cannot be right."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imports.formats.ofx_values import Limits, as_of, calendar_date, instant
from tests.imports.statements import (
    TODAY,
    bank_set,
    investment_set,
    read_account,
    read_row,
    reason_of,
    row,
    trade,
)

LIMITS = Limits.around(TODAY)


@pytest.mark.parametrize(
    "written",
    [
        "20240102",
        "20240102233000[-8:PST]",
        "20240102003000[+9:JST]",
        "20240102120000.000[0:GMT]",
        "20240102 ",
        "2024-01-02",
        "20240102160000.000[-5:EST]160000.000",
    ],
)
def test_the_date_is_the_banks_own_whatever_the_zone(written):
    assert read_row(DTPOSTED=written).transaction_date == date(2024, 1, 2)


@given(st.dates(date(1974, 1, 1), TODAY), st.integers(0, 86399), st.integers(-12, 14))
@settings(derandomize=True, deadline=None)
def test_no_zone_ever_moves_a_date(day, second, offset):
    clock = (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=second)).strftime("%H%M%S")
    assert calendar_date(f"{day:%Y%m%d}{clock}[{offset}:XXX]") == day


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("20240102233000[-8:PST]", datetime(2024, 1, 3, 7, 30, tzinfo=UTC)),
        ("20240102103000[-3.5:NST]", datetime(2024, 1, 2, 14, 0, tzinfo=UTC)),
        ("20240102103000[5.30:IST]", datetime(2024, 1, 2, 5, 0, tzinfo=UTC)),
        ("20240102103000[+05:30:IST]", datetime(2024, 1, 2, 5, 0, tzinfo=UTC)),
        ("20240102103000[5.75:NPT]", datetime(2024, 1, 2, 4, 45, tzinfo=UTC)),
        ("20240102103000.123[EST]", datetime(2024, 1, 2, 15, 30, tzinfo=UTC)),
        ("20240102082855[-3:GMT]", datetime(2024, 1, 2, 11, 28, 55, tzinfo=UTC)),
        ("202401021030[0]", datetime(2024, 1, 2, 10, 30, tzinfo=UTC)),
    ],
)
def test_an_instant_is_known_where_time_and_offset_are_written(written, utc):
    assert instant(written) == utc


@pytest.mark.parametrize(
    "written",
    ["20240102", "20240102103000", "20240102120000[0:GMT]", "20240102000000[-5:EST]",
     "20240102103000[99:XXX]", "20240102103000[MOON]", "20240102256199[0:GMT]",
     "20240102103000[]", "00010101000001[+14:XXX]", "nonsense"],
)  # fmt: skip
def test_what_does_not_say_an_instant_has_none(written):
    assert instant(written) is None


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (None, "date_missing"),
        ("", "date_missing"),
        ("00000000", "date_unreadable"),
        ("20240230", "date_unreadable"),
        ("201120000000", "date_unreadable"),
        ("2024010", "date_unreadable"),
        ("٢٠٢٤٠١٠٢", "date_unreadable"),
        ("yesterday", "date_unreadable"),
        ("19731231", "date_out_of_range"),
        ("20250701", "date_out_of_range"),
        ("99991231", "date_out_of_range"),
    ],
)
def test_a_row_with_an_impossible_date_is_kept_apart_with_its_reason(written, reason):
    assert reason_of(DTPOSTED=written) == reason


@pytest.mark.parametrize("written", ["20240229", "20231231", "20111230", "19740101"])
def test_a_rare_but_real_day_is_a_date(written):
    assert f"{read_row(DTPOSTED=written).transaction_date:%Y%m%d}" == written


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("20240131", datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("20240131000000", datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("20240131165153", datetime(2024, 1, 31, 16, 51, 53, tzinfo=UTC)),
        ("20240131230000[-5:EST]", datetime(2024, 2, 1, 4, tzinfo=UTC)),
        ("00000000", None),
        ("20240602", datetime(2024, 6, 2, 12, tzinfo=UTC)),
        ("20240603003000[+14:LINT]", datetime(2024, 6, 2, 10, 30, tzinfo=UTC)),
        ("20240602230000[-5:EST]", None),
        ("20240603", None),
        ("20990101", None),
    ],
)
def test_a_balance_without_a_time_is_of_noon(written, utc):
    assert as_of(written, LIMITS) == utc


def test_a_balance_without_a_readable_date_is_as_of_the_statements_end():
    after = "<LEDGERBAL><BALAMT>5<DTASOF>00000000</LEDGERBAL>"
    assert read_account(bank_set(after=after)).balance_as_of == datetime(
        2024, 1, 31, 12, tzinfo=UTC
    )


def ledger(written: str) -> str:
    return f"<LEDGERBAL><BALAMT>5<DTASOF>{written}</LEDGERBAL>"


def dated(inner: str) -> str:
    """The day of the balance of a file of one account."""
    at = read_account(inner).balance_as_of
    return f"{at:%Y%m%d %H}" if at else ""


def test_a_balance_of_the_day_after_tomorrow_is_as_of_the_statements_end():
    assert dated(bank_set(after=ledger("20240603"))) == "20240131 12"


@pytest.mark.parametrize("end", ["", "<DTEND>20240630"])
def test_without_a_date_to_believe_the_newest_settled_row_dates_the_balance(end):
    rows = [row(DTPOSTED=day) for day in ("20240103", "20240105", "20240104", "20250101")]
    pending = row("STMTTRNP", DTPOSTED="20240109")
    after = f"<BANKTRANLISTP>{pending}</BANKTRANLISTP>{ledger('20240603')}"
    inner = bank_set(*rows, after=after).replace("<DTEND>20240131", end)
    assert dated(inner) == "20240105 12"


def test_where_nothing_has_a_date_the_balance_has_none():
    assert dated(bank_set(after=ledger("")).replace("<DTEND>20240131", "")) == ""


def test_a_statement_without_a_balance_has_a_date():
    assert dated(bank_set(after="")) == "20240131 12"


def test_an_investment_statement_is_as_of_its_own_date():
    inner = investment_set(trade("INCOME", "<TOTAL>1")).replace(
        "<DTEND>20240115", "<DTEND>20240120"
    )
    assert dated(inner) == "20240115 12"
    assert dated(inner.replace("<DTASOF>20240115", "<DTASOF>20240603")) == "20240120 12"


def test_the_period_is_read_as_written():
    account = read_account(bank_set())
    assert (account.period_start, account.period_end) == (date(2024, 1, 1), date(2024, 1, 31))
