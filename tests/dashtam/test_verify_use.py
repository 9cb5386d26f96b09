"""Whatever people do with their data in the usual ways, `manage.py verify` finds it in order."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from accounts.models import Account
from connections.connecting import disconnect
from connections.joining import join_accounts, separate_account
from connections.models import Sync
from connections.sandbox.faults import Fault
from connections.services import sync_now
from connections.tasks import run_sync
from dashtam.models import Installation
from tests.connections.conftest import bank, browser  # noqa: F401 - fixtures by their names
from tests.connections.journeys import connect
from tests.factories import make_account, make_connection
from tests.imports.statements import bank_set, ofx, row
from tests.imports.undo_property import bring, take_back

# A provider's token is refreshed in a transaction of its own.
pytestmark = pytest.mark.django_db(transaction=True)

BROKEN = row(FITID="f9", TRNAMT="1,2.3,4", DTPOSTED="20240111", NAME="BROKEN")
JANUARY = ofx(bank_set(row(), row(FITID="f2", TRNAMT="-9.99"), BROKEN))
FEBRUARY = ofx(
    bank_set(row(NAME="CORRECTED"), after="<LEDGERBAL><BALAMT>75.00<DTASOF>20240229</LEDGERBAL>")
)


@pytest.fixture
def in_order(capsys, alice):
    """Whether nothing is found; what is found is the assertion's message."""
    Installation.objects.check_keys()

    def check():
        try:
            call_command("verify", no_color=True)
        except SystemExit:
            raise AssertionError(capsys.readouterr().out) from None

    return check


def test_after_an_undo_of_what_could_not_be_read_either(alice, in_order):
    january = bring(alice, JANUARY)
    in_order()
    take_back(january)
    in_order()


def test_after_an_undo_that_leaves_other_statements(alice, in_order):
    january = bring(alice, JANUARY)
    bring(alice, FEBRUARY)
    take_back(january)
    in_order()


def test_after_syncs_with_faults_and_a_disconnection(browser, bank, in_order):  # noqa: F811
    connection = connect(browser, bank, person="nora")
    run_sync(str(Sync.objects.get().pk))
    in_order()
    for fault in (Fault.MISSING_ACCOUNT, Fault.LIE_YEAR, Fault.MALFORMED):
        bank.faults.add("*/trader/v1/accounts*", fault, times=None)
        run_sync(str(sync_now(connection).pk))
        bank.faults.clear()
        in_order()
    disconnect(connection, keep_data=True)
    in_order()


def test_after_an_account_was_joined_separated_and_joined_again(alice, in_order):
    bring(alice, JANUARY)
    known = Account.objects.get()
    other = make_account(
        alice,
        make_connection(alice, institution_name=known.institution_name),
        account_number_masked=known.account_number_masked,
        institution_name=known.institution_name,
        account_type=known.account_type,
    )
    for _time in range(2):
        join_accounts(alice, other.pk, known.pk)
        in_order()
        separate_account(alice, known.pk)
    in_order()
