"""Planted secrets, on every way a call can end: in no log, error, traceback or repr."""

import base64
import io
import logging
import traceback
from urllib.parse import quote

import pytest

from dashtam.http import HttpError
from dashtam.http.call import Question
from dashtam.vault import Secret
from tests.dashtam.http_servers import answer, client_of, reset, serving

HEADER = 'H3ader/secret+with"marks=='
QUERY = "Qu3ry secret&with=marks"
FIELD = "F1eld:secret@with%marks"
PATH = "P4thsecret"
PLANTED = (HEADER, QUERY, FIELD, PATH)
ECHO = " ".join(PLANTED).encode()

ENDINGS = {
    "good": [answer(ECHO)],
    "client error": [answer(ECHO, status=401)],
    "server error": [answer(ECHO, status=500)],
    "asked to wait": [answer(ECHO, status=429)],
    "redirect": [answer(status=302, location=f"http://127.0.0.1/?{QUERY}", x_echo=HEADER)],
    "reset": [reset],
    "cut": [answer(ECHO)[:-9]],
    "not HTTP": [ECHO + b"\r\n\r\n"],
    "too large": [answer(ECHO * 200)],
    "badly packed": [answer(ECHO, content_encoding="gzip")],
    "packed by other means": [answer(ECHO, content_encoding="br")],
    "bad header": [b"HTTP/1.1 200 OK\r\n" + ECHO + b"\r\n\r\n"],
}


def spellings(secret):
    raw = secret.encode()
    plain = {secret, secret[::-1], raw.hex(), quote(secret, safe=""), repr(secret)[1:-1]}
    packed = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return plain | packed | {secret.replace('"', '\\"')}


def hits(text):
    return [found for secret in PLANTED for found in spellings(secret) if found in text]


@pytest.fixture
def log():
    """Everything logged at any level, the libraries' loggers opened wide."""
    stream = io.StringIO()
    handler, names = logging.StreamHandler(stream), ("", "httpx", "httpcore", "dashtam.http")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


serve = pytest.fixture(serving, name="serve")


def client(server):
    return client_of(server, headers={"authorization": Secret(HEADER)})


def told_by(call):
    """What an error report has: the exception, all it hangs on, and the locals of our frames."""
    try:
        return repr(call())
    except HttpError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        told.stack[:] = told.stack[2:]  # this file's own frames
        return f"{error!r} {error} {vars(error)} {''.join(told.format())} {error.__context__!r}"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_get_keeps_its_secrets(serve, log, ending):
    server = serve(*ENDINGS[ending])
    with client(server) as bank:
        told = told_by(lambda: bank.get(Secret(f"/{PATH}"), params={"token": Secret(QUERY)}))
    assert HEADER.encode() in server.requests[0]
    assert "token=…" in log.getvalue()
    assert hits(told + log.getvalue()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_post_keeps_its_secrets(serve, log, ending):
    server = serve(*ENDINGS[ending])
    with client(server) as bank:
        told = told_by(lambda: bank.post("/token", data={"code": Secret(FIELD)}))
    assert quote(FIELD, safe="").encode() in server.requests[0]
    assert "POST" in log.getvalue()
    assert hits(told + log.getvalue()) == []


def test_a_plain_query_value_is_not_logged_either(serve, log):
    with client(serve()) as bank:
        bank.get("/accounts/AB12", params={"since": "2024-01-01"})
    assert "/accounts/AB12?since=…: 200 (" in log.getvalue()
    assert "2024-01-01" not in log.getvalue()


def test_a_question_shows_nothing_when_it_is_printed():
    question = Question("GET", "/accounts", params={"since": QUERY}, headers={"x-key": HEADER})
    assert hits(f"{question!r} {question}") == []


@pytest.mark.parametrize("value", [f"{HEADER}\r\n", f"{HEADER}é", f"{HEADER}\ud800"])
def test_a_header_that_cannot_be_sent_keeps_its_secret(serve, log, value):
    with client_of(serve(), headers={"authorization": Secret(value)}) as bank:
        told = told_by(bank.get)
    assert "cannot be written as HTTP" in told
    assert hits(told + log.getvalue()) == []


def test_a_path_that_leads_elsewhere_keeps_its_secret(serve, log):
    with client(serve()) as bank:
        told = told_by(lambda: bank.post(Secret(f"/claim/{PATH}?x")))
    assert "cannot be written as HTTP" in told
    assert hits(told + log.getvalue()) == []


def test_what_is_not_json_keeps_its_secrets(serve, log):
    with client(serve(answer(ECHO))) as bank:
        reply = bank.get("/accounts")
    told = told_by(reply.json)
    assert "not JSON" in told
    assert hits(told + log.getvalue()) == []


def test_the_search_for_secrets_finds_them():
    for secret in PLANTED:
        assert all(hits(f"log: {found}.") for found in spellings(secret))
