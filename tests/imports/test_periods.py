"""Which days an imported statement covers."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from importlib import import_module

import pytest
import time_machine
from django.apps import apps

from accounts.models import CoveredPeriod
from accounts.types import AccountType
from imports.formats.types import ParsedAccount
from imports.mapping import covered_days
from imports.models import StatementFile
from imports.services import confirm, preview_upload
from imports.tasks import run_import
from tests.factories import row
from tests.imports.statements import bank_set, ofx
from tests.imports.statements import row as ofx_row

JANUARY = ofx(bank_set(ofx_row()))


def told(first, last, *days, as_of=None):
    """The days that a statement with this period and rows on these days covers."""
    account = ParsedAccount(
        bank_id="1",
        number="2",
        account_type=AccountType.CHECKING,
        raw_type="CHECKING",
        currency="USD",
        balance=Decimal(1),
        balance_as_of=datetime.fromisoformat(f"{as_of}T12:00+00:00") if as_of else None,
        period_start=date.fromisoformat(first) if first else None,
        period_end=date.fromisoformat(last) if last else None,
        transactions=[row(day=day) for day in days],
    )
    found = covered_days(account)
    return found and tuple(day.isoformat() for day in found)


def bring(alice, data=JANUARY):
    statement = preview_upload(alice, file_name="january.qfx", data=data)
    run_import(str(confirm(statement).pk))
    return statement


@time_machine.travel("2024-06-15")
@pytest.mark.parametrize(
    ("statement", "covers"),
    [
        (("2024-01-01", "2024-01-31"), ("2024-01-01", "2024-01-31")),
        (("2024-06-01", "2024-06-30", "2024-06-03"), ("2024-06-01", "2024-06-15")),
        ((None, None, "2024-01-05", "2024-01-20"), ("2024-01-05", "2024-01-20")),
        (("1970-01-01", "2024-01-31", "2023-01-05"), ("2023-01-05", "2024-01-31")),
        ((None, None), None),
        (("2024-02-01", "2024-01-01"), None),
        (("2024-07-01", "2024-07-31"), None),
    ],
)
def test_a_period_is_believed_as_far_as_it_can_be_true(statement, covers):
    assert told(*statement) == covers


def test_a_statement_downloaded_in_mid_month_ends_with_its_balance():
    assert told("2024-01-01", "2024-01-31", "2024-01-09", as_of="2024-01-10") == (
        "2024-01-01",
        "2024-01-10",
    )


def test_a_balance_of_the_last_working_day_does_not_shorten_the_month():
    assert told("2024-03-01", "2024-03-31", as_of="2024-03-28") == ("2024-03-01", "2024-03-31")


def test_an_import_keeps_the_days_it_covers(alice):
    statement = bring(alice)
    period = CoveredPeriod.objects.for_user(alice).get()
    assert (period.first_day, period.last_day) == (date(2024, 1, 1), date(2024, 1, 31))
    assert period.sync_id == statement.sync_id


def test_a_look_at_a_file_keeps_none(alice):
    preview_upload(alice, file_name="january.qfx", data=JANUARY)
    assert not CoveredPeriod.objects.exists()


def test_statements_from_before_periods_were_kept_get_theirs(alice):
    bring(alice)
    CoveredPeriod.objects.all().delete()
    StatementFile.objects.create(user=alice, file_name="b", sha256="0", size_bytes=1)
    import_module("imports.migrations.0002_periods").keep_periods(apps, None)
    assert CoveredPeriod.objects.get().last_day == date(2024, 1, 31)
