"""The account page's check, calendar and twins, and what a person may answer about twins."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection as db_connection
from django.test.utils import CaptureQueriesContext

from accounts.coverage import keep_period
from accounts.models import Account, BalanceSnapshot, KeptApart
from tests import factories
from tests.dashtam.test_pages import make_transaction

DAYS = ("2024-01-31", "2024-02-29", "2024-03-31")


@pytest.fixture
def browser(client, alice):
    """Alice's browser, signed in."""
    client.force_login(alice)
    return client


@pytest.fixture
def twin(alice, account):
    """The same account, read by a connection."""
    bank = factories.make_connection(alice, provider_slug="alpaca", credential_type="api_key")
    return factories.make_account(
        alice,
        bank,
        balance=Decimal("99.00"),
        transactions_from=date(2024, 3, 1),
        transactions_synced_at=datetime(2024, 5, 31, tzinfo=UTC),
    )


def words(response):
    assert response.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def tell(account, *amounts):
    """What a source said of it at the end of the first months of 2024."""
    for day, amount in zip(DAYS, amounts, strict=False):
        BalanceSnapshot.objects.create(
            user=account.user,
            account=account,
            balance=Decimal(amount),
            currency="USD",
            source="file_import",
            as_of=datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=UTC),
        )


def cover(account, *periods):
    for first, last in periods:
        sync = factories.make_sync(account.connection)
        account.connection.syncs.update(status="succeeded")
        days = date.fromisoformat(first), date.fromisoformat(last)
        keep_period(account, days, sync_id=sync.pk)


def statements_of(browser, address):
    with CaptureQueriesContext(db_connection) as captured:
        words(browser.get(address))
    return len(captured)


def test_an_account_that_adds_up_says_since_when(browser, account):
    tell(account, "100", "95.50")
    make_transaction(account, transaction_date=date(2024, 2, 5))
    shown = words(browser.get(f"/accounts/{account.pk}/"))
    assert "Checked from Jan 31, 2024 to Feb 29, 2024: difference $0.00" in shown


def test_an_account_that_does_not_says_after_which_day_and_leads_there(browser, account):
    tell(account, "100", "100", "95.50")
    response = browser.get(f"/accounts/{account.pk}/")
    assert "Difference −$4.50 after Feb 29, 2024" in words(response)
    there = f"/transactions/?account={account.pk}&amp;date_from=2024-02-29&amp;date_to=2024-03-31"
    assert there in response.content.decode()


def test_an_account_with_one_balance_has_nothing_to_compare_with(browser, account):
    assert "Nothing to compare with yet" in words(browser.get(f"/accounts/{account.pk}/"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"account_type": "brokerage"}, "value of securities moves by itself"),
        ({}, "in another currency than the balance"),
    ],
)
def test_an_account_that_cannot_be_checked_says_why(browser, account, fields, said):
    tell(account, "100", "95.50")
    BalanceSnapshot.objects.update(cash_value=Decimal("1"))
    BalanceSnapshot.objects.filter(balance=100).update(cash_value=Decimal("2"))
    Account.objects.update(**fields)
    if not fields:
        make_transaction(account, transaction_date=date(2024, 2, 5), currency="EUR")
    assert said in words(browser.get(f"/accounts/{account.pk}/"))


def test_the_calendar_tells_gaps_in_words_and_leads_to_each_month(browser, account):
    cover(account, ("2024-01-01", "2024-05-02"), ("2024-06-02", "2024-06-30"))
    response = browser.get(f"/accounts/{account.pk}/")
    shown = words(response)
    assert "No data from May 3, 2024 to Jun 1, 2024. Import that statement" in shown
    assert "April 2024: covered" in shown
    assert "May 2024: partly covered" in shown
    assert "date_from=2024-04-01&amp;date_to=2024-04-30" in response.content.decode()


def test_a_gap_of_one_day_is_one_day(browser, account):
    cover(account, ("2024-01-01", "2024-01-30"), ("2024-02-01", "2024-02-29"))
    assert "No data for Jan 31, 2024." in words(browser.get(f"/accounts/{account.pk}/"))


def test_a_calendar_without_gaps_says_so(browser, account):
    cover(account, ("2024-01-01", "2024-01-31"), ("2024-01-15", "2024-02-29"))
    shown = words(browser.get(f"/accounts/{account.pk}/"))
    assert "No day between is missing." in shown
    assert "January 2024: covered twice" in shown


@pytest.mark.parametrize("address", ["/", "/accounts/", "/accounts/{pk}/"])
def test_twins_are_asked_about_with_what_both_sides_know(browser, account, twin, address):
    make_transaction(account)
    shown = words(browser.get(address.format(pk=account.pk)))
    assert "Is this the same account?" in shown
    for side in ("from your files $100.00", "from your connection $99.00", "1 transaction"):
        assert side in shown


@pytest.mark.parametrize("address", ["/", "/accounts/", "/accounts/{pk}/"])
def test_however_many_twins_there_are_a_page_takes_as_many_statements(
    browser, alice, account, twin, address
):
    one = statements_of(browser, address.format(pk=account.pk))
    for number in range(5):
        for _ in range(2):
            factories.make_account(alice, account_number_masked=f"••••100{number}")
    assert statements_of(browser, address.format(pk=account.pk)) == one


def test_the_connections_account_leads_and_the_page_says_where_else_it_is_known(
    browser, account, twin
):
    there = browser.post(
        f"/accounts/{twin.pk}/same/", {"other": account.pk, "leads": twin.pk}, follow=True
    )
    assert "Also known from your files" in words(there)
    assert there.redirect_chain[0][0] == f"/accounts/{twin.pk}/"
    assert "$99.00" in words(browser.get("/"))
    assert "which leads. It is left out of sums" in words(browser.get(f"/accounts/{account.pk}/"))


def test_the_person_may_let_the_other_one_lead(browser, account, twin):
    browser.post(f"/accounts/{twin.pk}/same/", {"other": account.pk, "leads": account.pk})
    twin.refresh_from_db()
    assert twin.duplicate_of == account
    assert "Also known from a connection" in words(browser.get(f"/accounts/{account.pk}/"))


def test_the_leading_accounts_page_has_the_days_it_does_not_know_itself(browser, account, twin):
    make_transaction(account, description="OLD BOOKS")
    make_transaction(account, description="TWICE", transaction_date=date(2024, 4, 1))
    browser.post(f"/accounts/{twin.pk}/same/", {"other": account.pk})
    for address in (f"/accounts/{twin.pk}/", f"/transactions/?account={twin.pk}", "/transactions/"):
        shown = words(browser.get(address))
        assert ("OLD BOOKS" in shown, "TWICE" in shown) == (True, False)


def test_a_duplicates_own_page_has_all_its_source_told(browser, account, twin):
    make_transaction(account, description="TWICE", transaction_date=date(2024, 4, 1))
    browser.post(f"/accounts/{twin.pk}/same/", {"other": account.pk})
    assert "TWICE" in words(browser.get(f"/accounts/{account.pk}/"))


def test_separated_they_are_two_again(browser, account, twin):
    browser.post(f"/accounts/{twin.pk}/same/", {"other": account.pk})
    there = browser.post(f"/accounts/{account.pk}/separate/", follow=True)
    assert "These are two accounts again." in words(there)
    assert "$199.00" in words(browser.get("/"))


def test_declined_they_are_asked_about_no_more_and_may_still_be_joined(browser, account, twin):
    there = browser.post(
        f"/accounts/{twin.pk}/two/", {"other": account.pk, "place": "accounts"}, follow=True
    )
    assert there.redirect_chain[0][0] == "/accounts/"
    assert "Is this the same account?" not in words(browser.get("/"))
    assert "is another account. They are the same after all" in words(
        browser.get(f"/accounts/{twin.pk}/")
    )
    browser.post(f"/accounts/{twin.pk}/same/", {"other": account.pk})
    assert not KeptApart.objects.exists()


def test_what_cannot_be_one_account_is_told(browser, alice, account):
    other = factories.make_account(alice, currency="EUR")
    there = browser.post(f"/accounts/{account.pk}/same/", {"other": other.pk}, follow=True)
    assert "different currencies cannot be one" in words(there)


@pytest.mark.parametrize("answer", ["same", "two", "separate"])
def test_answers_change_something_so_they_are_never_read(browser, account, answer):
    assert browser.get(f"/accounts/{account.pk}/{answer}/").status_code == 405


@pytest.mark.parametrize("answer", ["same", "two"])
def test_an_account_of_somebody_elses_or_none_is_not_found(browser, bob, account, answer):
    others = factories.make_account(bob)
    for other in (others.pk, "", "x"):
        response = browser.post(f"/accounts/{account.pk}/{answer}/", {"other": other})
        assert response.status_code == 404
    assert (
        browser.post(f"/accounts/{others.pk}/{answer}/", {"other": account.pk}).status_code == 404
    )


def test_somebody_elses_accounts_are_not_separated(browser, bob):
    leading = factories.make_account(bob)
    others = factories.make_account(bob, duplicate_of=leading)
    assert browser.post(f"/accounts/{others.pk}/separate/").status_code == 404
    others.refresh_from_db()
    assert others.duplicate_of == leading
