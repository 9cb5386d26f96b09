"""What goes to a token endpoint, and what is made of each thing it may answer."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import httpx
import pytest

from connections import oauth
from connections.auth import OAuth2
from connections.errors import BadProviderData, NeedsReauthentication, RateLimited, Retryable
from connections.wire import SignedApi, signing
from dashtam.http import Brake, Client, Wiring
from dashtam.vault import Secret

APP = oauth.App(
    client_id="id:1", client_secret=Secret("s/2"), redirect_uri="https://a.test/oauth/b/callback"
)
TOKENS = {"access_token": "new", "refresh_token": "r2", "expires_in": 1800, "scope": "api"}
KEPT = {"access_token": Secret("old"), "refresh_token": Secret("r1")}


def sign_in(**fields) -> OAuth2:
    return OAuth2(authorize_path="/authorize", token_path="/token", **fields)


class Endpoint:
    """A token endpoint that gives one answer and keeps what it was sent."""

    def __init__(self, status: int = 200, **answer) -> None:
        self.requests: list[httpx.Request] = []
        self.answer = answer.pop("raw", None) or httpx.Response(status, **answer)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer

    @property
    def client(self) -> Client:
        transport = httpx.MockTransport(self)
        return Client(
            "https://bank.example",
            provider="bank",
            brake=Brake(),
            wiring=Wiring(transport=transport, sleep=lambda _seconds: None),
        )

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.requests[-1].content.decode()))


def exchanged(endpoint: Endpoint, auth: OAuth2):
    return oauth.exchange(auth, endpoint.client, APP, code=Secret("c@"), verifier=Secret("v" * 43))


def test_a_code_goes_with_its_verifier_and_the_same_way_back():
    endpoint = Endpoint(json=TOKENS)
    exchanged(endpoint, sign_in())
    assert endpoint.form() == {
        "grant_type": "authorization_code",
        "code": "c@",
        "redirect_uri": APP.redirect_uri,
        "code_verifier": "v" * 43,
    }


def test_the_code_is_encoded_once():
    endpoint = Endpoint(json=TOKENS)
    exchanged(endpoint, sign_in(uses_pkce=False))
    assert b"code=c%40&" in endpoint.requests[0].content
    assert "code_verifier" not in endpoint.form()


def test_the_app_proves_itself_in_a_header_with_its_parts_encoded():
    endpoint = Endpoint(json=TOKENS)
    exchanged(endpoint, sign_in())
    assert endpoint.requests[0].headers["authorization"] == "Basic aWQlM0ExOnMlMkYy"


def test_or_in_the_form_where_the_provider_wants_it_there():
    endpoint = Endpoint(json=TOKENS)
    exchanged(endpoint, sign_in(secret_in_form=True))
    assert "authorization" not in endpoint.requests[0].headers
    assert endpoint.form()["client_secret"] == "s/2"


def test_a_scope_is_asked_for_where_there_is_one():
    address = oauth.authorize_url(
        sign_in(scope="read accounts"), "https://bank.example", APP, state="s", verifier="v"
    )
    assert "&scope=read%20accounts&" in address


def test_the_challenge_is_that_of_the_standards_own_example():
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert oauth.challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_refresh_brings_new_tokens_and_keeps_what_it_does_not_name():
    endpoint = Endpoint(json={"access_token": "new", "expires_in": 60})
    fresh = oauth.refresh(sign_in(), endpoint.client, APP, KEPT)
    assert fresh["access_token"] == Secret("new")
    assert fresh["refresh_token"] == Secret("r1")
    assert endpoint.form() == {"grant_type": "refresh_token", "refresh_token": "r1"}


def test_without_a_refresh_token_nobody_is_asked():
    endpoint = Endpoint(json=TOKENS)
    with pytest.raises(oauth.GrantRefused):
        oauth.refresh(sign_in(), endpoint.client, APP, {"access_token": Secret("old")})
    assert not endpoint.requests


@pytest.mark.parametrize("said", [None, "soon", [], 10**30, "1800"])
def test_whatever_is_said_of_its_end_is_understood_or_left_open(said):
    tokens = exchanged(Endpoint(json={**TOKENS, "expires_in": said}), sign_in())
    ends_at = oauth.expires_at(tokens)
    assert ends_at is None or ends_at <= datetime.now(UTC) + timedelta(days=366)


def test_tokens_that_say_nothing_of_their_end_have_none():
    assert oauth.expires_at({"access_token": Secret("a")}) is None


@pytest.mark.parametrize(
    "answer",
    [{"json": []}, {"json": {}}, {"json": {"access_token": ""}}, {"text": "<html>"},
     {"json": {"access_token": 7}}, {"json": {"access_token": "x" * 20_000}}],
)  # fmt: skip
def test_an_answer_without_a_token_is_bad_data(answer):
    with pytest.raises(BadProviderData):
        exchanged(Endpoint(**answer), sign_in())


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (400, {"json": {"error": "invalid_grant"}}, oauth.GrantRefused),
        (400, {"json": {"error": "unsupported_token_type"}}, oauth.GrantRefused),
        (401, {"json": {"error": "invalid_client"}}, oauth.AppRefused),
        (400, {"json": {"error": "unauthorized_client"}}, oauth.AppRefused),
        (400, {"text": "<html>"}, Retryable),
        (400, {"json": {"error": {"code": 1}}}, Retryable),
        (400, {"json": ["error"]}, Retryable),
        (403, {"text": "Access Denied"}, Retryable),
        (500, {"text": "Whitelabel"}, Retryable),
        (429, {"headers": {"Retry-After": "7"}}, RateLimited),
        (302, {"headers": {"Location": "https://attacker.test"}}, BadProviderData),
    ],
)
def test_each_refusal_has_its_remedy(status, answer, error):
    endpoint = Endpoint(status, **answer)
    with pytest.raises(error):
        exchanged(endpoint, sign_in())
    assert len(endpoint.requests) == 1


def test_a_refused_grant_asks_for_the_person():
    assert issubclass(oauth.GrantRefused, NeedsReauthentication)
    assert not issubclass(oauth.AppRefused, NeedsReauthentication)


def signed(endpoint: Endpoint, renew=None) -> SignedApi:
    templates = {"Authorization": "Bearer {access_token}"}
    return SignedApi(endpoint.client, templates=templates, credentials=KEPT, renew=renew)


def test_a_call_is_signed_by_the_providers_templates():
    endpoint = Endpoint(json={"a": 1})
    assert signed(endpoint).post("/x", {"b": "2"}).json() == {"a": 1}
    assert endpoint.requests[0].headers["authorization"] == "Bearer old"


def test_a_refused_call_is_asked_again_with_what_was_renewed():
    endpoint = Endpoint(401, json={})
    answer = signed(endpoint, renew=lambda _used: {"access_token": Secret("new")}).get("/x")
    assert answer.status == 401
    sent = [one.headers["authorization"] for one in endpoint.requests]
    assert sent == ["Bearer old", "Bearer new"]


def test_where_nothing_was_renewed_the_refusal_stands():
    endpoint = Endpoint(401, json={})
    assert signed(endpoint, renew=lambda _used: None).get("/x").status == 401
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [(429, {}, RateLimited), (503, {}, Retryable), (301, {}, BadProviderData)],
)
def test_what_the_client_raises_comes_in_our_own_words(status, answer, error):
    with pytest.raises(error):
        signed(Endpoint(status, **answer)).get("/x")


def test_an_answer_that_is_no_json_is_bad_data():
    with pytest.raises(BadProviderData):
        signed(Endpoint(text="<html>")).get("/x").json()


def test_what_signs_is_a_secret():
    assert repr(signing({"X": "{access_token}"}, KEPT)) == "{'X': Secret(…)}"
