"""Reading JSON strictly, one field at a time."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connections.errors import BadProviderData
from connections.rows import Row, Unreadable, product, read_rows, total, whole_answer

TODAY = datetime.now(UTC).date()


def read_all(rows, mapping, **kwargs) -> list[Any]:
    return list(read_rows(rows, mapping, **kwargs))


def read(method, value):
    return getattr(Row({"x": value}), method)("x")


@pytest.mark.parametrize(
    ("method", "value", "meaning"),
    [
        ("text", " a ", " a "),
        ("words", "a", "a"),
        ("words", None, ""),
        ("words", 7, ""),
        ("identifier", "a", "a"),
        ("identifier", 0, "0"),
        ("identifier", 126095976447, "126095976447"),
        ("amount", "1.00005", Decimal("1.0000")),
        ("amount", Decimal("-0.45"), Decimal("-0.45")),
        ("amount", 7, Decimal(7)),
        ("amount", "49.6499849605505227113711001112", Decimal("49.65")),
        ("quantity", "0.0000025", Decimal("0.0000025")),
        ("quantity", "1." + "1" * 60, Decimal("1." + "1" * 18)),
        ("quantity", Decimal("1E-60"), Decimal(0)),
        ("quantity", Decimal("0." + "7" * 60), Decimal("0." + "7" * 17 + "8")),
        ("currency", "usd", "USD"),
        ("day", "2026-06-01", date(2026, 6, 1)),
        ("instant", "2026-06-01T00:00:00+0200", datetime(2026, 5, 31, 22, tzinfo=UTC)),
        ("instant", "2026-06-01T00:00:00.99658Z", datetime(2026, 6, 1, 0, 0, 0, 996580, UTC)),
        ("items", [1], [1]),
        ("items", None, []),
        ("rows", None, []),
    ],
)
def test_a_field_is_what_it_says(method, value, meaning):
    assert read(method, value) == meaning


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("text", ""),
        ("text", " "),
        ("text", 7),
        ("identifier", ""),
        ("identifier", True),
        ("identifier", Decimal("1.5")),
        ("identifier", "x" * 256),
        ("amount", 1.5),
        ("amount", "NaN"),
        ("amount", Decimal("NaN")),
        ("amount", Decimal("Infinity")),
        ("amount", "1e5"),
        ("amount", "1,5"),
        ("amount", "1" * 60),
        ("amount", "1." + "1" * 400),
        ("amount", Decimal("1E+300")),
        ("amount", True),
        ("quantity", "1" * 45),
        ("quantity", None),
        ("currency", "<script>"),
        ("currency", 7),
        ("day", "20260601"),
        ("day", "2026-02-30"),
        ("day", "9999-12-31"),
        ("day", "0001-01-01"),
        ("day", str(TODAY + timedelta(days=400))),
        ("day", str(TODAY - timedelta(days=51 * 366))),
        ("day", 7),
        ("instant", "2026-06-01T00:00:00"),
        ("instant", "9999-12-31T23:59:59-1200"),
        ("instant", 7),
        ("row", []),
        ("rows", {}),
        ("rows", [7]),
        ("items", "text"),
    ],
)
def test_what_is_missing_or_wrong_is_refused_by_name(method, value):
    with pytest.raises(Unreadable) as caught:
        read(method, value)
    assert caught.value.field == "x"


def test_a_field_within_a_field_is_named_by_its_path():
    with pytest.raises(Unreadable, match=r"a\.b\.c is missing") as caught:
        Row({"a": {"b": [{"c": 7}]}}).row("a").rows("b")[0].text("c")
    assert caught.value.field == "a.b.c"


def test_what_may_be_missing_is_none():
    row = Row({"there": "1", "null": None})
    assert row.maybe(row.amount, "there") == 1
    assert row.maybe(row.amount, "null") is None
    assert row.maybe(row.amount, "nowhere") is None


def test_no_row_costs_another():
    (first, bad, last) = read_all([{"a": "1"}, {"a": "?"}, {"a": "3"}], lambda row: row.amount("a"))
    assert (first, last) == (1, 3)
    assert bad.params == {"field": "a"}


@pytest.mark.parametrize(
    ("error", "params"),
    [
        (KeyError("gone"), {"field": "gone"}),
        (IndexError("list index out of range"), {}),
        (ValueError("invalid literal"), {}),
        (AttributeError("no attribute"), {}),
        (ZeroDivisionError("division by zero"), {}),
        (TypeError("has no len()"), {}),
    ],
)
def test_whatever_a_mapping_stumbles_over_costs_its_row_only(error, params):
    def mapping(row):
        raise error

    (found,) = read_all([{"id": 7}], mapping, is_holding=True)
    assert found.reason == "row_unreadable"
    assert found.params == params
    assert found.provider_id == "7"
    assert found.is_holding


def test_a_mistake_that_is_not_about_the_row_is_not_hidden():
    def broken(row):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        list(read_rows([{}], broken))


@pytest.mark.parametrize("raw", [None, 7, "text", [1]])
def test_a_row_that_is_no_object_is_kept_as_it_is(raw):
    (found,) = read_all([raw], lambda row: row)
    assert found.params == {"field": "row"}
    assert json.loads(found.payload) == raw


def test_an_id_that_is_none_is_left_out():
    (found,) = read_all([{"id": ["x"]}], lambda row: row.text("a"))
    assert found.provider_id == ""


def test_the_payload_can_be_read_again():
    (found,) = read_all([{"a": Decimal("-4.50"), "b": "\ud800"}], lambda row: row.text("c"))
    assert Row(json.loads(found.payload)).amount("a") == Decimal("-4.5")


@pytest.mark.parametrize("answer", [{}, None, "text", 7])
def test_an_answer_that_is_no_list_is_bad_as_a_whole(answer):
    with pytest.raises(BadProviderData):
        list(read_rows(answer, lambda row: row))


def test_what_an_answer_stands_on_is_named():
    with pytest.raises(BadProviderData) as caught, whole_answer():
        Row({}).row("holder")
    assert caught.value.params == {"reason": "wrong_shape", "field": "holder"}


def test_no_digit_is_lost_in_products_and_sums():
    nines = Decimal("9." + "9" * 39)
    assert product(nines, nines) == Decimal(f"{(10**40 - 1) ** 2}e-78")
    assert total([nines, Decimal("1E-50")]) == Decimal("9." + "9" * 39 + "0" * 10 + "1")


@pytest.mark.parametrize("odd", ["A\0", "A\ud800", "Ä\udfff"])
def test_what_no_database_keeps_is_no_id_and_no_text_and_is_left_out_of_words(odd):
    row = Row({"said": odd})
    for read in (row.identifier, row.text):
        with pytest.raises(Unreadable):
            read("said")
    assert row.words("said") == odd[0]
