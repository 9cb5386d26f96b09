"""Cards whose bank writes money spent, or the balance owed, as positive."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.models import Account
from imports import services
from imports.mapping import Signs
from tests.imports.texts import card_statement, stmttrn

pytestmark = pytest.mark.django_db

SPENT = (stmttrn("45.00", "20240105", "C1", "SHOES"), stmttrn("15.00", "20240106", "C2", "LUNCH"))


def preview(user, *rows, balance="60.00"):
    data = card_statement(*rows, balance=balance)
    return services.preview_upload(user, file_name="card.qfx", data=data)


def bring(user, statement):
    services.run(services.confirm(statement).pk)
    return Account.objects.for_user(user).get()


def test_a_card_that_writes_spending_as_positive_is_turned(alice):
    account = bring(alice, preview(alice, *SPENT))
    assert account.balance == -60
    assert {txn.amount for txn in account.transactions.all()} == {Decimal(-45), Decimal(-15)}


def test_a_usual_card_is_left_as_it_is(alice):
    account = bring(alice, preview(alice, stmttrn("-45.00", "20240105", "C1"), balance="-45.00"))
    assert (account.balance, account.transactions.get().amount) == (-45, -45)


def test_the_person_may_say_that_the_suggestion_is_wrong(alice):
    statement = preview(alice, *SPENT)
    services.turn_signs(statement, statement.summary["accounts"][0]["key"], Signs())
    account = bring(alice, statement)
    assert account.balance == 60


def test_what_the_person_said_holds_for_the_next_file(alice):
    statement = preview(alice, *SPENT)
    services.turn_signs(statement, statement.summary["accounts"][0]["key"], Signs())
    bring(alice, statement)
    again = preview(alice, *SPENT, stmttrn("5.00", "20240107", "C3"))
    assert again.summary["accounts"][0]["rows"]["known"] == 2
    assert not again.summary["accounts"][0]["rows_turned"]


def test_an_account_that_is_not_in_the_file_turns_nothing(alice):
    statement = preview(alice, *SPENT)
    before = statement.summary
    services.turn_signs(statement, "another", Signs())
    assert statement.summary == before
