"""Balance + rows = next balance: what may be in doubt, what differs, and from which day on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.reconciling import KnownBalance, reconcile
from dashtam.money import canonical

FIRST = date(2024, 1, 1)
# Balances are every so many days, and rows never beside them: no doubt about any day.
APART = 10
AMOUNTS = st.decimals(-9999, 9999, places=2).filter(bool)
ROWS = st.dictionaries(st.integers(0, 100), AMOUNTS, max_size=30)


def balance(day, amount, clock="12:00"):
    at = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)
    return KnownBalance(as_of=at, amount=Decimal(amount))


def rows(**by_day):
    """Rows of January 2024: `d5="-10"` is one of the fifth."""
    return {date(2024, 1, int(day[1:])): Decimal(amount) for day, amount in by_day.items()}


def differences(found):
    return [canonical(one.difference) for one in found.intervals]


def days_of(by_number):
    return {FIRST + timedelta(days=n): amount for n, amount in by_number.items()}


def balances_of(by_number, opening, includes):
    """What a bank says every tenth day; `includes` says whether with that day's own rows."""
    said = []
    for place, with_own in enumerate(includes):
        last = APART * (place + 1) - (0 if with_own else 1)
        total = sum((amount for n, amount in by_number.items() if n <= last), opening)
        said.append(balance(FIRST + timedelta(days=APART * (place + 1)), total))
    return said


def test_with_one_balance_there_is_nothing_to_compare():
    assert reconcile([balance("2024-01-31", "100")], {}) is None
    assert reconcile([], rows(d5="1")) is None


def test_one_instant_told_twice_is_one_balance():
    assert reconcile([balance("2024-01-31", "1"), balance("2024-01-31", "2")], {}) is None


def test_opening_and_rows_make_the_closing_balance():
    known = [balance("2024-01-01", "100"), balance("2024-01-31", "75.50")]
    found = reconcile(known, rows(d5="-30", d20="5.50"))
    assert (differences(found), found.breaks) == (["0"], ())
    assert (found.even_since, found.last) == tuple(known)


def test_a_missing_row_is_the_difference_and_says_what_was_expected():
    known = [balance("2024-01-01", "100"), balance("2024-01-31", "75.50")]
    (one,) = reconcile(known, rows(d5="-30")).breaks
    assert (one.expected, one.difference) == (Decimal("70"), Decimal("5.50"))


def test_what_a_card_owes_grows_with_what_is_bought():
    known = [balance("2024-01-01", "-250"), balance("2024-01-31", "-300")]
    assert differences(reconcile(known, rows(d9="-80", d20="30"))) == ["0"]


@pytest.mark.parametrize("amount", ["100", "60"])
def test_a_balance_of_noon_may_have_the_rows_of_its_day_or_not(amount):
    known = [balance("2024-01-01", "100"), balance("2024-01-10", amount)]
    assert differences(reconcile(known, rows(d10="-40"))) == ["0"]


def test_the_doubt_about_a_day_is_settled_the_same_way_towards_both_sides():
    # Without the rent before it, with the rent after it: so the rent would be nowhere.
    known = [
        balance("2024-01-01", "100"),
        balance("2024-01-10", "100"),
        balance("2024-01-20", "100"),
    ]
    assert len(reconcile(known, rows(d10="-40")).breaks) == 1


@pytest.mark.parametrize(
    ("clock", "day"), [("00:30", 9), ("00:30", 10), ("23:30", 9), ("23:30", 10), ("23:30", 11)]
)
def test_the_banks_day_may_be_another_than_that_of_greenwich(clock, day):
    known = [balance("2024-01-01", "100"), balance("2024-01-10", "60", clock)]
    assert differences(reconcile(known, rows(**{f"d{day}": "-40"}))) == ["0"]


def test_of_all_doubtful_readings_the_smallest_difference_is_told():
    known = [balance("2024-01-01", "3000"), balance("2024-01-10", "1000")]
    (one,) = reconcile(known, rows(d5="-7", d10="-2000")).breaks
    assert one.difference == Decimal("7")


def test_more_balances_narrow_down_where_it_begins_to_differ():
    known = [
        balance(f"2024-01-{day:02}", amount) for day, amount in ((1, 9), (8, 9), (15, 5), (29, 5))
    ]
    found = reconcile(known, {})
    (one,) = found.breaks
    assert (one.opening.day.day, one.closing.day.day) == (8, 15)
    assert (found.even_since.day.day, found.last.day.day) == (15, 29)


def test_a_balance_that_fits_nothing_for_a_while_is_no_lasting_difference():
    known = [balance(f"2024-01-{day:02}", amount) for day, amount in ((1, 9), (8, 4), (15, 9))]
    found = reconcile(known, {})
    assert (differences(found), found.breaks) == (["-5", "5"], ())


@given(ROWS, AMOUNTS, st.lists(st.booleans(), min_size=2, max_size=10))
@settings(deadline=None)
def test_whatever_happened_balances_that_have_it_all_agree(by_number, opening, includes):
    found = reconcile(balances_of(by_number, opening, includes), days_of(by_number))
    assert found.breaks == ()
    assert set(differences(found)) <= {"0"}


@given(ROWS, AMOUNTS, st.integers(11, 99).filter(lambda n: 1 < n % APART < 9), AMOUNTS)
@settings(deadline=None)
def test_one_lost_row_is_found_with_its_amount_and_between_its_days(rest, opening, lost, amount):
    by_number = {n: one for n, one in rest.items() if 1 < n % APART < 9 and n != lost}
    whole = {**by_number, lost: amount}
    (one,) = reconcile(balances_of(whole, opening, [True] * 10), days_of(by_number)).breaks
    assert one.difference == amount
    assert one.opening.day < FIRST + timedelta(days=lost) <= one.closing.day


@given(st.lists(AMOUNTS, min_size=2, max_size=20))
@settings(deadline=None)
def test_every_pair_says_expected_plus_difference_is_found(amounts):
    known = [balance(FIRST + timedelta(days=n), one) for n, one in enumerate(amounts)]
    found = reconcile(known, {})
    assert [one.closing for one in found.intervals] == known[1:]
    assert all(one.expected + one.difference == one.closing.amount for one in found.intervals)
    assert list(accumulate([amounts[0], *(one.difference for one in found.intervals)])) == amounts
