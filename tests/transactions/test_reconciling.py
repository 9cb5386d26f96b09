"""Balances that sources told, held against the transactions that are stored."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection as db_connection
from django.test.utils import CaptureQueriesContext

from accounts.models import BalanceSnapshot
from connections.models import Sync
from tests import factories
from tests.factories import row
from transactions.matching import from_provider
from transactions.models import Transaction
from transactions.reconciling import CheckState, check
from transactions.services import save_transactions


def tell(account, day, amount, **fields):
    """A source says what the account is worth at noon of a day."""
    at = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=UTC)
    values = {"balance": Decimal(amount), "currency": "USD", "source": "account_sync", **fields}
    return BalanceSnapshot.objects.create(user=account.user, account=account, as_of=at, **values)


def put(account, *rows):
    """Save (amount, day) rows, each with further fields of its own."""
    data = [
        row(amount, day, provider_transaction_id=f"t{n}{day}", **fields)
        for n, (amount, day, fields) in enumerate(rows)
    ]
    sync = Sync.objects.create(
        user=account.user, connection=account.connection, trigger="manual", status="succeeded"
    )
    save_transactions(account, from_provider(data), sync_id=sync.pk)


def test_one_balance_is_nothing_to_compare_with(account):
    tell(account, "2024-01-31", "100")
    assert check(account).state == CheckState.NOTHING_YET


def test_rows_that_lead_from_one_balance_to_the_next_are_even(account):
    tell(account, "2024-01-31", "100")
    tell(account, "2024-02-29", "60")
    put(account, ("-50", "2024-02-05", {}), ("10", "2024-02-06", {}))
    found = check(account)
    assert (found.state, found.breaks) == (CheckState.EVEN, ())
    assert (found.first.isoformat(), found.last.isoformat()) == ("2024-01-31", "2024-02-29")


@pytest.mark.parametrize("status", ["pending", "cancelled", "failed"])
def test_only_what_settled_counts(account, status):
    tell(account, "2024-01-31", "100")
    tell(account, "2024-02-29", "100")
    put(account, ("-50", "2024-02-05", {"status": status}))
    assert check(account).state == CheckState.EVEN


def test_rows_before_the_first_balance_are_in_it_already(account):
    tell(account, "2024-01-31", "100")
    tell(account, "2024-02-29", "100")
    put(account, ("-50", "2020-01-01", {}), ("-50", "2024-01-30", {}))
    assert check(account).state == CheckState.EVEN


def test_a_difference_says_between_which_balances_it_begins(account):
    for day, amount in (("2024-01-31", "100"), ("2024-02-10", "100"), ("2024-02-20", "90")):
        tell(account, day, amount)
    found = check(account)
    (one,) = found.breaks
    assert (found.state, one.difference) == (CheckState.DIFFERS, Decimal("-10"))
    assert (one.opening_day.day, one.closing_day.day) == (10, 20)


def test_an_old_difference_stays_told_beside_what_adds_up_since(account):
    for day, amount in (("2024-01-31", "100"), ("2024-02-10", "90"), ("2024-02-20", "90")):
        tell(account, day, amount)
    found = check(account)
    assert (found.state, found.first.day, len(found.breaks)) == (CheckState.EVEN, 10, 1)


def test_of_many_differences_the_newest_are_told(account):
    for n in range(6):
        tell(account, f"2024-01-{n + 1:02}", str(n * n))
    found = check(account)
    assert (len(found.breaks), found.more_breaks) == (3, 2)
    assert found.breaks[0].closing_day.day == 6


def test_rows_in_another_currency_cannot_be_added(account):
    tell(account, "2024-01-31", "100")
    tell(account, "2024-02-29", "90")
    put(account, ("-10", "2024-02-05", {"currency": "EUR"}))
    found = check(account)
    assert (found.state, found.reason) == (CheckState.CANNOT, "other_currency")


def test_securities_move_by_themselves_so_only_cash_is_looked_at(alice):
    account = factories.make_account(alice, account_type="brokerage")
    tell(account, "2024-01-31", "5000", cash_value=Decimal("100"))
    tell(account, "2024-02-29", "9000", cash_value=Decimal("40"))
    put(account, ("-60", "2024-02-28", {}))
    found = check(account)
    assert (found.state, found.is_cash) == (CheckState.EVEN, True)


def test_cash_may_follow_the_day_of_settlement(alice):
    account = factories.make_account(alice, account_type="brokerage")
    for day, cash in (("2024-01-31", "100"), ("2024-02-10", "100"), ("2024-02-20", "40")):
        tell(account, day, "5000", cash_value=Decimal(cash))
    settled = datetime(2024, 2, 12, tzinfo=UTC).date()
    put(account, ("-60", "2024-02-08", {"settlement_date": settled}))
    assert check(account).state == CheckState.EVEN


def test_cash_that_does_not_follow_is_no_proof_of_a_fault(alice):
    account = factories.make_account(alice, account_type="brokerage")
    tell(account, "2024-01-31", "5000", cash_value=Decimal("100"))
    tell(account, "2024-02-29", "9000", cash_value=Decimal("40"))
    found = check(account)
    assert (found.state, found.reason, found.breaks) == (CheckState.CANNOT, "investment", ())


def test_an_investment_account_without_cash_cannot_be_compared(alice):
    account = factories.make_account(alice, account_type="brokerage")
    tell(account, "2024-01-31", "5000")
    tell(account, "2024-02-29", "9000")
    assert check(account).state == CheckState.NOTHING_YET


@pytest.mark.parametrize("months", [2, 12])
def test_however_many_balances_and_rows_it_takes_two_statements(account, months):
    for month in range(1, months + 1):
        tell(account, f"2024-{month:02}-28", "100")
        put(account, ("-5", f"2024-{month:02}-10", {}), ("5", f"2024-{month:02}-11", {}))
    with CaptureQueriesContext(db_connection) as captured:
        assert check(account).state == CheckState.EVEN
    assert len(captured) == 2


def test_a_row_deleted_from_under_the_balances_is_found(account):
    tell(account, "2024-01-31", "100")
    tell(account, "2024-02-29", "60")
    put(account, ("-50", "2024-02-05", {}), ("10", "2024-02-06", {}))
    Transaction.objects.get(amount=Decimal("-50")).delete()
    (one,) = check(account).breaks
    assert one.difference == Decimal("-50")
