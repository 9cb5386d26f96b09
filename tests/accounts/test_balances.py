"""Balances, their history, and net worth."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from accounts.models import Account, BalanceSnapshot, ExchangeRate, NetWorth
from accounts.services import net_worth, recalculate_net_worth, save_accounts, set_balance
from accounts.types import AccountType, SnapshotSource
from tests.factories import account_data, make_account, make_connection

pytestmark = pytest.mark.django_db
JANUARY, FEBRUARY = (datetime(2024, month, 28, 12, tzinfo=UTC) for month in (1, 2))


def bring(account, balance, as_of, sync):
    data = account_data(balance=balance and Decimal(balance), balance_as_of=as_of)
    change = set_balance(account, data, source=SnapshotSource.FILE_IMPORT, sync_id=sync.pk)
    account.save()
    return change


@pytest.fixture
def fresh(alice, connection):
    """An account nobody has said a balance of."""
    return make_account(alice, connection, balance=None, balance_as_of=None)


def test_a_first_balance_is_a_change_from_the_unknown(fresh, sync):
    change = bring(fresh, "50", JANUARY, sync)
    assert (change.previous, change.new) == (None, 50)


def test_a_newer_statement_moves_the_balance(fresh, sync):
    bring(fresh, "50", JANUARY, sync)
    assert bring(fresh, "70", FEBRUARY, sync).previous == 50


def test_an_older_statement_adds_history_and_never_overwrites_the_balance(fresh, sync):
    bring(fresh, "70", FEBRUARY, sync)
    assert bring(fresh, "50", JANUARY, sync) is None
    fresh.refresh_from_db()
    assert (fresh.balance, BalanceSnapshot.objects.count()) == (70, 2)


def test_the_same_balance_again_adds_no_history(fresh, sync):
    bring(fresh, "50", JANUARY, sync)
    assert bring(fresh, "50", JANUARY, sync) is None
    assert BalanceSnapshot.objects.count() == 1


def test_a_statement_without_a_balance_invents_none(fresh, sync):
    assert bring(fresh, None, JANUARY, sync) is None
    assert (fresh.balance, BalanceSnapshot.objects.count()) == (None, 0)


def test_saving_the_same_account_again_counts_it_as_unchanged(alice, connection):
    save_accounts(alice.pk, connection.pk, [account_data(balance=None)])
    saved, _accounts = save_accounts(alice.pk, connection.pk, [account_data(balance=None)])
    assert (saved.counts.created, saved.counts.unchanged) == (0, 1)


def test_a_renamed_account_is_updated_in_place(alice, connection):
    save_accounts(alice.pk, connection.pk, [account_data(balance=None)])
    renamed = account_data(balance=None, name="Everyday")
    saved, _accounts = save_accounts(alice.pk, connection.pk, [renamed])
    assert (saved.counts.updated, Account.objects.get().name) == (1, "Everyday")


def test_a_balance_that_will_change_counts_its_account_as_updated(alice, connection):
    save_accounts(alice.pk, connection.pk, [account_data(balance=None)])
    saved, _accounts = save_accounts(alice.pk, connection.pk, [account_data()])
    assert saved.counts.updated == 1


def test_an_account_listed_twice_is_saved_once(alice, connection):
    saved, _accounts = save_accounts(alice.pk, connection.pk, [account_data(), account_data()])
    assert (saved.counts.fetched, saved.counts.created, saved.counts.ignored) == (2, 1, 1)


def test_net_worth_is_assets_less_what_is_owed(alice, connection):
    make_account(alice, connection, balance=Decimal("1000.50"))
    make_account(
        alice, connection, balance=Decimal("-200.25"), account_type=AccountType.CREDIT_CARD
    )
    worth = net_worth(alice).converted
    assert (worth.assets, worth.liabilities, worth.total) == (
        Decimal("1000.50"),
        Decimal("-200.25"),
        Decimal("800.25"),
    )


def test_currencies_are_never_added_without_a_rate(alice, connection):
    make_account(alice, connection, balance=Decimal(100))
    make_account(alice, connection, balance=Decimal(50), currency="EUR")
    view = net_worth(alice)
    assert view.converted.total == 100
    assert view.unconverted == ("EUR",)


def test_a_known_rate_converts_through_the_euro(alice, connection):
    make_account(alice, connection, balance=Decimal(100), currency="GBP")
    for currency, rate in (("USD", "1.10"), ("GBP", "0.85")):
        ExchangeRate.objects.create(
            currency=currency, date=JANUARY, per_euro=Decimal(rate), source="test"
        )
    assert net_worth(alice).converted.total == Decimal("129.4118")


@pytest.mark.parametrize(
    "fields", [{"is_active": False}, {"include_in_net_worth": False}, {"balance": None}]
)
def test_what_is_not_counted_is_left_out(alice, connection, fields):
    make_account(alice, connection, **fields)
    assert net_worth(alice).account_count == 0


def test_a_duplicate_is_counted_once(alice, connection):
    first = make_account(alice, connection)
    make_account(alice, connection, duplicate_of=first)
    assert net_worth(alice).converted.total == 100


def test_invented_money_counts_only_while_the_sandbox_is_on(alice, settings):
    make_account(alice, make_connection(alice, is_sandbox=True))
    settings.SANDBOX = True
    assert net_worth(alice).account_count == 1
    settings.SANDBOX = False
    assert net_worth(alice).account_count == 0
    assert not Account.objects.for_user(alice).for_dashboard().exists()


def test_a_strangers_accounts_are_not_mine(alice, bob):
    make_account(bob)
    assert net_worth(alice).account_count == 0


def test_net_worth_is_told_only_when_it_changed(alice, account):
    change = recalculate_net_worth(alice)
    assert (change.previous, change.new) == (0, 100)
    assert recalculate_net_worth(alice) is None


def test_net_worth_of_many_accounts_takes_as_many_statements_as_of_one(
    alice, connection, django_assert_num_queries
):
    for _ in range(20):
        make_account(alice, connection)
    with django_assert_num_queries(1):
        net_worth(alice)


def test_a_new_base_currency_starts_from_nothing(alice, account):
    recalculate_net_worth(alice)
    alice.base_currency = "EUR"
    recalculate_net_worth(alice)
    assert NetWorth.objects.get().currency == "EUR"


def test_a_card_in_credit_is_an_asset_and_an_overdrawn_account_is_owed(alice, connection):
    make_account(alice, connection, balance=Decimal(50), account_type=AccountType.CREDIT_CARD)
    make_account(alice, connection, balance=Decimal(-20))
    worth = net_worth(alice).converted
    assert (worth.assets, worth.liabilities) == (50, -20)


def test_an_older_statement_does_not_rename_the_account(alice, connection):
    data = account_data(balance=None, metadata={"told_as_of": FEBRUARY.isoformat()})
    save_accounts(alice.pk, connection.pk, [data])
    older = account_data(balance=None, balance_as_of=JANUARY, currency="JPY")
    save_accounts(alice.pk, connection.pk, [older])
    assert Account.objects.get().currency == "USD"


def test_a_file_without_a_date_never_beats_a_balance_with_one(fresh, sync):
    bring(fresh, "50", JANUARY, sync)
    assert bring(fresh, "70", None, sync) is None
    assert fresh.balance == 50


def test_a_retirement_account_stays_one_when_a_file_says_less(alice, connection):
    for kind in (AccountType.K401, AccountType.BROKERAGE):
        save_accounts(alice.pk, connection.pk, [account_data(balance=None, account_type=kind)])
    assert Account.objects.get().account_type == AccountType.K401
