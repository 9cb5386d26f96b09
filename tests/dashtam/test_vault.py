"""What is sealed opens only in its place, under a key of the ring, and a Secret does not show."""

import base64
import copy
import itertools
import json
import pickle
from typing import Any

import pytest

from dashtam.vault import (
    BadKeyRing,
    Secret,
    Tampered,
    UnknownKey,
    Vault,
    derive,
    fingerprint,
    key_id,
    parse,
    vault,
)

ONE = base64.b64encode(bytes(range(32))).decode()
TWO = base64.urlsafe_b64encode(bytes(range(100, 132))).decode()
PLACE: dict[str, Any] = {"table": "connection", "row": 7, "user": 1, "field": "credentials"}


def test_what_was_sealed_opens_in_its_place():
    ring = parse(f"k1:{ONE}")
    assert ring.open(ring.seal(b"token", **PLACE), **PLACE) == b"token"
    assert ring.open_bytes(ring.seal_bytes(b"file" * 999, **PLACE), **PLACE) == b"file" * 999


def test_equal_secrets_have_different_seals():
    ring = parse(f"k1:{ONE}")
    assert ring.seal(b"token", **PLACE) != ring.seal(b"token", **PLACE)


def test_the_text_form_names_version_and_key_and_nothing_of_the_secret():
    sealed = parse(f"k1:{ONE}").seal(b"token", **PLACE)
    version, kid, body = sealed.split(".")
    assert (version, kid) == ("v1", "k1")
    assert b"token" not in base64.urlsafe_b64decode(body)


@pytest.mark.parametrize("part", ["table", "row", "user", "field"])
def test_a_seal_moved_elsewhere_is_refused(part):
    ring = parse(f"k1:{ONE}")
    elsewhere = {**PLACE, part: "other"}
    with pytest.raises(Tampered):
        ring.open(ring.seal(b"token", **PLACE), **elsewhere)
    with pytest.raises(Tampered):
        ring.open_bytes(ring.seal_bytes(b"token", **PLACE), **elsewhere)


def test_no_two_of_fifty_rows_can_swap_their_seals():
    ring = parse(f"k1:{ONE}")
    sealed = {row: ring.seal(b"x", **{**PLACE, "row": row}) for row in range(50)}
    refused = 0
    for row, other in itertools.permutations(sealed, 2):
        with pytest.raises(Tampered):
            ring.open(sealed[row], **{**PLACE, "row": other})
        refused += 1
    assert refused == 50 * 49


def test_the_border_between_two_parts_of_the_place_counts():
    ring = parse(f"k1:{ONE}")
    sealed = ring.seal(b"x", table="ab", row="c", user=1, field="f")
    with pytest.raises(Tampered):
        ring.open(sealed, table="a", row="bc", user=1, field="f")


def test_every_changed_byte_is_noticed():
    ring = parse(f"k1:{ONE}")
    sealed = ring.seal_bytes(b"x", **PLACE)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises((Tampered, UnknownKey)):
            ring.open_bytes(bytes(changed), **PLACE)


@pytest.mark.parametrize(
    "sealed", ["", "v1", "v1.k1", "v2.k1.AAAA", "v1.k1.", "v1.k 1.AAAA", "v1.k1.é", "v1.k1.AAA"]
)
def test_text_that_is_no_seal_is_refused(sealed):
    with pytest.raises(Tampered):
        parse(f"k1:{ONE}").open(sealed, **PLACE)


@pytest.mark.parametrize(
    "sealed", [b"", b"\x01", b"\x01\x02k1", b"\x02\x02k1" + bytes(30), b"\x01\x02k " + bytes(30)]
)
def test_bytes_that_are_no_seal_are_refused(sealed):
    with pytest.raises(Tampered):
        parse(f"k1:{ONE}").open_bytes(sealed, **PLACE)


def test_after_rotation_the_new_key_seals_and_the_old_still_opens():
    old = parse(f"k1:{ONE}").seal(b"token", **PLACE)
    rotated = parse(f"k2:{TWO}, k1:{ONE}")
    new = rotated.seal(b"token", **PLACE)
    assert (key_id(old), key_id(new)) == ("k1", "k2")
    assert key_id(rotated.seal_bytes(b"token", **PLACE)) == "k2"
    assert rotated.open(old, **PLACE) == rotated.open(new, **PLACE) == b"token"


def test_a_key_that_left_the_ring_is_named():
    sealed = parse(f"k1:{ONE}").seal(b"token", **PLACE)
    with pytest.raises(UnknownKey, match="k1"):
        parse(f"k2:{TWO}").open(sealed, **PLACE)


def test_the_same_key_under_another_id_does_not_open():
    sealed = parse(f"k1:{ONE}").seal(b"token", **PLACE)
    with pytest.raises(Tampered):
        parse(f"k9:{ONE}").open(sealed.replace("v1.k1.", "v1.k9."), **PLACE)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "no key"),
        (" , ", "no key"),
        (ONE, "number 1"),
        (f"k1:{ONE},k 2:{TWO}", "number 2"),
        (f"k1:{ONE},k1:{TWO}", "twice"),
        (f"k1:{ONE},k2:{ONE}", "same key"),
        ("k1:not base64!", "not base64"),
        ("k1:", "not base64"),
        ("k1:AAAAA", "not base64"),
        ("k1:" + base64.b64encode(b"short").decode(), "5 bytes"),
        ("k1:" + base64.b64encode(bytes(32)).decode(), "repeated"),
    ],
)
def test_a_bad_ring_says_what_is_wrong_and_shows_no_key(spec, says):
    with pytest.raises(BadKeyRing, match=says) as refused:
        parse(spec)
    assert ONE[:8] not in str(refused.value)
    assert TWO[:8] not in str(refused.value)


def test_a_ring_made_of_bytes_is_checked_too():
    with pytest.raises(BadKeyRing, match="3 bytes"):
        Vault({"k1": b"abc"})


def test_a_ring_is_read_once():
    assert vault(f"k1:{ONE}") is vault(f"k1:{ONE}")


def test_a_fingerprint_is_stable_and_depends_on_key_and_purpose():
    mark = fingerprint("4111", key=ONE, purpose="account")
    assert len(mark) == 64
    assert mark == fingerprint("4111", key=ONE, purpose="account")
    assert mark != fingerprint("4111", key=TWO, purpose="account")
    assert mark != fingerprint("4111", key=ONE, purpose="login")
    assert fingerprint("bc", key=ONE, purpose="a") != fingerprint("c", key=ONE, purpose="ab")


@pytest.mark.parametrize("key", ["", "AAAA", "?"])
def test_a_fingerprint_without_a_whole_key_is_refused(key):
    with pytest.raises(BadKeyRing, match="fingerprint key"):
        fingerprint("4111", key=key, purpose="account")


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{0!r:>20}".format, lambda s: f"{[s]}"])
def test_a_secret_does_not_show(shown):
    assert "hunter2" not in shown(Secret("hunter2"))


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars, hash])
def test_a_secret_is_not_dumped_or_copied(leak):
    with pytest.raises(TypeError):
        leak(Secret("hunter2"))


def test_a_secret_reveals_itself_when_asked_and_compares():
    assert Secret("hunter2").reveal() == "hunter2"
    assert Secret("hunter2") == Secret("hunter2")
    assert Secret("hunter2") != Secret("hunter3")
    assert Secret("hunter2") != "hunter2"


def test_a_derived_key_is_one_of_its_key_its_salt_and_its_purpose():
    ring = f"k1:{ONE},k2:{TWO}"
    salts, purposes = (b"a" * 32, b"b" * 32), ("backup", "other")
    made = {
        derive(ring, key_id=key, salt=salt, purpose=purpose)
        for key, salt, purpose in itertools.product(("k1", "k2"), salts, purposes)
    }
    assert (len(made), {len(key) for key in made}) == (8, {32})
    assert derive(ring, key_id="k1", salt=salts[0], purpose="backup") in made


def test_nothing_is_derived_from_a_key_that_is_not_there():
    with pytest.raises(UnknownKey, match="'k9'"):
        derive(f"k1:{ONE}", key_id="k9", salt=b"", purpose="backup")
