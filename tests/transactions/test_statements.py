"""Saving takes as many statements for a full chunk as for a single row."""

from __future__ import annotations

import pytest
from django.db import connection as db_connection
from django.test.utils import CaptureQueriesContext

from tests.factories import many
from transactions.matching import from_provider
from transactions.models import Transaction
from transactions.services import CHUNK, save_transactions

pytestmark = pytest.mark.django_db


@pytest.fixture
def statements(account, sync):
    """Save rows as a provider brings them; how many statements that took."""

    def statements(rows) -> int:
        with CaptureQueriesContext(db_connection) as captured:
            save_transactions(account, from_provider(rows), sync_id=sync.pk)
        return len(captured)

    return statements


def test_a_full_chunk_of_new_rows_takes_as_many_statements_as_one(statements):
    alone = statements(many(1))
    Transaction.objects.all().delete()
    assert statements(many(CHUNK)) == alone == 4  # a look and an insert between two savepoints


def test_a_full_chunk_seen_again_takes_as_many_statements_as_one(statements):
    statements(many(CHUNK))
    assert statements(many(CHUNK)) == statements(many(1)) == 3  # a look between two savepoints


def test_rows_that_changed_are_found_among_those_that_did_not(account, sync):
    save_transactions(account, from_provider(many(CHUNK)), sync_id=sync.pk)
    rows = [*many(CHUNK)[:-1], *many(CHUNK, name="TEA")[-1:]]
    counts = save_transactions(account, from_provider(rows), sync_id=sync.pk).counts
    assert (counts.updated, counts.unchanged) == (1, CHUNK - 1)
    assert Transaction.objects.filter(description="TEA").count() == 1


def test_nothing_to_save_is_nothing_saved(statements):
    assert statements([]) <= 3
    assert not Transaction.objects.exists()
