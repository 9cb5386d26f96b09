"""The pages of connections: what is there, what needs the person, and nothing of anybody else's."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils.timezone import now

from connections.models import Connection, ProviderSetting
from connections.sandbox.bank import Bank
from connections.templatetags.reasons import CATEGORIES, LABELS, SENTENCES
from connections.types import Category, ConnectionStatus
from tests import factories
from tests.connections.journeys import KEYS, OAUTH

STATUSES = list(ConnectionStatus)
REASONS = [key for key in SENTENCES if key[1]]


def text(browser, address: str, status: int = 200) -> str:
    response = browser.get(address)
    assert response.status_code == status
    return str(response.content.decode())


def test_an_empty_page_says_what_to_do(browser):
    assert "Nothing is connected yet" in text(browser, "/connections/")


def test_what_needs_the_person_stands_first(browser, alice):
    factories.make_connection(alice, alias="Works")
    factories.make_connection(alice, alias="Broken", status=ConnectionStatus.EXPIRED)
    page = text(browser, "/connections/")
    assert page.index("These need you") < page.index("Broken") < page.index("Works")


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_a_page_in_human_words(browser, alice, status):
    made = factories.make_connection(alice, status=status, status_reason="unheard_of")
    page = text(browser, f"/connections/{made.pk}/")
    assert str(LABELS[status]) in page
    assert "unheard_of" not in page


@pytest.mark.parametrize(("status", "reason"), REASONS)
def test_a_reason_is_a_sentence_of_its_own(browser, alice, status, reason):
    made = factories.make_connection(alice, status=status, status_reason=reason)
    words = str(SENTENCES[status, reason]) % {"name": "Statement file"}
    assert words in text(browser, f"/connections/{made.pk}/")


def test_a_consent_that_ends_soon_is_said(browser, alice):
    ends_at = now() + timedelta(days=1)
    made = factories.make_connection(alice, credentials_expires_at=ends_at)
    assert "Sign in again before that" in text(browser, f"/connections/{made.pk}/")


def test_a_connection_whose_provider_is_gone_is_still_shown(browser, alice):
    made = factories.make_connection(alice, provider_slug="long_gone", environment="paper")
    assert "long_gone" in text(browser, f"/connections/{made.pk}/")
    assert browser.get(f"/connections/{made.pk}/reconnect/").status_code == 404


def test_a_connection_can_be_given_a_name(browser, connection):
    browser.post(f"/connections/{connection.pk}/name/", {"alias": "  My bank "})
    connection.refresh_from_db()
    assert connection.title == "My bank"


def test_a_name_cannot_turn_the_page_around(browser, connection):
    sent = browser.post(f"/connections/{connection.pk}/name/", {"alias": "My \u202eknab"})
    assert sent.status_code == 302
    for address in ("/connections/", f"/connections/{connection.pk}/"):
        assert "\u202e" not in text(browser, address).partition("<input")[0]


def test_a_name_that_is_too_long_is_refused_beside_the_field(browser, connection):
    response = browser.post(f"/connections/{connection.pk}/name/", {"alias": "x" * 201})
    assert response.status_code == 422
    assert "at most 200 characters" in response.content.decode()


@pytest.mark.parametrize("how_many", [1, 20])
def test_the_list_takes_the_same_queries_for_one_and_for_many(
    browser, alice, django_assert_num_queries, how_many
):
    for _number in range(how_many):
        factories.make_account(alice)
    browser.get("/connections/")
    with django_assert_num_queries(5):
        browser.get("/connections/")


def test_the_catalogue_shows_every_kind_of_way_in(browser, bank):
    page = text(browser, "/connections/add/")
    for words in ("Sign in at its own page", "With an API key", "Bring its statement files"):
        assert words in page
    assert "Kept by hand" not in page


def test_the_catalogue_names_every_category():
    assert set(CATEGORIES) == set(Category)


def test_an_unknown_provider_is_answered_with_those_there_are(browser):
    page = text(browser, "/connections/add/nobody/", 404)
    assert "no provider called “nobody”" in page
    assert "Alpaca" in page


def test_what_nobody_connects_is_unknown_too(browser):
    assert browser.get("/connections/add/manual/").status_code == 404


def test_missing_settings_are_named(browser, settings):
    settings.PROVIDERS = {"SCHWAB_CLIENT_ID": "x"}
    page = text(browser, f"/connections/add/{OAUTH}/", 501)
    assert "<code>SCHWAB_CLIENT_SECRET</code>" in page
    assert "<code>SCHWAB_CLIENT_ID</code>" not in page


def test_a_switched_off_provider_says_so(browser, bank):
    ProviderSetting.objects.update_or_create(slug=OAUTH, defaults={"enabled": False})
    assert "is switched off" in text(browser, f"/connections/add/{OAUTH}/", 403)
    assert "Switched off on this server" in text(browser, "/connections/add/")


def test_files_are_brought_on_the_page_of_imports(browser):
    assert browser.get("/connections/add/statement_file/").url == reverse("imports:list")


def test_the_sandbox_is_marked_everywhere(browser, bank: Bank, alice):
    made = factories.make_connection(alice, is_sandbox=True)
    for page in ("add/", f"add/{KEYS}/", f"add/{OAUTH}/", "", f"{made.pk}/"):
        assert "Sandbox" in text(browser, f"/connections/{page}")


@pytest.mark.parametrize("page", ["", "reconnect/"])
def test_a_stranger_finds_nothing(browser, connection, bob, page):
    browser.force_login(bob)
    assert browser.get(f"/connections/{connection.pk}/{page}").status_code == 404


@pytest.mark.parametrize("action", ["name", "reconnect", "complete", "disconnect"])
def test_a_stranger_changes_nothing(browser, connection, bob, action):
    before = Connection.objects.values().get()
    browser.force_login(bob)
    response = browser.post(f"/connections/{connection.pk}/{action}/", {"fetched": "delete"})
    assert response.status_code == 404
    assert Connection.objects.values().get() == before


def test_only_a_pending_connection_can_be_completed(browser, connection):
    assert browser.post(f"/connections/{connection.pk}/complete/").status_code == 404


@pytest.mark.parametrize("page", ["", "add/", f"add/{KEYS}/"])
def test_who_is_not_signed_in_is_sent_to_the_door(client, db, page):
    assert client.get(f"/connections/{page}").url.startswith("/auth/login/")
