"""The adapters against the bank in the box, over real HTTP: what they tell is the truth."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from accounts.types import Rejected
from connections.errors import (
    BadProviderData,
    NeedsReauthentication,
    RateLimited,
    Retryable,
    SyncError,
)
from connections.provider import provider
from connections.sandbox.bank import Bank
from connections.sandbox.faults import Fault
from connections.wire import SignedApi
from dashtam.http import Brake, Client, Limits, Wiring
from dashtam.money import amount
from dashtam.vault import Secret
from tests.sandbox.client import NOW, log_in

TODAY = NOW.date()
PEOPLE = ("sam", "nora", "lee")
SCHWAB, ALPACA = "schwab", "alpaca"
OPEN: list[Client] = []


@pytest.fixture(autouse=True)
def _closed():
    yield
    while OPEN:
        OPEN.pop().close()


@pytest.fixture(scope="module")
def shared():
    with Bank(now=NOW, size=1500) as bank:
        bank.alpaca.requests_per_minute = 1_000_000
        yield bank


@pytest.fixture
def bank(shared):
    """The same bank, in which things go wrong for one test."""
    yield shared
    shared.faults.clear()
    shared.accept_credentials()


def signed_in(bank, slug, credentials, environment=""):
    base_url = "/".join(filter(None, (bank.url, slug, environment)))
    hosts = frozenset({urlsplit(base_url).netloc})
    wiring = Wiring(allow_hosts=hosts, sleep=lambda seconds: None)
    client = Client(base_url, provider=slug, brake=Brake(), limits=Limits(), wiring=wiring)
    OPEN.append(client)
    kept = {name: Secret(value) for name, value in credentials.items()}
    source = provider(slug)
    api = SignedApi(client, templates=source.request_headers, credentials=kept)
    return source(api, environment=environment)


def schwab(bank, person="nora"):
    tokens = log_in(bank, person=person)
    return signed_in(bank, SCHWAB, {"access_token": tokens["access_token"]})


def alpaca(bank, person="nora", environment="paper"):
    return signed_in(bank, ALPACA, keys_of(bank, person, environment), environment)


def keys_of(bank, person, environment):
    accounts = bank.people.person(person).alpaca
    found = next(one for one in accounts if one.environment == environment)
    return {"api_key": found.key_id, "api_secret": found.secret}


SOURCES = [(schwab, SCHWAB), (alpaca, ALPACA)]
both = pytest.mark.parametrize(("open_source", "slug"), SOURCES, ids=[SCHWAB, ALPACA])


def everything(source, account, start=None):
    """Every transaction by its id: told once, and none refused."""
    found = [one for page in source.transactions(account, start, TODAY) for one in page]
    assert not [one for one in found if isinstance(one, Rejected)]
    by_id = {one.provider_transaction_id: one for one in found}
    assert len(by_id) == len(found)
    return by_id


@both
@pytest.mark.parametrize("person", PEOPLE)
def test_accounts_have_the_balances_of_the_truth(shared, open_source, slug, person):
    truth = shared.truth(complete=True)[slug]
    found = list(open_source(shared, person).accounts())
    assert found
    for account in found:
        told = truth[account.provider_account_id]["account"]
        assert (account.balance, account.cash_value, account.currency) == (
            amount(told["balance"]),
            amount(told["cash"]),
            told["currency"],
        )


@both
@pytest.mark.parametrize("person", PEOPLE)
def test_every_transaction_is_told_once_as_it_was(shared, open_source, slug, person):
    truth = shared.truth(complete=True)[slug]
    source = open_source(shared, person)
    for account in source.accounts():
        told = truth[account.provider_account_id]["transactions"]
        found = everything(source, account)
        assert {key: as_told(one) for key, one in found.items()} == {
            key: as_served(one) for key, one in told.items()
        }


def as_told(one):
    return (one.amount, one.transaction_date, str(one.status), one.raw_type)


def as_served(told):
    return (amount(told["amount"]), date.fromisoformat(told["date"]), told["status"], told["kind"])


@both
@pytest.mark.parametrize("person", PEOPLE)
def test_every_position_is_told_as_it_is(shared, open_source, slug, person):
    truth = shared.truth(complete=True)[slug]
    source = open_source(shared, person)
    for account in source.accounts():
        told = truth[account.provider_account_id]["positions"]
        wanted = {plain_symbol(key): Decimal(one["quantity"]) for key, one in told.items()}
        assert {one.symbol: one.quantity for one in source.holdings(account)} == wanted


def plain_symbol(symbol):
    return symbol.replace("/", "").replace(" ", "")


@both
def test_what_was_traded_adds_up_to_what_is_held(shared, open_source, slug):
    source = open_source(shared)
    account = next(iter(source.accounts()))
    held: dict[str, Decimal] = {}
    for one in everything(source, account).values():
        if one.status == "settled" and one.quantity:
            held[one.symbol] = held.get(one.symbol, Decimal(0)) + one.quantity
    positions = {one.symbol: one.quantity for one in source.holdings(account)}
    assert {symbol: quantity for symbol, quantity in held.items() if quantity} == positions


@both
def test_amounts_add_up_to_the_cash(shared, open_source, slug):
    source = open_source(shared)
    account = next(iter(source.accounts()))
    settled = [one for one in everything(source, account).values() if one.status == "settled"]
    assert len(settled) > 300
    # Amounts are kept with four decimals: half a step for each of them.
    slack = len(settled) * Decimal("0.00005")
    assert abs(sum(one.amount for one in settled) - account.cash_value) <= slack


@both
def test_some_days_are_told_as_they_are(shared, open_source, slug):
    source = open_source(shared)
    account = next(iter(source.accounts()))
    whole = everything(source, account)
    start = date(2026, 9, 1)
    wanted = {key for key, one in whole.items() if one.transaction_date >= start}
    assert wanted
    assert wanted <= set(everything(source, account, start))


def test_a_cancelled_dividend_is_taken_back_though_it_is_of_other_days(shared):
    source = alpaca(shared, "nora", "live")
    account = next(iter(source.accounts()))
    found = everything(source, account, date(2026, 7, 16)).values()
    voided = [one for one in found if one.status == "cancelled"]
    assert len(voided) == 2
    assert len({one.provider_transaction_id for one in voided}) == 2


def test_keys_of_the_other_environment_are_called_so(bank):
    paper = signed_in(bank, ALPACA, keys_of(bank, "nora", "live"), "paper")
    with pytest.raises(NeedsReauthentication) as caught:
        paper.check()
    assert caught.value.params == {"reason": "wrong_environment", "environment": "paper"}


@both
def test_refused_credentials_need_the_person(bank, open_source, slug):
    source = open_source(bank)
    source.check()
    bank.refuse_credentials()
    with pytest.raises(NeedsReauthentication) as caught:
        source.check()
    assert caught.value.reason == "credentials_refused"


REMEDIES = {
    Fault.UNAUTHORIZED: NeedsReauthentication,
    Fault.UNAUTHORIZED_LIST: NeedsReauthentication,
    Fault.FORBIDDEN: NeedsReauthentication,
    Fault.FORBIDDEN_HTML: Retryable,
    Fault.RATE_LIMITED: RateLimited,
    Fault.SERVER_ERROR: Retryable,
    Fault.UNAVAILABLE: Retryable,
    Fault.TRUNCATED: Retryable,
    Fault.LOGIN_PAGE: BadProviderData,
    Fault.MALFORMED: BadProviderData,
    Fault.TOO_DEEP: BadProviderData,
}


@both
@pytest.mark.parametrize(("fault", "remedy"), REMEDIES.items())
def test_every_fault_has_its_remedy(bank, open_source, slug, fault, remedy):
    source = open_source(bank)
    account = next(iter(source.accounts()))
    bank.faults.add(f"/{slug}/*", fault, times=None)
    for call in (source.accounts, lambda: source.holdings(account)):
        with pytest.raises(remedy):
            list(call())
    with pytest.raises(remedy):
        list(source.transactions(account, date(2026, 10, 1), TODAY))


LIES = (
    Fault.NAN,
    Fault.HUGE_NUMBER,
    Fault.ENDLESS_NUMBER,
    Fault.LIE_CURRENCY,
    Fault.LIE_YEAR,
    Fault.LIE_ACCOUNT,
    Fault.DUPLICATE_ROWS,
    Fault.SHUFFLED,
    Fault.REPEATED_PAGE,
    Fault.EMPTY_LIST,
)


@both
@pytest.mark.parametrize("fault", LIES)
def test_no_lie_becomes_a_figure(bank, open_source, slug, fault):
    source = open_source(bank)
    account = next(iter(source.accounts()))
    honest = everything(source, account, date(2026, 8, 1))
    bank.faults.add(f"*{slug}*/*", fault, times=None)
    try:
        pages = source.transactions(account, date(2026, 8, 1), TODAY)
        found = [one for page in pages for one in page if not isinstance(one, Rejected)]
    except SyncError:
        return
    for one in found:
        assert one == honest[one.provider_transaction_id]


@both
def test_no_secret_is_in_an_address(bank, open_source, slug):
    source = open_source(bank)
    account = next(iter(source.accounts()))
    everything(source, account, date(2026, 10, 1))
    asked = [one for one in bank.requests if one.path.startswith(f"/{slug}/") and one.query]
    assert asked
    assert not any(
        "token" in name and name != "page_token" for one in asked for name, _ in one.query
    )
