"""Secrets are planted, everything fails in turn, and they are found nowhere: 0 hits."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from django.core.signals import got_request_exception
from django.views.debug import ExceptionReporter

from connections.connecting import refresh
from connections.errors import SyncError
from connections.models import Connection
from connections.sandbox.faults import Fault
from dashtam.vault import Secret
from tests.connections.journeys import (
    CALLBACK,
    KEYS,
    OAUTH,
    TOKENS,
    agree,
    connect,
    keys,
    send_keys,
    set_out,
)
from tests.connections.leaks import dresses, dump, hits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLANTED_KEY = 'PLANT<key>&"of"+/the=owner!'
PLANTED_SECRET = "plant'secret'<s>&+/=%41 of the owner"
API = f"/{KEYS}/*"
ACCOUNTS = f"/{OAUTH}/trader/v1/accounts*"


def wrong_keys(browser, bank) -> list[Any]:
    filled = {"environment": "paper", "api_key": PLANTED_KEY, "api_secret": PLANTED_SECRET}
    return [send_keys(browser, filled)]


def failing_bank(fault: Fault) -> Callable[..., list[Any]]:
    def failing(browser, bank) -> list[Any]:
        bank.faults.add(API, fault, times=3)
        return wrong_keys(browser, bank)

    failing.__name__ = f"keys_{fault}"
    return failing


def right_keys(browser, bank) -> list[Any]:
    return [send_keys(browser, keys(bank)), browser.get("/connections/")]


def come_back(browser, bank, *faults: Fault, path: str = TOKENS) -> list[Any]:
    query = agree(bank, set_out(browser))
    for fault in faults:
        bank.faults.add(path, fault, times=3)
    return [browser.get(f"{CALLBACK}?{query}"), browser.get("/connections/")]


def exchange_down(browser, bank) -> list[Any]:
    return come_back(browser, bank, Fault.UNAVAILABLE)


def exchange_unreadable(browser, bank) -> list[Any]:
    return come_back(browser, bank, Fault.TRUNCATED)


def tokens_that_open_nothing(browser, bank) -> list[Any]:
    return come_back(browser, bank, Fault.UNAUTHORIZED_LIST, path=ACCOUNTS)


def left_unfinished(browser, bank) -> list[Any]:
    return come_back(browser, bank, Fault.DROPPED, path=ACCOUNTS)


def refresh_fails(browser, bank) -> list[Any]:
    made = connect(browser, bank)
    fresh = made.open()
    for fault in (Fault.UNAVAILABLE, Fault.MALFORMED, Fault.UNAUTHORIZED_LIST):
        bank.faults.add(TOKENS, fault)
        with pytest.raises(SyncError):
            refresh(made, refused=fresh)
    return [browser.get(f"/connections/{made.pk}/")]


def secrets_of(bank) -> list[str]:
    """What was planted, and everything that is sealed for anybody."""
    sealed = [one.open() for one in Connection.objects.exclude(credentials="")]
    found = [secret.reveal() for each in sealed for secret in each.values()]
    person = keys(bank)
    mine = [PLANTED_KEY, PLANTED_SECRET, person["api_key"], person["api_secret"]]
    return [*mine, *(text for text in found if len(text) > 12)]


FAILURES = [
    wrong_keys,
    right_keys,
    *[failing_bank(f) for f in (Fault.UNAVAILABLE, Fault.MALFORMED, Fault.RATE_LIMITED)],
    exchange_down,
    exchange_unreadable,
    tokens_that_open_nothing,
    left_unfinished,
    refresh_fails,
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.__name__)
def test_after_it_no_secret_is_found_anywhere(browser, bank, caplog, failure):
    caplog.set_level(logging.DEBUG)
    responses = failure(browser, bank)
    pages = [b"%s %r" % (one.content, one.headers) for one in responses]
    assert hits(secrets_of(bank), dump(), caplog.text.encode(), *pages) == []


def test_a_code_and_a_state_are_in_no_log_and_no_table(browser, bank, caplog):
    caplog.set_level(logging.DEBUG)
    query = agree(bank, set_out(browser))
    browser.get(f"{CALLBACK}?{query}")
    came = dict(parse_qsl(query))
    assert hits([came["state"], came["code"]], dump(), caplog.text.encode()) == []


@pytest.fixture
def reports() -> Iterator[list[str]]:
    """What an operator would be sent of each unforeseen error."""
    sent: list[str] = []

    def report(sender, request, **_rest):
        sent.append(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())

    got_request_exception.connect(report)
    yield sent
    got_request_exception.disconnect(report)


def test_a_report_of_an_unforeseen_error_shows_none(browser, bank, settings, reports):
    browser.raise_request_exception = False
    settings.DASHTAM_FINGERPRINT_KEY = "broken"
    assert send_keys(browser, keys(bank)).status_code == 500
    assert hits(secrets_of(bank), reports[0].encode()) == []


def test_the_search_finds_a_secret_in_each_dress():
    for name, dressed in dresses(PLANTED_SECRET).items():
        assert hits([PLANTED_SECRET], b"before " + dressed + b" after"), name


def test_the_search_finds_what_is_not_sealed(browser, bank):
    made = Connection.objects.get(pk=connect(browser, bank).pk)
    made.cursor = Secret("a careless secret").reveal()
    made.save()
    assert hits(["a careless secret"], dump())
