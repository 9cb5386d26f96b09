"""What is logged: one line for each thing, about whom it is, and no secret whatever was said."""

import base64
import html
import json
import logging
import sys
from contextlib import contextmanager
from io import StringIO
from urllib.parse import quote

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from dashtam.ids import uuid7
from dashtam.init_env import new_secrets
from dashtam.logs import Console, JsonLines, Lines, about, sentence_as_json
from dashtam.redact import KEPT_HEAD, KEPT_TAIL, known_secrets, redact
from dashtam.vault import Secret, parse

logger = logging.getLogger("dashtam.tests")
formatters = pytest.mark.parametrize("formatter", [Lines, JsonLines], ids=["console", "json"])

PASSWORD = 'Hunter/2 & "co'
TOKEN = "pXq7-Z2m_Tb91LkQ0vRy4WcD"
KEY = "AKIA6ODU5DFG3EXAMPL7"
NUMBER = "000123456789012"
MAIL = "somebody.private@bank.example"
SEAL = parse(new_secrets()["DASHTAM_KEYS"]).seal(b"x", table="t", row=1, user=1, field="f")


def encodings(secret):
    """The eight spellings in which a text travels."""
    raw = secret.encode()
    return {
        "plain": secret,
        "url": quote(secret, safe=""),
        "twice in a url": quote(quote(secret, safe=""), safe=""),
        "json": json.dumps(secret)[1:-1],
        "html": html.escape(secret),
        "base64": base64.b64encode(raw).decode(),
        "base64 for urls": base64.urlsafe_b64encode(raw).decode(),
        "hex": raw.hex(),
    }


ENCODINGS = list(encodings(""))
# How a secret gets into a message; the last ones have no label that tells.
CARRIERS = {
    "a header": "Authorization: Bearer {}",
    "headers": "{{'authorization': 'Bearer {}', 'accept': 'x'}}",
    "pairs of bytes": "[(b'Authorization', b'Basic {}')]",
    "a cookie": "Cookie: sessionid={}; theme=dark",
    "a query": "GET https://bank.example/v1?access_token={}&page=2",
    "any query": "https://bank.example/cb?code={}",
    "an address": "postgres://dashtam:{}@db.example:5432/dashtam",
    "json": '{{"client_secret": "{}", "n": 1}}',
    "json in json": '{{\\"refresh_token\\": \\"{}\\"}}',
    "python": "connect(password='{}')",
    "a form": "grant_type=x&client_secret={}&scope=y",
    "xml": "<password>{}</password>",
    "a key": "api_key = {}",
}
UNLABELLED = "the answer was {} (400)"


@contextmanager
def listening(formatter=Lines):
    """Everything that our handler writes."""
    stream, handler = StringIO(), Console()
    handler.setStream(stream)
    handler.setFormatter(formatter())
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False  # other handlers are not ours to judge
    try:
        yield stream
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


def logged_in_every_way(text):
    """As a message, an argument, an exception with a cause, and the text of an object."""
    logger.warning(text.replace("%", "%%"))
    logger.info("it said %s and %r", text, text)
    logger.error("%s", {"said": [text]})
    try:
        fail_because_of(text)
    except RuntimeError:
        logger.exception("it broke")
        logger.warning("it broke", exc_info=sys.exc_info(), stack_info=True)


def fail_because_of(text):
    """Raise an error with this text, caused by another with it."""
    try:
        json.loads("{")
    except ValueError as error:
        raise RuntimeError(f"because {text}") from KeyError(text, error)


def hits(told, secret):
    spelled = {*encodings(secret).values(), repr(secret)[1:-1], secret}
    return [text for text in spelled if text in told or json.dumps(text)[1:-1] in told]


@formatters
@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_with_a_label_is_in_no_line(formatter, carrier, encoding):
    for secret in (TOKEN, KEY, "hunter2"):
        spelled = encodings(secret)[encoding]
        with listening(formatter) as told:
            logged_in_every_way(CARRIERS[carrier].format(spelled))
        assert hits(told.getvalue(), secret) == []
        assert "it broke" in told.getvalue()


@formatters
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "secret", [TOKEN, KEY, SEAL, MAIL, NUMBER], ids=["token", "key", "seal", "mail", "number"]
)
def test_what_looks_like_a_secret_needs_no_label(formatter, encoding, secret):
    spelled = encodings(secret)[encoding]
    with listening(formatter) as told:
        logged_in_every_way(UNLABELLED.format(spelled))
    assert hits(told.getvalue(), secret) == []
    assert "the answer was" in told.getvalue()


def test_the_search_for_secrets_finds_them():
    for text in encodings(PASSWORD).values():
        assert hits(f"said {text}.", PASSWORD)
        assert hits(json.dumps(f"said {text}."), PASSWORD)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_known_by_heart_is_found_in_any_spelling(encoding):
    known = known_secrets([PASSWORD])
    told = redact(UNLABELLED.format(encodings(PASSWORD)[encoding]), known)
    assert hits(told, PASSWORD) == []
    assert told.startswith("the answer was …")


@pytest.mark.parametrize("name", ["SECRET_KEY", "DASHTAM_FINGERPRINT_KEY", "DASHTAM_KEYS"])
def test_the_installations_own_secrets_are_known_by_heart(name):
    value = getattr(settings, name).partition(":")[2] or getattr(settings, name)
    with listening() as told:
        logged_in_every_way(f"settings were {value}")
    assert value not in told.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
        "access-sandbox-8ab976e6-64bc-4b38-98f7-731e7a349970",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "DE89 3704 0044 0532 0130 00",
        "4111 1111 1111 1111",
        "<ACCTID>4711</ACCTID>",
        repr(b"\x01\x02k1\x9c\x11\xff\xfe\xd0\x9a"),
        "JBSWY3DPEHPK3PXP",
    ],
)
def test_the_forms_that_secrets_have(text):
    told = redact(f"before {text} after")
    assert told.startswith("before ")
    assert told.endswith(" after")
    assert "…" in told
    assert text not in told


@pytest.mark.parametrize(
    "text",
    [
        "sync 0192d1a0-0000-7000-8000-123456789012 stalled in attempt 2: queued again",
        "GET /connections/0192d1a0-0000-7000-8000-123456789012/sync 200 12 ms",
        "saved 1234567890.12 USD and -45.60 EUR on 2024-01-31",
        "2024-01-31T12:00:00.123456+00:00",
        'File "/srv/dashtam/.venv/lib/python3.11/site-packages/django/core/base.py", line 55',
        "connections/providers/schwab.py, accounts_and_transactions_of_a_login",
        "connections.errors.NeedsReauthentication: refresh_refused",
        'connection to server at "127.0.0.1", port 5432 failed: Connection refused',
        "error_code=provider_rate_limited seconds=60",
        "Process-1 [dashtam connections.tasks.sync_due] delta-mango-kilo-tango",
        "Chase1234_Activity20240131.CSV with 1204 rows and 48213577 bytes",
        "UNIQUE constraint failed: connections_sync.connection_id",
    ],
)
def test_what_an_operator_needs_stays_readable(text):
    assert redact(text) == text


@given(st.text(max_size=400))
def test_any_text_can_be_written_and_stays_one_line(text):
    with listening(JsonLines) as told:
        logger.warning("%s", text)
    assert told.getvalue().count("\n") == 1
    assert json.loads(told.getvalue())["message"] == redact(text)
    with listening(Lines) as told:
        logger.warning("%s", text)
    assert len(told.getvalue().splitlines()) == 1


@given(st.text(alphabet="ab1 %\\\"'@/=:.-&;x", max_size=300))
def test_what_was_redacted_once_is_left_alone_by_a_second_time(text):
    once = redact(text)
    assert len(redact(once)) <= len(once)


@pytest.mark.parametrize(
    "piece",
    ["a", "a-", "a1B", "://", "%40", "\\", 'secret="', "AB12 ", "&quot;", "password", "\\x00",
     "-----BEGIN A KEY-----", "1234 ", "v1.", "a@", "token ", "é", "\n", "eyJ", "?a="],
)  # fmt: skip
def test_a_megabyte_is_cut_before_anything_is_looked_for(piece):
    text = piece * (1_000_000 // len(piece))
    operations = []
    sys.setprofile(lambda *_: operations.append(1))
    try:
        told = redact(text)
    finally:
        sys.setprofile(None)
    assert len(told) <= KEPT_HEAD + KEPT_TAIL + 100
    assert len(operations) < 20 * (KEPT_HEAD + KEPT_TAIL)


def test_a_cut_leaves_no_half_of_a_token():
    secret = TOKEN * 4
    for start in range(KEPT_HEAD - 110, KEPT_HEAD + 2, 7):
        told = redact("x " * (start // 2) + secret + " y" * 20_000)
        assert TOKEN[:12] not in told


@formatters
def test_arguments_that_do_not_fit_lose_the_arguments_only(formatter):
    with listening(formatter) as told:
        logger.warning("%d accounts of %s", "hunter2-hunter2")
    assert "%d accounts of %s (arguments not shown: TypeError)" in told.getvalue()
    assert "hunter2" not in told.getvalue()


class Unspeakable:
    """Breaks when it is shown."""

    def __str__(self):
        raise RuntimeError("hunter2")

    __repr__ = __str__


class Talkative:
    """Logs itself whenever it is shown."""

    def __str__(self):
        logger.warning("shown: %s", self)
        return "talkative"


@formatters
def test_an_object_that_breaks_when_it_is_shown_breaks_no_line(formatter):
    with listening(formatter) as told:
        logger.warning("here is %s", Unspeakable())
    assert "here is %s (arguments not shown: RuntimeError)" in told.getvalue()
    assert "hunter2" not in told.getvalue()


@formatters
def test_an_object_that_logs_itself_ends(formatter):
    with listening(formatter) as told:
        logger.warning("here is %s", Talkative())
    assert "here is talkative" in told.getvalue()
    assert "(logged while another line was written)" in told.getvalue()


@formatters
def test_a_stream_that_is_gone_is_no_reason_to_speak_elsewhere(formatter, capsys):
    with listening(formatter) as told:
        told.close()
        logger.warning("password is %s", TOKEN)
    assert capsys.readouterr().err == ""


@formatters
def test_another_handlers_copy_of_a_traceback_is_redacted_too(formatter):
    record = logging.LogRecord("x", logging.ERROR, "", 0, "m", (), None)
    record.exc_text = f"Traceback: token={TOKEN}"
    assert TOKEN not in formatter().format(record)
    assert "Traceback" in formatter().format(record)


def test_a_secret_in_a_frames_variable_is_not_in_the_traceback():
    swordfish = "".join(("sword", "fish"))
    with listening() as told:
        try:
            int(swordfish, base=1)
        except ValueError:
            logger.exception("%s", Secret(swordfish))
    assert "ValueError: int() base must be" in told.getvalue()
    assert "'swordfish'" not in told.getvalue()


def test_a_line_says_when_what_and_about_whom():
    sync_id = uuid7()
    with listening(JsonLines) as told, about(request_id="r-1"), about(sync_id=sync_id):
        logger.warning("stalled in attempt %d", 2)
    line = json.loads(told.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING", "logger": "dashtam.tests", "message": "stalled in attempt 2",
        "request_id": "r-1", "sync_id": str(sync_id), "process": settings.DASHTAM_ROLE,
    }  # fmt: skip


def inside_for_a_person():
    """Log about somebody, and break."""
    with about(user_id="u-1"):
        logger.info("inside")
        fail_because_of("x")


def test_what_a_line_is_about_ends_with_its_block():
    with listening() as told:
        with about(sync_id="s-1"), pytest.raises(RuntimeError):
            inside_for_a_person()
        logger.info("outside")
    inside, outside = told.getvalue().splitlines()
    assert inside.endswith("inside [user_id=u-1 sync_id=s-1]")
    assert outside.endswith("outside")


def test_a_message_cannot_pretend_to_be_two_lines():
    with listening() as told:
        logger.warning("%s", "a\n2026-01-01 INFO forged\x1b[2J\u2028b")
    assert told.getvalue().splitlines() == [told.getvalue().rstrip("\n")]
    assert r"a\n2026-01-01 INFO forged\x1b[2J\u2028b" in told.getvalue()


def test_a_traceback_is_indented_below_its_line():
    with listening() as told:
        try:
            json.loads("{\n")
        except ValueError:
            logger.exception("it broke")
    head, *rest = told.getvalue().splitlines()
    assert head.endswith("it broke")
    assert rest
    assert all(line.startswith("    ") for line in rest)


def test_every_handler_of_every_logger_writes_through_our_formatters():
    loggers = [logging.getLogger(name) for name in logging.Logger.manager.loggerDict]
    handlers = {handler for one in loggers for handler in one.handlers}
    configured = [h for h in logging.getLogger().handlers if "pytest" not in type(h).__module__]
    ours = {type(h.formatter) for h in [*configured, *handlers] if not is_silent(h)}
    assert ours <= {Lines, JsonLines}
    assert configured


def is_silent(handler):
    return isinstance(handler, logging.NullHandler) or "pytest" in type(handler).__module__


def test_the_parents_sentences_are_lines_like_its_childrens():
    assert json.loads(sentence_as_json("Stopping."))["message"] == "Stopping."


@pytest.fixture
def access(caplog):
    caplog.set_level(logging.DEBUG, "dashtam.access")
    return lambda: [r for r in caplog.records if r.name == "dashtam.access"]


def test_a_request_has_one_line_with_who_asked_and_no_query(client, alice, access):
    client.force_login(alice)
    response = client.get("/settings/?q=private")
    record = access()[-1]
    assert record.getMessage().startswith("GET /settings/ 200 ")
    assert (record.user_id, record.status) == (str(alice.pk), 200)
    line = json.loads(JsonLines().format(record))
    assert line["path"] == "/settings/"
    assert "private" not in str(line)
    assert response["X-Request-ID"]


def test_the_line_bears_the_name_that_the_answer_bears(client, db):
    with listening(JsonLines) as told:
        logging.getLogger("dashtam.access").addHandler(logger.handlers[-1])
        try:
            logging.getLogger("dashtam.access").setLevel(logging.INFO)
            response = client.get("/nowhere/")
        finally:
            logging.getLogger("dashtam.access").removeHandler(logger.handlers[-1])
            logging.getLogger("dashtam.access").setLevel(logging.NOTSET)
    assert json.loads(told.getvalue())["request_id"] == response["X-Request-ID"]


@pytest.mark.parametrize("path", ["/health/live", "/metrics"])
def test_a_probe_is_only_told_to_who_asks_for_everything(client, access, path):
    client.get(path)
    assert access()[-1].levelno == logging.DEBUG


def test_an_address_cannot_break_its_line(client, db, access):
    client.get("/a%0AINFO%20forged")
    assert "\n" not in access()[-1].getMessage()


def test_djangos_own_line_of_an_answer_names_the_request_too(rf):
    request = rf.get("/x")
    request.META["REQUEST_ID"] = "r-9"
    record = logging.LogRecord("django.request", logging.ERROR, "", 0, "broke", (), None)
    record.request = request
    assert json.loads(JsonLines().format(record))["request_id"] == "r-9"
