"""The transactions page: search, filters, pages by key."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests import factories
from transactions.models import Transaction, TransactionEdit
from transactions.views import PAGE_SIZE


@pytest.fixture
def page(client, alice):
    """What alice's transactions page answers to a query string."""
    client.force_login(alice)
    return lambda query="": client.get(f"/transactions/{query}").content.decode()


def make(account, count=1, **fields):
    """So many transactions of one account, each a day older than the one before."""
    known = Transaction.objects.count()
    return Transaction.objects.bulk_create(
        Transaction(
            **{
                "user": account.user,
                "account": account,
                "provider_transaction_id": f"t{known + n}",
                "transaction_type": "other",
                "subtype": "purchase",
                "status": "settled",
                "amount": Decimal("-4.50"),
                "currency": "USD",
                "description": f"ROW{known + n:04}",
                "transaction_date": date(2024, 6, 1) - timedelta(days=n),
                **fields,
            }
        )
        for n in range(count)
    )


def rows(shown):
    return re.findall(r"ROW\d{4}", shown)


def link(shown, rel):
    return re.search(rf'href="([^"]+)" rel="{rel}"', shown)[1].replace("&amp;", "&")


def test_pages_show_every_row_once_and_lead_back(page, account):
    make(account, PAGE_SIZE + 5)
    first = page()
    second = page(link(first, "next"))
    assert len(rows(first)) == PAGE_SIZE
    assert rows(first) + rows(second) == [f"ROW{n:04}" for n in range(PAGE_SIZE + 5)]
    assert rows(page(link(second, "prev"))) == rows(first)


def test_many_rows_of_one_day_are_paged_without_loss_or_repeat(page, account):
    make(account, 3 * PAGE_SIZE, transaction_date=date(2024, 6, 1))
    first = page()
    second = page(link(first, "next"))
    third = page(link(second, "next"))
    seen = rows(first) + rows(second) + rows(third)
    assert len(seen) == len(set(seen)) == 3 * PAGE_SIZE
    assert rows(page(link(third, "prev"))) == rows(second)


def test_the_ends_lead_nowhere(page, account):
    make(account, PAGE_SIZE + 1)
    first = page()
    assert 'rel="prev"' not in first
    assert 'rel="next"' not in page(link(first, "next"))


def test_a_page_keeps_its_filters(page, account):
    make(account, PAGE_SIZE + 1)
    make(account, 1, description="OTHER")
    second = page(link(page("?q=row"), "next"))
    assert rows(second) == [f"ROW{PAGE_SIZE:04}"]


@pytest.mark.parametrize("cursor", ["junk", "eyJ9:1:2", ""])
def test_a_foreign_cursor_is_the_first_page(page, account, cursor):
    make(account, 2)
    assert rows(page(f"?older={cursor}")) == ["ROW0000", "ROW0001"]


@pytest.mark.parametrize("query", ["coffee", "COFFEE paris", "BEAN", "bean paris"])
def test_every_word_of_a_search_must_be_somewhere(page, account, query):
    make(account, description="ROW9998 tea")
    make(account, description="ROW9999 Coffee Paris", symbol="BEAN")
    assert rows(page(f"?q={query}")) == ["ROW9999"]


def test_a_search_finds_what_the_person_wrote(page, account):
    (txn,) = make(account)
    TransactionEdit.objects.create(user=txn.user, transaction=txn, note="birthday", description="")
    make(account)
    assert rows(page("?q=birthday")) == ["ROW0000"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("amount_min=-5&amount_max=0", ["ROW0000"]),
        ("amount_min=50", ["ROW0001"]),
        ("status=pending", ["ROW0001"]),
        ("transaction_type=transfer", ["ROW0001"]),
        ("date_from=2024-05-01", ["ROW0000"]),
        ("date_to=2024-04-30", ["ROW0001"]),
        ("date_from=2024-01-01&date_to=2024-12-31", ["ROW0000", "ROW0001"]),
    ],
)
def test_each_filter_narrows(page, account, query, found):
    make(account)
    make(account, amount=Decimal(90), status="pending", transaction_type="transfer",
         transaction_date=date(2024, 4, 1))  # fmt: skip
    assert rows(page(f"?{query}")) == found


def test_one_account_can_be_looked_at_alone(page, alice, account):
    other = factories.make_account(alice)
    make(account)
    make(other)
    assert rows(page(f"?account={other.pk}")) == ["ROW0001"]


@pytest.mark.parametrize(
    "query",
    [
        "amount_min=much",
        "amount_min=999999999999999999",
        "amount_max=0.00001",
        "amount_min=NaN",
        "date_from=2024-02-31",
        "date_to=99999-01-01",
        "status=maybe",
        "transaction_type=x",
        "account=not-a-uuid",
        "account=00000000-0000-0000-0000-000000000000",
        "q=%00",
        "date_from=2024-06-01&date_to=2024-01-01",
        "amount_min=5&amount_max=1",
    ],
)
def test_a_wrong_filter_is_told_beside_it(page, account, query):
    make(account)
    shown = page(f"?{query}")
    assert 'aria-invalid="true"' in shown
    assert 'class="errorlist"' in shown


def test_nothing_found_says_what_to_do(page, account):
    make(account)
    assert "Nothing fits" in page("?q=zzz")


def test_a_person_without_transactions_is_led_to_the_import(page):
    assert "No transactions yet" in page()


def test_bobs_account_is_no_filter_of_alices(page, account, bob):
    assert 'aria-invalid="true"' in page(f"?account={factories.make_account(bob).pk}")


def test_a_page_costs_the_same_whatever_it_shows(page, account, django_assert_num_queries):
    make(account, 2)
    with django_assert_num_queries(5):
        page()
    make(account, PAGE_SIZE)
    with django_assert_num_queries(5):
        page()
