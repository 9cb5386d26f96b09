"""Which days a connection is known to cover."""

from __future__ import annotations

import pytest
from django.db.models import Min
from django.utils.timezone import now

from accounts.coverage import coverage_of
from accounts.models import Account
from connections.models import Sync
from connections.tasks import run_sync
from tests.connections.journeys import connect
from transactions.models import Transaction


@pytest.mark.django_db(transaction=True)
def test_a_whole_history_is_covered_from_its_first_row_to_the_reading(browser, bank):
    connect(browser, bank, person="nora")
    sync = Sync.objects.get()
    while sync.status in {"queued", "running"}:
        run_sync(str(sync.pk))
        sync.refresh_from_db()
    firsts = dict(Transaction.objects.values_list("account").annotate(Min("transaction_date")))
    assert firsts
    for account in Account.objects.filter(pk__in=firsts, is_history_complete=True):
        found = coverage_of(account)
        assert (found.first_day, found.gaps) == (firsts.pop(account.pk), ())
        assert found.last_day == now().date()
    assert not firsts
