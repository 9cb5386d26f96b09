"""Which days are covered, by what, twice, or not at all."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.db import connection as db_connection
from django.test.utils import CaptureQueriesContext

from accounts.coverage import coverage_of, forget_periods, keep_period
from accounts.models import CoveredPeriod
from tests import factories


@pytest.fixture
def cover(account, connection):
    """Have one more statement cover some days."""

    def add(first, last, of=account):
        sync = factories.make_sync(of.connection)
        keep_period(of, (date.fromisoformat(first), date.fromisoformat(last)), sync_id=sync.pk)
        sync.status = "succeeded"
        sync.save()
        return sync

    return add


def states(coverage):
    """The months of every year by their first letters: `c` covered, `t` twice, `p`, `g`, `o`."""
    return {
        year.number: "".join(month.state[0] for month in year.months) for year in coverage.years
    }


def test_without_a_period_there_is_no_calendar(account):
    assert coverage_of(account) is None


def test_statements_side_by_side_leave_no_gap(account, cover):
    cover("2024-01-01", "2024-01-31")
    cover("2024-02-01", "2024-02-29")
    found = coverage_of(account)
    assert (states(found), found.gaps) == ({2024: "ccoooooooooo"}, ())


def test_a_missing_statement_is_a_gap_with_its_days(account, cover):
    cover("2024-04-01", "2024-05-02")
    cover("2024-06-02", "2024-06-30")
    found = coverage_of(account)
    assert found.gaps == ((date(2024, 5, 3), date(2024, 6, 1)),)
    assert states(found) == {2024: "ooocppoooooo"}


def test_a_whole_month_without_data_is_a_gap_also_across_a_year(account, cover):
    cover("2023-11-01", "2023-11-30")
    cover("2024-02-01", "2024-02-29")
    found = coverage_of(account)
    assert states(found) == {2024: "gcoooooooooo", 2023: "oooooooooocg"}
    assert list(states(found)) == [2024, 2023]


def test_days_in_two_statements_are_covered_twice(account, cover):
    cover("2024-01-01", "2024-02-29")
    cover("2024-02-01", "2024-03-31")
    assert states(coverage_of(account)) == {2024: "ctcooooooooo"}


def test_a_day_on_which_one_ends_and_the_next_begins_is_no_overlap(account, cover):
    cover("2024-01-01", "2024-02-01")
    cover("2024-02-01", "2024-02-29")
    assert states(coverage_of(account)) == {2024: "ccoooooooooo"}


def test_a_statement_inside_another_adds_no_day(account, cover):
    cover("2024-01-01", "2024-12-31")
    cover("2024-03-05", "2024-03-20")
    found = coverage_of(account)
    assert (states(found), found.gaps) == ({2024: "cctccccccccc"}, ())


def test_a_connection_covers_from_its_first_known_day_to_its_last_reading(account):
    account.transactions_from = date(2024, 2, 15)
    account.transactions_synced_at = datetime(2024, 4, 10, tzinfo=UTC)
    account.save()
    assert states(coverage_of(account)) == {2024: "opcpoooooooo"}


def test_a_duplicate_fills_the_calendar_of_the_account_that_leads(alice, account, cover):
    led = factories.make_account(alice, duplicate_of=account)
    cover("2024-01-01", "2024-01-31")
    cover("2024-02-01", "2024-02-29", of=led)
    assert states(coverage_of(account)) == {2024: "ccoooooooooo"}


def test_a_decade_of_statements_takes_two_statements_of_sql(account, cover):
    for year in range(2005, 2025):
        cover(f"{year}-01-01", f"{year}-06-30")
    with CaptureQueriesContext(db_connection) as captured:
        found = coverage_of(account)
    assert len(captured) == 2
    assert (len(found.years), len(found.gaps), found.more_gaps) == (12, 6, 13)


def test_a_period_kept_again_is_kept_once(account, cover):
    sync = cover("2024-01-01", "2024-01-31")
    keep_period(account, (date(2024, 1, 1), date(2024, 1, 30)), sync_id=sync.pk)
    assert CoveredPeriod.objects.get().last_day == date(2024, 1, 30)


def test_what_a_sync_covered_can_be_taken_back(account, cover):
    gone = cover("2024-01-01", "2024-01-31")
    cover("2024-02-01", "2024-02-29")
    forget_periods(gone.pk)
    assert CoveredPeriod.objects.get().first_day == date(2024, 2, 1)
