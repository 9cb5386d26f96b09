"""The list of accounts."""

from __future__ import annotations

from decimal import Decimal

from accounts.models import Account
from accounts.services import grouped
from accounts.types import AccountType
from tests import factories


def test_a_new_person_learns_where_accounts_come_from(client, alice):
    client.force_login(alice)
    assert "No accounts yet" in client.get("/accounts/").content.decode()


def test_accounts_stand_by_what_they_are_for(client, alice, account):
    factories.make_account(alice, account_type="mortgage", balance=Decimal("-5"))
    client.force_login(alice)
    shown = client.get("/accounts/").content.decode()
    assert shown.index("Banking") < shown.index("Cards and loans")
    assert "−$5.00" in shown


def test_the_live_part_is_only_the_list(client, alice):
    client.force_login(alice)
    part = client.get("/accounts/", headers={"HX-Request": "true"}).content
    assert part.lstrip().startswith(b'<section id="accounts"')


def test_every_type_has_its_place(alice):
    accounts = [factories.make_account(alice, account_type=kind) for kind in AccountType]
    assert sum(len(group.accounts) for group in grouped(accounts)) == len(AccountType)
    assert len(grouped(accounts)) == 4


def test_sums_of_a_group_never_cross_currencies(alice):
    for currency, balance in (("USD", "1"), ("EUR", "2"), ("USD", "3"), ("USD", None)):
        amount = Decimal(balance) if balance else None
        factories.make_account(alice, currency=currency, balance=amount)
    (group,) = grouped(Account.objects.for_user(alice))
    assert group.sums == [("EUR", Decimal(2)), ("USD", Decimal(4))]
