"""Schwab's sign-in in the sandbox: consent, codes, tokens and their ends."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from connections.sandbox.bank import Bank
from connections.sandbox.schwab_login import AUTHORIZE, TOKEN
from tests.sandbox.client import (
    CALLBACK,
    NOW,
    TRADER,
    asked,
    basic,
    bearer,
    call,
    consent,
    exchange,
    log_in,
    post,
    refresh,
)

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().strip("=")
PROOF = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}


def may_read(bank, tokens) -> bool:
    return call(bank, f"{TRADER}/accounts", headers=bearer(tokens)).status == 200


def test_the_consent_page_is_plainly_a_sandbox_and_loads_nothing(shared):
    reply = call(shared, AUTHORIZE, asked())
    assert "<strong>Sandbox</strong>" in reply.text
    assert "Nora Normal" in reply.text
    assert not re.search(r"(src|href)=", reply.text)
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert "form-action 'self' http://localhost:8000" in reply.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "somebody"},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": None},
        {"redirect_uri": "https://example.com/"},
        {"response_type": "token"},
        {"unknown": "1"},
        {"code_challenge": CHALLENGE},
        PROOF | {"code_challenge_method": "plain"},
    ],
)
def test_a_wrong_request_stops_at_the_bank(shared, changes):
    reply = call(shared, AUTHORIZE, asked(**changes))
    assert reply.status == 400
    assert "Location" not in reply.headers


def test_what_the_app_sends_is_shown_as_text(shared):
    reply = call(shared, AUTHORIZE, asked(state='"><script>'))
    assert "<script>" not in reply.text
    assert "&quot;&gt;&lt;script&gt;" in reply.text


def test_allowing_returns_a_code_that_ends_in_an_at_sign(bank):
    told = consent(bank)
    assert set(told) == {"code", "session", "state"}
    assert told["code"].endswith("@")
    assert told["state"] == "s1"


def test_a_state_is_echoed_only_when_it_was_sent(bank):
    assert "state" not in consent(bank, state=None)


def test_the_at_sign_travels_encoded(bank):
    account = bank.people.person("sam").schwab[0].hash_value
    form = asked() | {"person": "sam", "account": account, "decision": "allow"}
    location = post(bank, AUTHORIZE, form).headers["Location"]
    assert re.match(
        re.escape(CALLBACK) + r"\?code=C0\.[\w-]+%40&session=[0-9a-f-]+&state=s1$", location
    )


def test_denying_returns_an_error_and_no_code(bank):
    told = consent(bank, decision="deny")
    assert told["error"] == "access_denied"
    assert "code" not in told


def test_choosing_nothing_stops_at_the_bank(bank):
    form = asked() | {"person": "nora", "decision": "allow"}
    assert post(bank, AUTHORIZE, form).status == 400


def test_the_form_is_the_only_way_to_decide(bank):
    assert post(bank, AUTHORIZE, asked(), {"Content-Type": "text/plain"}).status == 400


def test_a_code_becomes_tokens(bank):
    reply = exchange(bank, consent(bank)["code"])
    tokens = reply.json()
    assert (tokens["expires_in"], tokens["token_type"], tokens["scope"]) == (1800, "Bearer", "api")
    assert set(tokens) >= {"refresh_token", "access_token", "id_token"}
    assert may_read(bank, tokens)


def test_a_code_works_once(bank):
    code = consent(bank)["code"]
    exchange(bank, code)
    assert exchange(bank, code).json()["error"] == "invalid_grant"


def test_a_code_lives_thirty_seconds(bank):
    code = consent(bank)["code"]
    bank.clock.advance(seconds=31)
    assert exchange(bank, code).json()["error"] == "invalid_grant"


def test_a_code_that_was_encoded_twice_is_refused(bank):
    code = consent(bank)["code"].replace("@", "%40")
    assert exchange(bank, code).status == 400


def test_a_code_belongs_to_its_callback(bank):
    reply = exchange(
        bank, consent(bank)["code"], redirect_uri=CALLBACK.replace("localhost", "127.0.0.1")
    )
    assert reply.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("challenge", "proof", "status"),
    [
        (PROOF, {"code_verifier": VERIFIER}, 200),
        (PROOF, {"code_verifier": "w" * 64}, 400),
        (PROOF, {}, 400),
        ({}, {"code_verifier": VERIFIER}, 400),
    ],
)
def test_a_challenge_must_be_met(bank, challenge, proof, status):
    assert exchange(bank, consent(bank, **challenge)["code"], **proof).status == status


@pytest.mark.parametrize(
    "headers", [{}, basic(secret="wrong"), basic(key="wrong"), {"Authorization": "Basic ?"}]
)
def test_the_token_endpoint_wants_the_apps_keys(bank, headers):
    reply = post(bank, TOKEN, {"grant_type": "refresh_token", "refresh_token": "x"}, headers)
    assert (reply.status, reply.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "scope": "api"}, "invalid_request"),
        ([("grant_type", "refresh_token"), ("grant_type", "password")], "invalid_request"),
    ],
)
def test_a_malformed_token_request_is_refused(bank, form, error):
    reply = post(bank, TOKEN, form, basic())
    assert (reply.status, reply.json()["error"]) == (400, error)


def test_the_token_endpoint_wants_a_form(bank):
    reply = post(
        bank, TOKEN, {"grant_type": "refresh_token"}, basic() | {"Content-Type": "application/json"}
    )
    assert reply.json()["error"] == "invalid_request"


def test_the_token_endpoint_takes_no_get(bank):
    assert call(bank, TOKEN, headers=basic()).status == 404


def test_a_client_without_a_name_is_blocked_by_the_content_network(bank):
    reply = post(bank, TOKEN, {}, basic() | {"User-Agent": ""})
    assert reply.status == 403
    assert "Access Denied" in reply.text


def test_an_access_token_lives_thirty_minutes(bank):
    tokens = log_in(bank)
    bank.clock.advance(minutes=29)
    assert may_read(bank, tokens)
    bank.clock.advance(minutes=1)
    assert not may_read(bank, tokens)


def test_refreshing_brings_access_and_the_same_refresh_token(bank):
    tokens = log_in(bank)
    bank.clock.advance(hours=1)
    fresh = refresh(bank, tokens["refresh_token"]).json()
    assert fresh["refresh_token"] == tokens["refresh_token"]
    assert may_read(bank, fresh)


def test_the_week_ends_seven_days_after_the_login_however_often_one_refreshes(bank):
    token = log_in(bank)["refresh_token"]
    bank.clock.advance(days=6, hours=23)
    assert refresh(bank, token).status == 200
    bank.clock.advance(hours=1)
    reply = refresh(bank, token)
    assert (reply.status, reply.json()["error"]) == (400, "unsupported_token_type")
    assert "refresh_token_authentication_error" in reply.json()["error_description"]


def test_a_new_login_ends_the_earlier_refresh_token(bank):
    first, second = log_in(bank), log_in(bank)
    assert refresh(bank, first["refresh_token"]).status == 400
    assert refresh(bank, second["refresh_token"]).status == 200


def test_another_persons_login_ends_nothing(bank):
    first, _other = log_in(bank), log_in(bank, "sam")
    assert refresh(bank, first["refresh_token"]).status == 200


def test_revoked_consent_ends_access_and_refresh(bank):
    tokens = log_in(bank)
    bank.login.revoke("nora")
    assert not may_read(bank, tokens)
    assert refresh(bank, tokens["refresh_token"]).status == 400


def test_refused_credentials_are_good_again_when_the_bank_says_so(bank):
    tokens = log_in(bank)
    bank.refuse_credentials()
    assert not may_read(bank, tokens)
    assert refresh(bank, tokens["refresh_token"]).status == 400
    bank.accept_credentials()
    assert may_read(bank, tokens)


def test_a_rotating_bank_revokes_the_login_when_a_token_is_used_twice(bank):
    bank.rules.rotates = True
    first = log_in(bank)["refresh_token"]
    second = refresh(bank, first).json()["refresh_token"]
    assert second != first
    assert refresh(bank, first).status == 400
    assert refresh(bank, second).status == 400
    assert (bank.login.refreshes, bank.login.reuses) == (1, 1)


def test_a_restarted_bank_knows_its_tokens(bank):
    tokens = log_in(bank)
    with Bank(now=NOW, size=0) as restarted:
        assert may_read(restarted, tokens)
        assert refresh(restarted, tokens["refresh_token"]).status == 200


def test_a_bank_of_another_seed_does_not(bank):
    tokens = log_in(bank)
    with Bank(now=NOW, seed="other", size=0) as other:
        assert not may_read(other, tokens)


@pytest.mark.parametrize(
    "callback",
    [
        "http://example.com/cb",
        "ftp://localhost/",
        "http://localhost/?a=1",
        "http://a@localhost/",
        "http://localhost/#a",
    ],
)
def test_only_plain_addresses_of_this_computer_can_be_callbacks(bank, callback):
    with pytest.raises(ValueError, match="callback"):
        bank.register(callback)
