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


def preview(user, *rows, balance="60.00"):
    data = card_statement(*rows, balance=balance)
    return services.preview_upload(user, file_name="card.qfx", data=data)


def bring(user, statement):
    services.run(services.confirm(statement).pk)
    return Account.objects.for_user(user).get()


def turn(statement, *, rows=False, balance=False):
    key = statement.summary["accounts"][0]["key"]
    services.turn_signs(statement, key, Signs(rows, balance))


def first_account(statement):
    return statement.summary["accounts"][0]


def test_a_card_that_writes_spending_as_positive_is_asked_about_and_not_guessed(alice):
    account = first_account(preview(alice, *SPENT))
    assert (account["suggests_rows"], account["suggests_balance"]) == (True, True)
    assert (account["rows_turned"], account["balance"]) == (False, "60")


def test_turned_as_the_person_says_spending_is_negative_and_owed_is_owed(alice):
    statement = preview(alice, *SPENT)
    turn(statement, rows=True, balance=True)
    account = bring(alice, statement)
    assert account.balance == -60
    assert {txn.amount for txn in account.transactions.all()} == {Decimal(-45), Decimal(-15)}


def test_a_usual_card_is_not_asked_about(alice):
    statement = preview(alice, stmttrn("-45.00", "20240105", "C1"), balance="-45.00")
    assert not first_account(statement)["suggests_rows"]
    assert not first_account(statement)["suggests_balance"]


def test_what_the_person_said_holds_for_the_next_file(alice):
    statement = preview(alice, *SPENT)
    turn(statement, rows=True, balance=True)
    bring(alice, statement)
    again = first_account(preview(alice, *SPENT, stmttrn("5.00", "20240107", "C3")))
    assert (again["rows"]["known"], again["rows"]["new"]) == (2, 1)
    assert (again["rows_turned"], again["balance"]) == (True, "-60")


def test_rows_are_not_turned_once_some_were_saved(alice):
    bring(alice, preview(alice, *SPENT))
    again = preview(alice, *SPENT, stmttrn("5.00", "20240107", "C3"))
    turn(again, rows=True)
    assert first_account(again)["rows_fixed"]
    assert first_account(again)["rows"]["known"] == 2


def test_one_refund_of_a_fee_turns_nothing(alice):
    bring(alice, preview(alice, stmttrn("-45.00", "20240105", "C1"), balance="-45.00"))
    fee = "<STMTTRN><TRNTYPE>FEE<DTPOSTED>20240106<TRNAMT>35.00<FITID>C9<NAME>FEE</STMTTRN>"
    account = bring(alice, preview(alice, fee, balance="-10.00"))
    assert account.transactions.get(provider_transaction_id="C9").amount == 35


def test_an_account_that_is_not_in_the_file_turns_nothing(alice):
    statement = preview(alice, *SPENT)
    before = statement.summary
    services.turn_signs(statement, "another", Signs(rows_turned=True))
    assert statement.summary == before


def test_on_the_page_a_card_is_asked_about(client, alice):
    client.force_login(alice)
    statement = preview(alice, *SPENT)
    page = client.get(reverse("imports:statement", args=[statement.pk])).content.decode()
    assert "seems to write signs the other way round" in page


def test_on_the_page_the_answer_is_taken(client, alice):
    client.force_login(alice)
    statement = preview(alice, *SPENT)
    answer = {"account": first_account(statement)["key"], "balance_turned": "on"}
    client.post(reverse("imports:signs", args=[statement.pk]), answer)
    statement.refresh_from_db()
    assert first_account(statement)["balance"] == "-60"
