"""The dashboard, one account, settings, the pages of what went wrong."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import connection as db_connection
from django.db.transaction import atomic
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import NetWorth
from dashtam.events import NewEvent, record
from dashtam.pages import server_error
from dashtam.people import signed_in
from holdings.models import Holding
from tests import factories
from transactions.models import Transaction

CHANGE = {"previous_net_worth": "0", "new_net_worth": "100", "delta": "100", "currency": "USD"}


@pytest.fixture
def page(client, alice):
    """What alice sees at an address."""
    client.force_login(alice)

    def read(address, **headers):
        response = client.get(address, headers=headers)
        assert response.status_code == 200
        return response.content.decode()

    return read


def make_transaction(account, **fields):
    return Transaction.objects.create(
        **{
            "user": account.user,
            "account": account,
            "provider_transaction_id": f"t{Transaction.objects.count()}",
            "transaction_type": "other",
            "subtype": "purchase",
            "status": "settled",
            "amount": Decimal("-4.50"),
            "currency": "USD",
            "description": "COFFEE",
            "transaction_date": date(2024, 1, 5),
            **fields,
        }
    )


def statements_of(page, address):
    with CaptureQueriesContext(db_connection) as captured:
        page(address)
    return len(captured)


def test_a_new_person_is_led_to_the_import(page):
    shown = page("/")
    assert "Bring your first statement" in shown
    assert 'href="/imports/"' in shown


def test_the_dashboard_tells_net_worth_accounts_and_transactions(page, account):
    make_transaction(account)
    shown = page("/")
    assert "$100.00" in shown
    assert "as of Jan 31, 2024" in shown
    assert "−$4.50" in shown


def test_assets_and_liabilities_stand_apart(page, alice, account):
    factories.make_account(alice, account_type="credit_card", balance=Decimal("-40"))
    shown = page("/")
    assert 'id="net-worth">$60.00<' in shown
    assert '<dd class="figure">−$40.00</dd>' in shown


def test_currencies_are_never_added(page, alice, account):
    factories.make_account(alice, currency="EUR", balance=Decimal("50"))
    shown = page("/")
    assert 'id="net-worth">$100.00<' in shown
    assert "€50.00" in shown
    assert "No exchange rate to USD is known for: EUR" in shown


def test_one_foreign_currency_alone_is_the_net_worth(page, alice):
    factories.make_account(alice, currency="EUR", balance=Decimal("50"))
    assert 'id="net-worth">€50.00<' in page("/")


def test_nothing_convertible_makes_no_figure_up(page, alice):
    for currency in ("EUR", "GBP"):
        factories.make_account(alice, currency=currency, balance=Decimal("50"))
    shown = page("/")
    assert "net-worth" not in shown
    assert "£50.00" in shown


def test_an_account_without_a_balance_is_not_worth_zero(page, alice):
    factories.make_account(alice, balance=None, balance_as_of=None)
    shown = page("/")
    assert "no balance told" in shown
    assert "$0.00" not in shown


def test_the_last_change_is_told_in_the_currency_that_counts(page, alice, account):
    with atomic():
        record(alice.pk, NewEvent("portfolio.networth.updated", {**CHANGE, "account_count": 1}))
    assert "+$100.00" in page("/")
    alice.base_currency = "EUR"
    alice.save()
    assert "+$100.00" not in page("/")


def test_the_live_part_is_the_same_as_the_first_render(page, account):
    part = page("/", **{"HX-Request": "true"})
    assert part.strip() in page("/")
    assert "<html" not in part


def test_fifty_accounts_cost_the_dashboard_no_more_statements_than_one(page, alice, account):
    make_transaction(account)
    before = statements_of(page, "/")
    for _ in range(49):
        make_transaction(factories.make_account(alice, account.connection))
    assert statements_of(page, "/") == before


def test_a_page_follows_events_from_before_its_data_was_read(page, alice, account):
    with atomic():
        record(alice.pk, NewEvent("portfolio.networth.updated", {**CHANGE, "account_count": 1}))
    assert 'data-since="1"' in page("/")


def test_an_account_shows_what_it_holds_with_totals(page, account):
    for symbol, value in (("VTI", "300"), ("BND", "200.55")):
        Holding.objects.create(
            user=account.user, account=account, provider_holding_id=symbol, symbol=symbol,
            asset_type="etf", quantity=Decimal("1.5"), market_value=Decimal(value), currency="USD",
        )  # fmt: skip
    shown = page(f"/accounts/{account.pk}/")
    assert shown.index("VTI") < shown.index("BND")
    assert "$500.55" in shown


def test_a_cost_that_is_partly_unknown_has_no_total(account):
    for cost in (Decimal(5), None):
        Holding.objects.create(
            user=account.user, account=account, provider_holding_id=str(cost), asset_type="etf",
            quantity=Decimal(1), market_value=Decimal(7), cost_basis=cost, currency="USD",
        )  # fmt: skip
    (total,) = Holding.objects.for_user(account.user).totals()
    assert (total["value"], total["without_value"], total["without_cost"]) == (14, 0, 1)


def test_a_cancelled_transaction_is_struck_and_says_so(page, account):
    make_transaction(account, status="cancelled")
    shown = page(f"/accounts/{account.pk}/")
    assert "is-void" in shown
    assert "Cancelled" in shown


def test_scripts_in_bank_data_are_only_text(page, account):
    account.name = make_transaction(account, description="<script>alert(1)</script>").description
    account.save()
    for address in ("/", "/accounts/", f"/accounts/{account.pk}/", "/transactions/"):
        assert "<script>alert" not in page(address)


def test_a_stranger_sees_nothing_of_alice(client, bob, account):
    make_transaction(account)
    client.force_login(bob)
    assert client.get(f"/accounts/{account.pk}/").status_code == 404
    for address in ("/", "/accounts/", "/transactions/"):
        assert "COFFEE" not in client.get(address).content.decode()
        assert "1234" not in client.get(address).content.decode()


@pytest.mark.parametrize(
    "address", ["/", "/accounts/", "/transactions/", "/imports/", "/settings/"]
)
def test_who_is_not_signed_in_is_asked_to(client, db, address):
    response = client.get(address)
    assert response.status_code == 302
    assert response["Location"] == f"/auth/login/?next={address}"


def test_a_live_part_without_a_session_leads_the_whole_page_to_the_sign_in(client, db):
    response = client.get("/", headers={"HX-Request": "true"})
    assert response["HX-Redirect"] == "/auth/login/"
    assert b"<form" not in response.content


def test_signed_in_pages_are_stored_nowhere(client, alice):
    client.force_login(alice)
    assert "no-store" in client.get("/")["Cache-Control"]


def test_a_new_base_currency_counts_net_worth_anew(client, alice, account):
    client.force_login(alice)
    form = {"base_currency": "EUR", "time_zone": "Europe/Berlin"}
    assert client.post("/settings/", form).status_code == 302
    alice.refresh_from_db()
    assert (alice.base_currency, alice.time_zone) == ("EUR", "Europe/Berlin")
    assert NetWorth.objects.get(user=alice).currency == "EUR"


def test_settings_refuse_a_currency_and_a_zone_that_do_not_exist(client, alice):
    client.force_login(alice)
    form = {"base_currency": "DEM", "time_zone": "Moon/Base"}
    shown = client.post("/settings/", form).content.decode()
    assert shown.count('aria-invalid="true"') == 2


def test_a_zone_this_machine_lost_is_utc(page, alice):
    type(alice).objects.filter(pk=alice.pk).update(time_zone="Moon/Base")
    assert "Dashboard" in page("/")


def test_times_are_told_by_the_persons_clock(page, alice):
    instant = datetime(2024, 1, 31, 23, 30, tzinfo=UTC)
    factories.make_account(alice, balance_as_of=instant)
    type(alice).objects.filter(pk=alice.pk).update(time_zone="Asia/Tokyo")
    assert "as of Feb 1, 2024" in page("/")


def test_our_own_mistake_has_a_page_that_needs_no_database(rf):
    response = server_error(rf.get("/"))
    assert response.status_code == 500
    assert "nothing saved before was changed" in response.content.decode()


def test_an_unknown_address_has_words(client, db):
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


def test_a_form_without_its_token_is_told_so(alice):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    response = strict.post("/settings/", {})
    assert response.status_code == 403
    assert "This form has expired" in response.content.decode()


def test_every_answer_names_its_request(client, db):
    first, second = (client.get("/auth/login/")["X-Request-ID"] for _ in range(2))
    assert first != second


def test_only_a_trusted_proxy_may_name_a_request(client, db, settings):
    given = {"X-Request-ID": "from-the-proxy"}
    assert client.get("/auth/login/", headers=given)["X-Request-ID"] != "from-the-proxy"
    settings.TRUSTED_PROXY_COUNT = 1
    assert client.get("/auth/login/", headers=given)["X-Request-ID"] == "from-the-proxy"


def test_sign_up_can_be_closed(client, db, settings):
    settings.SIGN_UP_OPEN = False
    assert "takes no new accounts" in client.get("/auth/signup/").content.decode()


def test_no_page_has_inline_scripts_or_styles(page, account):
    for address in ("/", "/accounts/", f"/accounts/{account.pk}/", "/transactions/", "/imports/"):
        shown = page(address)
        assert " style=" not in shown
        assert "<style" not in shown
        assert not re.search(r"<script(?![^>]* src=)", shown)


def test_a_view_that_nobody_may_see_refuses_nobody(rf):
    request = rf.get("/")
    request.user = AnonymousUser()
    with pytest.raises(PermissionDenied):
        signed_in(request)
