"""A long history is asked for in parts: newest first, none forgotten, none asked for twice."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest

from connections.provider import fetched_providers

DAY = timedelta(days=1)
LAST = date(2026, 10, 20)
every_provider = pytest.mark.parametrize("source", fetched_providers(), ids=lambda one: one.slug)


def parts_of(source):
    return list(source(None).history(LAST))


@every_provider
def test_the_first_part_ends_where_it_was_asked_for(source):
    assert parts_of(source)[0][1] == LAST


@every_provider
def test_each_part_ends_the_day_before_the_one_before_it_begins(source):
    parts = parts_of(source)
    for (first, _last), (_first, last) in pairwise(parts):
        assert last == first - DAY


@every_provider
def test_the_last_part_begins_where_all_begins(source):
    firsts = [first for first, _last in parts_of(source)]
    assert firsts[-1] is None
    assert None not in firsts[:-1]


@every_provider
def test_no_part_is_empty(source):
    assert all(first <= last for first, last in parts_of(source) if first)
