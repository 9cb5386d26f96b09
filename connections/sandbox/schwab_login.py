"""Schwab's OAuth in the sandbox: the consent page, codes, access and refresh tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from connections.sandbox.pages import access_denied_page, consent_page, notice_page
from connections.sandbox.registration import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from connections.sandbox.tokens import Signer
from connections.sandbox.wire import FORM, Answer, Refusal, single

if TYPE_CHECKING:
    from connections.sandbox.clock import Clock
    from connections.sandbox.people import People, SchwabAccount
    from connections.sandbox.wire import Request

PREFIX = "/schwab/v1/oauth"
AUTHORIZE, TOKEN = f"{PREFIX}/authorize", f"{PREFIX}/token"

CODE_LIFE = timedelta(seconds=30)
ACCESS_SECONDS = 1800
REFRESH_LIFE = timedelta(days=7)

_ASKED = frozenset(
    {"client_id", "redirect_uri", "response_type", "state", "scope", "code_challenge",
     "code_challenge_method"}
)  # fmt: skip
_EXCHANGE = frozenset({"grant_type", "code", "redirect_uri", "code_verifier"})
_REFRESH = frozenset({"grant_type", "refresh_token"})
_EXPIRED = (
    '400 Bad Request: "{"error_description":"Exception while authenticating refresh token '
    '[tokenDigest=AAAA=, Exception=Failed refresh token authentication [tokenDigest=AAAA=]]",'
    '"error":"refresh_token_authentication_error"}"'
)


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was handed out: for whom, where to, and what must prove it."""

    person: str
    accounts: list[int]
    redirect_uri: str
    challenge: str
    issued: datetime


@dataclass(slots=True)
class Rules:
    """How the token endpoint behaves; tests tighten it.

    `rotates` gives a new refresh token with each refresh and revokes the whole login on reuse.
    """

    access_seconds: int = ACCESS_SECONDS
    rotates: bool = False
    refuses: bool = False


class Login:
    """Who may see which accounts."""

    def __init__(
        self, people: People, clock: Clock, *, seed: str, callbacks: list[str], rules: Rules
    ) -> None:
        """Let people in who come back to one of `callbacks`, which must match exactly."""
        self.callbacks = callbacks
        self.rules = rules
        self.refreshes = 0
        self.reuses = 0
        self._people = people
        self._clock = clock
        self._signer = Signer(seed)
        self._codes: dict[str, Code] = {}
        self._latest: dict[str, str] = {}
        self._revoked: set[str] = set()
        self._spent: set[str] = set()
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Answer:
        """Answer a call under /schwab/v1/oauth, or raise Refusal."""
        if request.path == TOKEN and request.method == "POST":
            return self._token(request)
        if request.path == AUTHORIZE and request.method == "GET":
            asked = self._asked(request.params())
            return consent_page(self._people, asked)
        if request.path == AUTHORIZE and request.method == "POST":
            return self._decide(request)
        raise Refusal(Answer(404, {"error": "invalid_request"}))

    def accounts_for(self, authorization: str) -> list[SchwabAccount] | None:
        """The accounts that an Authorization header opens, or None."""
        kind, _space, token = authorization.partition(" ")
        grant = self._open("I0.", token) if kind == "Bearer" else None
        if not grant or self.rules.refuses or grant["login"] in self._revoked:
            return None
        if self._clock.now().timestamp() >= grant["until"]:
            return None
        person = self._people.person(grant["person"])
        accounts = person.schwab if person else ()
        return [account for account in accounts if account.index in grant["accounts"]]

    def revoke(self, person: str) -> None:
        """The person takes back the consent of their latest login."""
        with self._lock:
            self._revoked.add(self._latest.get(person, ""))

    def revoke_all(self) -> None:
        """Everybody takes back their consent."""
        with self._lock:
            self._revoked.update(self._latest.values())

    # --- the browser's part

    def _asked(self, pairs: list[tuple[str, str]]) -> dict[str, str]:
        asked = single(pairs)
        if asked is None or set(asked) - _ASKED:
            raise _stop("Unknown parameter", "A parameter is unknown or given twice.")
        if asked.get("client_id") != SANDBOX_CLIENT_ID:
            raise _stop("Unknown app", "No app has this client_id.")
        if asked.get("redirect_uri") not in self.callbacks:
            raise _stop("Wrong callback", "The redirect_uri is not the one that is registered.")
        if asked.get("response_type", "code") != "code":
            raise _stop("Wrong response type", "Only response_type=code is offered.")
        if ("code_challenge" in asked) != (asked.get("code_challenge_method") == "S256"):
            raise _stop("Wrong challenge", "A code_challenge needs the method S256.")
        return asked

    def _decide(self, request: Request) -> Answer:
        if request.headers.get("content-type", "").partition(";")[0] != FORM:
            raise _stop("Wrong form", "Use the form on the page.")
        pairs = request.form()
        ours = ("decision", "person", "account")
        asked = self._asked([pair for pair in pairs if pair[0] not in ours])
        chosen = {name: value for name, value in pairs if name in ours}
        if chosen.get("decision") != "allow":
            return _redirect(asked, {"error": "access_denied"})
        person = self._people.person(chosen.get("person", ""))
        ticked = {value for name, value in pairs if name == "account"}
        accounts = [
            account.index
            for account in (person.schwab if person else ())
            if account.hash_value in ticked
        ]
        if not person or not accounts:
            raise _stop("Nothing chosen", "Choose a person and at least one account.")
        return _redirect(asked, {"code": self._code(person.slug, accounts, asked)})

    def _code(self, person: str, accounts: list[int], asked: dict[str, str]) -> str:
        code = f"C0.{secrets.token_urlsafe(24)}@"
        issued = Code(
            person, accounts, asked["redirect_uri"], asked.get("code_challenge", ""),
            self._clock.now(),
        )  # fmt: skip
        with self._lock:
            self._codes[code] = issued
        return code

    # --- the token endpoint

    def _token(self, request: Request) -> Answer:
        if not request.headers.get("user-agent"):
            raise Refusal(access_denied_page())
        if not _is_client(request.headers.get("authorization", "")):
            raise _refused(401, "invalid_client", "Unauthorized")
        form = single(request.form())
        is_form = request.headers.get("content-type", "").partition(";")[0].strip() == FORM
        if form is None or not is_form or request.query:
            raise _refused(400, "invalid_request", "Malformed request")
        if form.get("grant_type") == "authorization_code":
            return self._exchange(form)
        if form.get("grant_type") == "refresh_token":
            return self._refresh(form)
        raise _refused(400, "unsupported_grant_type", "Unsupported grant type")

    def _exchange(self, form: dict[str, str]) -> Answer:
        if set(form) - _EXCHANGE or not {"code", "redirect_uri"} <= set(form):
            raise _refused(400, "invalid_request", "Missing or unknown parameter")
        with self._lock:
            code = self._codes.pop(form["code"], None)
        if (
            code is None
            or self._clock.now() - code.issued > CODE_LIFE
            or code.redirect_uri != form["redirect_uri"]
            or not _proves(code.challenge, form.get("code_verifier", ""))
        ):
            raise _refused(400, "invalid_grant", "Bad authorization code")
        login = uuid.uuid4().hex
        with self._lock:
            self._latest[code.person] = login
        ends = (self._clock.now() + REFRESH_LIFE).timestamp()
        grant = {
            "login": login, "person": code.person, "accounts": code.accounts, "ends": ends,
            "number": 0,
        }  # fmt: skip
        return self._tokens(grant, self._seal("R0.", grant))

    def _refresh(self, form: dict[str, str]) -> Answer:
        if set(form) != _REFRESH:
            raise _refused(400, "invalid_request", "Missing or unknown parameter")
        token = form["refresh_token"]
        grant = self._open("R0.", token)
        with self._lock:
            if not grant or not self._is_alive(grant, token):
                raise _refused(400, "unsupported_token_type", _EXPIRED)
            self.refreshes += 1
            if not self.rules.rotates:
                return self._tokens(grant, token)
            self._spent.add(token)
        grant["number"] += 1
        return self._tokens(grant, self._seal("R0.", grant))

    def _is_alive(self, grant: dict[str, Any], token: str) -> bool:
        login = grant["login"]
        if token in self._spent:
            self.reuses += 1
            self._revoked.add(login)
        return (
            not self.rules.refuses
            and login not in self._revoked
            and self._latest.get(grant["person"], login) == login
            and self._clock.now().timestamp() < grant["ends"]
        )

    def _tokens(self, grant: dict[str, Any], refresh_token: str) -> Answer:
        until = self._clock.now() + timedelta(seconds=self.rules.access_seconds)
        access = {
            "login": grant["login"], "person": grant["person"], "accounts": grant["accounts"],
            "until": until.timestamp(), "nonce": secrets.token_hex(4),
        }  # fmt: skip
        content = {
            "expires_in": self.rules.access_seconds, "token_type": "Bearer", "scope": "api",
            "refresh_token": refresh_token, "access_token": self._seal("I0.", access),
            "id_token": "eyJ0eXAiOiJKV1QifQ.e30.sandbox",
        }  # fmt: skip
        return Answer(200, content, {"Cache-Control": "no-store"})

    def _seal(self, prefix: str, content: dict[str, Any]) -> str:
        return f"{prefix}{self._signer.seal(content | {'use': prefix})}@"

    def _open(self, prefix: str, token: str) -> dict[str, Any] | None:
        if not (token.startswith(prefix) and token.endswith("@")):
            return None
        content = self._signer.open(token[len(prefix) : -1])
        return content if content and content["use"] == prefix else None


def _redirect(asked: dict[str, str], told: dict[str, str]) -> Answer:
    told = told | {"session": str(uuid.uuid4())}
    if "state" in asked:
        told["state"] = asked["state"]
    location = f"{asked['redirect_uri']}?{urlencode(told)}"
    return Answer(302, "", {"Location": location, "Cache-Control": "no-store"})


def _is_client(authorization: str) -> bool:
    kind, _space, value = authorization.partition(" ")
    try:
        pair = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    expected = f"{SANDBOX_CLIENT_ID}:{SANDBOX_CLIENT_SECRET}".encode()
    return kind == "Basic" and hmac.compare_digest(pair, expected)


def _proves(challenge: str, verifier: str) -> bool:
    if not challenge:
        return not verifier
    digest = hashlib.sha256(verifier.encode()).digest()
    expected = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return hmac.compare_digest(expected.encode(), challenge.encode())


def _refused(status: int, code: str, description: str) -> Refusal:
    return Refusal(Answer(status, {"error": code, "error_description": description}))


def _stop(title: str, text: str) -> Refusal:
    return Refusal(notice_page(title, text))
