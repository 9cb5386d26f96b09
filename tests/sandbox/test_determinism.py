"""The same seed tells the same story, and a later day only adds to it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import cache

import pytest

from connections.sandbox.bank import Bank
from connections.sandbox.ledger import State
from connections.sandbox.market import NVDA_SPLIT, OPENED, Market
from connections.sandbox.people import People
from tests.sandbox.client import NOW, somebody


@cache
def stories(now, seed="dashtam"):
    people = People(seed, 0, 1)
    books = [account.book for account in people.schwab_accounts()]
    books += [account.book for account in people.alpaca_accounts()]
    return {book.owner: book.visible(now) for book in books}


def test_the_same_seed_tells_the_same_story():
    again = stories.__wrapped__(NOW)
    assert again == stories(NOW)


def test_another_seed_tells_another():
    assert stories(NOW) != stories(NOW, "other")


def test_numbers_hashes_and_keys_come_from_the_seed():
    first, second, other = (People(seed, 0, 2) for seed in ("a", "a", "b"))
    assert [account.hash_value for account in first.schwab_accounts()] == [
        account.hash_value for account in second.schwab_accounts()
    ]
    assert not {account.secret for account in first.alpaca_accounts()} & {
        account.secret for account in other.alpaca_accounts()
    }


def test_a_later_look_at_the_same_book_is_the_same_as_a_fresh_one():
    later = NOW + timedelta(days=30)
    book = somebody(People("dashtam", 0, 1), "nora").schwab[0].book
    book.visible(NOW)
    assert book.visible(later) == stories(later)[book.owner]


@pytest.mark.parametrize("days", [1, 30, 400])
def test_a_later_day_only_adds_rows(days):
    before, after = stories(NOW), stories(NOW + timedelta(days=days))
    for owner, entries in before.items():
        assert after[owner][: len(entries)] == entries


def test_within_a_month_nearly_every_account_has_news():
    before, after = stories(NOW), stories(NOW + timedelta(days=30))
    still = [owner for owner in before if len(before[owner]) == len(after[owner])]
    assert still == ["schwab-nora-Brand new"]


def test_on_most_days_something_is_pending():
    book = somebody(People("dashtam", 0, 1), "nora").schwab[0].book
    days = [NOW + timedelta(days=number) for number in range(28)]
    pending = [State.PENDING in {entry.state(day) for entry in book.visible(day)} for day in days]
    assert sum(pending) >= 20


def test_ids_are_unique_in_a_book():
    for entries in stories(NOW).values():
        assert len({entry.id for entry in entries}) == len(entries)


def test_before_the_first_day_there_is_nothing():
    assert not any(stories(NOW.replace(year=2021)).values())


def test_prices_do_not_depend_on_the_order_they_are_asked_in():
    one, other, day = Market("s"), Market("s"), OPENED + timedelta(days=900)
    early = other.price("AAPL", OPENED)
    assert one.price("AAPL", day) == other.price("AAPL", day)
    assert one.price("AAPL", OPENED) == early


def test_a_split_divides_the_price():
    market, (day, ratio) = Market("s"), NVDA_SPLIT
    before, after = market.price("NVDA", day - timedelta(days=1)), market.price("NVDA", day)
    assert abs(after * ratio / before - 1) < Decimal("0.03")


def test_the_clock_runs_on_and_can_be_moved(bank: Bank):
    first = bank.clock.now()
    assert bank.clock.now() >= first
    bank.clock.advance(days=1, seconds=5)
    assert (
        timedelta(0)
        < bank.clock.now() - first - timedelta(days=1, seconds=5)
        < timedelta(minutes=1)
    )


def test_the_clock_needs_a_time_zone(bank: Bank):
    with pytest.raises(ValueError, match="time zone"):
        bank.clock.set(NOW.replace(tzinfo=None))
