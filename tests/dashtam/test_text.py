"""Text from outside becomes storable, and numbers are masked."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam.text import clean_text, display_text, mask_number


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\x00b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("a\x07b\x9f", "ab"),
        ("  COFFEE \t\r\n  BAR\xa0 ", "COFFEE BAR"),
        ("e\u0301", "é"),
        ("e\x01\u0301", "é"),
        ("☕ 👩‍👩‍👧", "☕ 👩‍👩‍👧"),
        ("\u202egnp.exe", "\u202egnp.exe"),
        ("", ""),
        (" \x00 ", "\ufffd"),
    ],
)
def test_text_becomes_storable(raw, clean):
    assert clean_text(raw, 255) == clean


def test_text_is_cut_at_its_length_without_a_space_at_the_end():
    assert clean_text("abc def", 4) == "abc"


def test_a_megabyte_of_marks_is_cut_before_it_costs_anything():
    assert len(clean_text("a" + "\u0301\u0316" * 500_000, 10)) == 10


@settings(derandomize=True, max_examples=500)
@given(st.text(st.characters(codec=None), max_size=80), st.integers(1, 40))
def test_clean_text_is_stored_as_it_is_and_cleaned_only_once(raw, length):
    clean = clean_text(raw, length)
    assert clean.encode().decode() == clean
    assert len(clean) <= length
    assert not any(unicodedata.category(c) == "Cc" for c in clean)
    assert clean_text(clean, length) == clean


def test_shown_text_cannot_turn_the_line_around():
    assert display_text("\u202egnp.exe\u2069\u200f") == "gnp.exe"


@pytest.mark.parametrize(
    ("number", "masked"),
    [("1234567890", "••••••7890"), ("12345", "•2345"), ("1234", "1234"), ("7", "7"), ("", "")],
)
def test_all_but_the_last_four_are_hidden(number, masked):
    assert mask_number(number) == masked
