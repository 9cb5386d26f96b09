"""JSON to the digit, or a bad answer that shows nothing private."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam.http import Answer, BadAnswer


def json_of(body):
    return Answer(200, {}, body).json()


def by_parts(body):
    """The same, read part by part where it is a list; the error in place of the value."""
    answer = Answer(200, {}, body)
    try:
        parts = answer.parts()
        return answer.json() if parts is None else list(map(answer.reader(), parts))
    except BadAnswer:
        return BadAnswer


def at_once(body):
    try:
        return json_of(body)
    except BadAnswer:
        return BadAnswer


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 0.1, "b": [1E+2, -0.0]}', {"a": Decimal("0.1"), "b": [Decimal(100), Decimal(0)]}),
        (b"12345678901234567890123456789.123", Decimal("12345678901234567890123456789.123")),
        (b"\xef\xbb\xbf[]", []),
        (b"4.9E-324", Decimal("4.9E-324")),
        ('"é"'.encode(), "é"),
        (b'["\\ud800", 0.10]', ["\ud800", Decimal("0.10")]),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"9" * 400, int("9" * 400)),
        (b'"' + b"9" * 401 + b'"', "9" * 401),
        (b'["' + b"[" * 100 + b'", "\\"]"]', ["[" * 100, '"]']),
        (b"[" * 63 + b"]" * 63, eval("[" * 63 + "]" * 63)),  # noqa: S307
    ],
)
def test_json_is_read_exactly(body, value):
    assert json_of(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"9" * 5_000,
        b"9" * 401,
        b"0." + b"1" * 5_000,
        b"1e999999999",
        b"1e99999999999999999999",
        b"1e-99999",
        b"[" * 100_000,
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b'[{"a":' * 33 + b"1" + b"}]" * 33,
        b'["]", ' * 65 + b"1" + b"]" * 65,
        b'{"a": 1, "b": ' + b"9" * 401 + b"}",
        b'["\x01"]',
        b"\xff\xfe[\0]\0",
        b'{"a": 1',
        b"[1] [2]",
        b'"\xed\xa0\x80"',
    ],
)
def test_json_that_is_none_is_a_bad_answer(body):
    with pytest.raises(BadAnswer) as caught:
        json_of(body)
    assert caught.value.__context__ is None


@given(st.binary(max_size=60) | st.text(alphabet='[]{}",:0123456789eE.-+nulNaIfity ', max_size=60))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_json_or_a_bad_answer(body):
    raw = body.encode() if isinstance(body, str) else body
    with suppress(BadAnswer):
        assert not isinstance(json_of(raw), float)


PIECES = [
    b"1.50", b"-0", b"1e999", b"9" * 401, b'"' + b"9" * 401 + b'"', b"NaN", b'"\\ud800"', b'"\x01"',
    b'{"a": [0.10, {"b": null}]}', b'{"a": 1, "a": 2}', b'"\xff"', b"[" * 70 + b"]" * 70, b'"]["',
    b"[" * 62 + b"]" * 62, b"[" * 63 + b"]" * 63, b'["[", ' + b"[" * 62 + b"]" * 63,
    "\"é\"".encode(), b"tru", b"true", b"", b" ",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=4))
@settings(max_examples=400, deadline=None)
def test_a_list_read_by_its_parts_is_what_it_is_at_once(pieces):
    body = b"[" + b" , ".join(pieces) + b"]"
    assert repr(by_parts(body)) == repr(at_once(body))


@pytest.mark.parametrize("body", [b"{}", b"[1", b"[1] 2", b"", b"null", b"\xef\xbb\xbf[1]"])
def test_what_is_not_plainly_a_list_has_no_parts(body):
    assert Answer(200, {}, body).parts() is None
    assert by_parts(body) == at_once(body)


def test_a_bad_answer_names_the_kind_and_shows_nothing_private():
    page = b"<html><title>Scheduled maintenance</title> account 4111222233334444 of ab12cd34ef56"
    reply = Answer(200, {"content-type": "text/html; charset=x"}, page + b' "hush"', "GET bank/x")
    with pytest.raises(BadAnswer) as caught:
        reply.json()
    assert "GET bank/x: not JSON" in str(caught.value)
    assert "text/html: <html><title>Scheduled maintenance</title> account … of … …" in str(
        caught.value
    )


def test_an_excerpt_has_200_characters_at_most():
    assert len(Answer(200, {}, b"down " * 900).excerpt()) == 200
