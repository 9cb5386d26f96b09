"""The same account by two doors: suggested, joined, listed once, and parted again."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection as db_connection
from django.test.utils import CaptureQueriesContext

from accounts.coverage import keep_period
from accounts.models import Account, NetWorth
from accounts.services import net_worth
from accounts.twins import CannotJoin, apart_from, keep_apart, suggestions
from connections.connecting import disconnect
from connections.joining import join_accounts, separate_account
from connections.types import CredentialType
from dashtam.models import Event
from tests import factories
from tests.factories import row
from transactions.matching import from_file
from transactions.models import Transaction
from transactions.services import save_transactions


@pytest.fixture
def filed(alice):
    """Alice's account as her files know it, with a history of its own."""
    return factories.make_account(alice, balance=Decimal("90.00"))


@pytest.fixture
def bank(alice):
    """A connection that reads by itself."""
    return factories.make_connection(
        alice, provider_slug="alpaca", credential_type=CredentialType.API_KEY
    )


@pytest.fixture
def read(alice, bank):
    """The same account as that connection knows it, from March 2024 on."""
    return factories.make_account(
        alice,
        bank,
        transactions_from=date(2024, 3, 1),
        transactions_synced_at=datetime(2024, 5, 31, tzinfo=UTC),
    )


def told(user, **fields):
    """The pairs that are suggested, for two accounts of which the second has these fields."""
    factories.make_account(user)
    factories.make_account(user, **fields)
    return pairs_of(user)


def pairs_of(user, of=None):
    own = Account.objects.for_user(user).for_dashboard().select_related("connection")
    return suggestions(user, list(own), of=of)


def put(account, *days, name="COFFEE"):
    """Save one row of each of these days (`1-31` is the last of January 2024)."""
    dates = [date(2024, *map(int, day.split("-"))) for day in days]
    rows = from_file([row(day=day, name=name) for day in dates])
    save_transactions(account, rows, sync_id=ended_sync(account).pk)


def ended_sync(account):
    sync = factories.make_sync(account.connection)
    account.connection.syncs.update(status="succeeded")
    return sync


def listed(user):
    """Which days are listed, oldest first, and of which account."""
    rows = Transaction.objects.for_user(user).listed().order_by("transaction_date", "id")
    return [(f"{txn.transaction_date:%-m-%-d}", txn.account_id) for txn in rows]


def counted(user):
    return net_worth(user).converted.total


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"institution_name": "FIRST BANK, N.A."},
        {"institution_name": "First"},
        {"account_number_masked": "••1234"},
        {"account_number_masked": "1234"},
        {"account_type": "other"},
    ],
)
def test_what_seems_to_be_one_account_is_suggested(alice, fields):
    (pair,) = told(alice, **fields)
    assert pair.leading.pk != pair.other.pk


@pytest.mark.parametrize(
    "fields",
    [
        {"institution_name": "Second Bank"},
        {"account_number_masked": "••••1235"},
        {"account_number_masked": "••34"},
        {"account_number_masked": ""},
        {"currency": "EUR"},
        {"account_type": "savings"},
        {"account_type": "credit_card"},
        {"is_active": False},
    ],
)
def test_what_does_not_is_left_alone(alice, fields):
    assert told(alice, **fields) == []


def test_two_accounts_of_one_connection_are_two(alice, bank):
    for _ in range(2):
        factories.make_account(alice, bank)
    assert pairs_of(alice) == []


def test_what_is_somebody_elses_is_never_suggested(alice, bob):
    factories.make_account(alice)
    factories.make_account(bob)
    assert pairs_of(alice) == []


def test_the_connection_is_to_lead_unless_the_person_differs(alice, filed, read):
    put(filed, "1-5", "2-5")
    (pair,) = pairs_of(alice)
    assert (pair.leading, pair.other) == (read, filed)
    assert (pair.leading.transaction_count, pair.other.transaction_count) == (0, 2)


def test_what_was_declined_is_not_suggested_again(alice, filed, read):
    keep_apart(alice, filed.pk, read.pk)
    keep_apart(alice, read.pk, filed.pk)
    assert pairs_of(alice) == []
    assert (apart_from(filed), apart_from(read)) == ([read], [filed])


def test_joined_accounts_count_once_and_it_is_told(alice, filed, read):
    assert counted(alice) == Decimal("190")
    join_accounts(alice, read.pk, filed.pk)
    assert (counted(alice), NetWorth.objects.get().account_count) == (Decimal("100"), 1)
    assert Event.objects.get(name="portfolio.networth.updated").payload["new_net_worth"] == "100"
    assert list(Account.objects.for_user(alice).for_dashboard()) == [read]
    assert pairs_of(alice) == []


def test_separated_again_everything_is_as_before(alice, filed, read):
    put(filed, "1-5", "3-5")
    put(read, "3-5")
    before = counted(alice), listed(alice)
    join_accounts(alice, read.pk, filed.pk)
    assert (counted(alice), listed(alice)) != before
    separate_account(alice, filed.pk)
    assert (counted(alice), listed(alice)) == before
    assert Event.objects.filter(name="portfolio.networth.updated").count() == 2


def test_the_history_before_the_leading_account_stays_and_no_day_is_told_twice(alice, filed, read):
    put(filed, "1-5", "2-29", "3-1", "3-20")
    put(read, "3-1", "3-20", "4-2")
    join_accounts(alice, read.pk, filed.pk)
    assert listed(alice) == [
        ("1-5", filed.pk),
        ("2-29", filed.pk),
        ("3-1", read.pk),
        ("3-20", read.pk),
        ("4-2", read.pk),
    ]


def test_a_day_that_the_leading_account_knows_to_be_empty_stays_empty(alice, filed, read):
    put(filed, "4-7")
    join_accounts(alice, read.pk, filed.pk)
    assert listed(alice) == []


def test_after_the_last_reading_of_the_leading_account_the_other_goes_on(alice, filed, read):
    put(filed, "5-30", "6-2")
    join_accounts(alice, read.pk, filed.pk)
    assert listed(alice) == [("6-2", filed.pk)]


def test_files_that_lead_are_filled_in_between_their_statements(alice, filed, read):
    march = date(2024, 3, 1), date(2024, 3, 31)
    keep_period(filed, march, sync_id=ended_sync(filed).pk)
    Account.objects.filter(pk=filed.pk).update(transactions_synced_at=datetime.now(UTC))
    put(filed, "3-3", "5-9")
    put(read, "3-3", "3-4", "4-4", "5-9")
    join_accounts(alice, filed.pk, read.pk)
    assert listed(alice) == [("3-3", filed.pk), ("4-4", read.pk), ("5-9", filed.pk)]


def test_of_two_duplicates_one_tells_a_day(alice, filed, read):
    third = factories.make_account(alice)
    put(filed, "1-5")
    put(third, "1-5", "1-6")
    for other in (filed, third):
        join_accounts(alice, read.pk, other.pk)
    assert listed(alice) == [("1-5", filed.pk), ("1-6", third.pk)]


def test_the_list_of_the_leading_account_has_the_other_doors_rows(alice, filed, read):
    put(filed, "1-5", "3-5")
    put(read, "3-5")
    join_accounts(alice, read.pk, filed.pk)
    found = Transaction.objects.for_user(alice).listed().matching({"account": read})
    assert found.count() == 2


@pytest.mark.parametrize("rows", [1, 60])
def test_a_page_of_the_list_is_one_statement_however_much_is_joined(alice, filed, read, rows):
    put(filed, *(f"{1 + n // 28}-{1 + n % 28}" for n in range(rows)))
    join_accounts(alice, read.pk, filed.pk)
    with CaptureQueriesContext(db_connection) as captured:
        Transaction.objects.for_user(alice).listed().page(50)
    assert len(captured) == 1


def test_a_duplicate_that_is_to_lead_gives_way_to_who_leads_it(alice, filed, read):
    third = factories.make_account(alice)
    join_accounts(alice, read.pk, filed.pk)
    assert join_accounts(alice, filed.pk, third.pk) == read
    third.refresh_from_db()
    assert third.duplicate_of == read


def test_an_account_brings_its_duplicates_along(alice, filed, read):
    third = factories.make_account(alice)
    join_accounts(alice, filed.pk, third.pk)
    join_accounts(alice, read.pk, filed.pk)
    assert set(read.duplicates.all()) == {filed, third}
    assert not Account.objects.filter(duplicate_of__duplicate_of__isnull=False).exists()


def test_a_circle_is_refused(alice, filed, read):
    join_accounts(alice, read.pk, filed.pk)
    for pair in ((filed, read), (read, filed), (read, read)):
        with pytest.raises(CannotJoin, match="same_already"):
            join_accounts(alice, pair[0].pk, pair[1].pk)


def test_what_is_joined_elsewhere_is_not_taken_away(alice, filed, read):
    third = factories.make_account(alice)
    join_accounts(alice, read.pk, filed.pk)
    with pytest.raises(CannotJoin, match="joined_elsewhere"):
        join_accounts(alice, third.pk, filed.pk)


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"currency": "EUR"}, "not_alike"), ({"is_active": False}, "cannot_lead")],
)
def test_what_cannot_be_one_account_is_refused(alice, filed, fields, code):
    leading = factories.make_account(alice, **fields)
    with pytest.raises(CannotJoin, match=code):
        join_accounts(alice, leading.pk, filed.pk)


def test_two_accounts_of_one_connection_are_never_joined(alice, filed):
    beside = factories.make_account(alice, filed.connection)
    with pytest.raises(CannotJoin, match="cannot_lead"):
        join_accounts(alice, beside.pk, filed.pk)


def test_a_strangers_account_does_not_exist(alice, bob, filed):
    others = factories.make_account(bob)
    for leading, led in ((others, filed), (filed, others)):
        with pytest.raises(Account.DoesNotExist):
            join_accounts(alice, leading.pk, led.pk)
    with pytest.raises(Account.DoesNotExist):
        separate_account(alice, others.pk)
    with pytest.raises(Account.DoesNotExist):
        keep_apart(alice, filed.pk, others.pk)


def test_disconnected_with_its_data_the_other_counts_again_and_no_row_is_twice(
    alice, bank, filed, read
):
    put(filed, "1-5", "3-5")
    put(read, "3-5", "4-2")
    join_accounts(alice, read.pk, filed.pk)
    disconnect(bank, keep_data=True)
    filed.refresh_from_db()
    assert (filed.duplicate_of, counted(alice)) == (None, Decimal("90"))
    assert [day for day, _of in listed(alice)] == ["1-5", "3-5", "4-2"]
    assert Event.objects.filter(name="portfolio.networth.updated").count() == 2


def test_deleted_with_its_data_the_other_counts_again(alice, bank, filed, read):
    put(filed, "1-5", "3-5")
    join_accounts(alice, read.pk, filed.pk)
    disconnect(bank, keep_data=False)
    assert (counted(alice), [day for day, _of in listed(alice)]) == (Decimal("90"), ["1-5", "3-5"])
    last = Event.objects.filter(name="portfolio.networth.updated").latest("sequence")
    assert last.payload["new_net_worth"] == "90"


@pytest.mark.parametrize("keep_data", [True, False])
def test_of_several_left_behind_one_leads_the_others(alice, bank, filed, read, keep_data):
    third = factories.make_account(alice, balance=Decimal("91"))
    for other in (filed, third):
        join_accounts(alice, read.pk, other.pk)
    disconnect(bank, keep_data=keep_data)
    third.refresh_from_db()
    assert (third.duplicate_of, counted(alice)) == (filed, Decimal("90"))
