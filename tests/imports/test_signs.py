"""Cards whose bank writes money spent, or the balance owed, as positive."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.urls import reverse

from accounts.models import Account
from imports import services
from imports.mapping import Signs
from tests.imports.texts import card_statement, stmttrn

pytestmark = pytest.mark.django_db

SPENT = (stmttrn("45.00", "20240105", "C1", "SHOES"), stmttrn("15.00", "20240106", "C2", "LUNCH"))


AS_WRITTEN = Signs(is_chosen=True)


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
    services.turn_signs(statement, statement.summary["accounts"][0]["key"], AS_WRITTEN)
    account = bring(alice, statement)
    assert account.balance == 60


def test_what_the_person_said_holds_for_the_next_file(alice):
    statement = preview(alice, *SPENT)
    services.turn_signs(statement, statement.summary["accounts"][0]["key"], AS_WRITTEN)
    bring(alice, statement)
    again = preview(alice, *SPENT, stmttrn("5.00", "20240107", "C3"))
    assert again.summary["accounts"][0]["rows"]["known"] == 2
    assert not again.summary["accounts"][0]["rows_turned"]


def test_a_file_that_showed_nothing_leaves_the_next_one_to_speak(alice):
    bring(alice, preview(alice, balance="0.00"))
    again = preview(alice, *SPENT)
    assert again.summary["accounts"][0]["rows_turned"]


def test_an_account_that_is_not_in_the_file_turns_nothing(alice):
    statement = preview(alice, *SPENT)
    before = statement.summary
    services.turn_signs(statement, "another", Signs())
    assert statement.summary == before


def test_on_the_page_a_card_asks_about_its_signs(client, alice):
    client.force_login(alice)
    statement = preview(alice, *SPENT)
    page = client.get(reverse("imports:statement", args=[statement.pk])).content.decode()
    assert "we turned them" in page


def test_on_the_page_the_answer_is_taken(client, alice):
    client.force_login(alice)
    statement = preview(alice, *SPENT)
    key = statement.summary["accounts"][0]["key"]
    client.post(reverse("imports:signs", args=[statement.pk]), {"account": key})
    statement.refresh_from_db()
    assert statement.summary["accounts"][0]["balance"] == "60"
