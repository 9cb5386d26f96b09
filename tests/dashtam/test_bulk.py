"""Many rows in one statement, with every kind of value intact."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection
from django.db.transaction import atomic

from dashtam.bulk import bulk_insert
from transactions.models import Transaction


def a_transaction(account, key="t1", **fields):
    return Transaction(
        **{
            "user_id": account.user_id,
            "account": account,
            "provider_transaction_id": key,
            "transaction_type": "trade",
            "subtype": "buy",
            "status": "settled",
            "amount": Decimal("-1234.5678"),
            "currency": "USD",
            "transaction_date": date(2024, 1, 5),
            **fields,
        }
    )


def test_every_kind_of_value_comes_back_as_it_was(account):
    values = {
        "description": "Café — 100 % {braces} \\ 'quotes' \"double\"",
        "quantity": Decimal("0.000000000000000001"),
        "occurred_at": datetime(2024, 1, 5, 10, 30, tzinfo=UTC),
        "settlement_date": None,
        "is_flagged": True,
        "provider_metadata": {"a": ["%s", {"b": None}]},
    }
    bulk_insert([a_transaction(account, **values)])
    stored = Transaction.objects.get()
    assert {name: getattr(stored, name) for name in values} == values
    assert stored.amount == Decimal("-1234.5678")


TEXTS = [
    "",
    "\\N",
    "NULL",
    "\\.",
    "tab\there",
    "two\nlines\r\n",
    "a\\\\b",
    '"',
    "{}",
    "a,b",
    "é — 漢",
]


@pytest.mark.parametrize("is_told_twice", [False, True])
def test_texts_that_mean_something_to_a_database_are_texts(account, is_told_twice):
    rows = [
        a_transaction(account, f"t{n}", description=text, quantity=Decimal(n) if n % 2 else None)
        for n, text in enumerate(TEXTS)
    ]
    bulk_insert(rows, ignore_conflicts=is_told_twice)
    stored = Transaction.objects.order_by("id").values_list("description", "quantity")
    assert sorted(stored, key=str) == sorted(
        ((text, Decimal(n) if n % 2 else None) for n, text in enumerate(TEXTS)), key=str
    )


def test_a_column_that_says_one_thing_says_it_in_every_row(account):
    bulk_insert([a_transaction(account, f"t{n}", description="a\tb\\") for n in range(3)])
    assert set(Transaction.objects.values_list("description", flat=True)) == {"a\tb\\"}


def test_equal_objects_are_each_written_as_they_are(account):
    said = (1, True)
    bulk_insert([a_transaction(account, f"{n!r}", provider_metadata={"a": n}) for n in said])
    written = Transaction.objects.values_list("provider_metadata", flat=True)
    assert sorted(map(str, written)) == ["{'a': 1}", "{'a': True}"]


def test_an_insert_is_seen_by_whoever_watches_statements(account):
    seen = []

    def watch(execute, sql, *rest):
        seen.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(watch):
        bulk_insert([a_transaction(account)])
    assert len(seen) == 1
    assert Transaction._meta.db_table in seen[0]


def test_rows_of_one_call_take_one_statement(account, django_assert_num_queries):
    with django_assert_num_queries(1):
        bulk_insert([a_transaction(account, f"t{n}") for n in range(500)])
    assert Transaction.objects.count() == 500


def test_nothing_to_insert_is_nothing_done(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        bulk_insert([])


def test_an_inserted_instance_saves_as_an_update(account):
    one = a_transaction(account)
    bulk_insert([one])
    one.description = "changed"
    one.save()
    assert Transaction.objects.get().description == "changed"


def test_a_row_that_is_there_is_an_integrity_error(account):
    bulk_insert([a_transaction(account)])
    with pytest.raises(IntegrityError), atomic():
        bulk_insert([a_transaction(account)])


def test_a_row_that_is_there_is_left_alone_when_asked(account):
    bulk_insert([a_transaction(account)])
    bulk_insert([a_transaction(account), a_transaction(account, "t2")], ignore_conflicts=True)
    assert Transaction.objects.count() == 2
