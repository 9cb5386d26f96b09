"""The bank in a box: Schwab and Alpaca on one free port of this computer."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from connections.sandbox import alpaca_api, controls, schwab_api, schwab_login
from connections.sandbox.alpaca_api import AlpacaApi
from connections.sandbox.clock import Clock
from connections.sandbox.faults import UNREADABLE, Fault, Faults, Rule, distort, instead
from connections.sandbox.intrusion import intrude
from connections.sandbox.pages import front_page, keys_page, notice_page
from connections.sandbox.people import DEFAULT_SIZE, People
from connections.sandbox.schwab_api import SchwabApi
from connections.sandbox.schwab_login import Login, Rules
from connections.sandbox.server import Server
from connections.sandbox.truth import Told, Truth, tree
from connections.sandbox.wire import Answer, Refusal, single

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from types import TracebackType

    from connections.sandbox.wire import Request

SEED = "dashtam"
DEFAULT_CALLBACKS = (
    "http://localhost:8000/oauth/schwab/callback",
    "http://127.0.0.1:8000/oauth/schwab/callback",
)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_MAX_RECORDED = 100_000
_SECRET_PARAMETERS = frozenset(
    {"code", "state", "client_secret", "refresh_token", "access_token", "code_verifier", "token"}
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request that came, without its secrets. `fault` is what went wrong with the answer."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[str, ...]
    form: tuple[str, ...]
    status: int
    fault: str
    at: datetime


class Bank:
    """Serves until it is closed; use it in a `with`.

    `size` is how many transactions the large accounts have, `accounts` how many Schwab accounts
    their owner has. `clock`, `faults`, `rules` and the methods steer it while it runs.
    """

    def __init__(
        self,
        *,
        seed: str | int = SEED,
        now: datetime | None = None,
        port: int = 0,
        callbacks: Iterable[str] = DEFAULT_CALLBACKS,
        size: int = DEFAULT_SIZE,
        accounts: int = 2,
    ) -> None:
        """Make the people of this seed; nothing is served before `start`."""
        self.clock = Clock(now)
        self.faults = Faults()
        self.rules = Rules()
        self.people = People(str(seed), size, accounts)
        self.login = Login(self.people, self.clock, seed=str(seed), callbacks=[], rules=self.rules)
        for callback in callbacks:
            self.register(callback)
        self.alpaca = AlpacaApi(self.people, self.clock)
        self.schwab = SchwabApi(self.people, self.clock, self.login)
        self._told = Told()
        self._requests: deque[Recorded] = deque(maxlen=_MAX_RECORDED)
        self._last: dict[tuple[str, str], Answer] = {}
        self._lock = threading.Lock()
        self._server = Server(self, port)

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return self._server.url

    @property
    def requests(self) -> list[Recorded]:
        """Every request that came, oldest first."""
        with self._lock:
            return list(self._requests)

    def start(self) -> None:
        """Serve, in a thread of its own."""
        self._server.start()

    def close(self) -> None:
        """Stop, and let go of whoever waits for a slow answer."""
        self._server.close()

    def __enter__(self) -> Self:
        """Serve."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.close()

    def register(self, callback: str) -> None:
        """Let an app on this computer be returned to; another address is a ValueError."""
        parts = urlsplit(callback)
        if parts.scheme not in {"http", "https"} or parts.hostname not in _LOOPBACK:
            raise ValueError("A callback of the sandbox is on this computer.")
        if parts.query or parts.fragment or parts.username is not None:
            raise ValueError("A callback is a plain address.")
        self.login.callbacks.append(callback)

    def refuse_credentials(self) -> None:
        """Every key and token is refused from now on."""
        self.alpaca.refuses = self.rules.refuses = True

    def accept_credentials(self) -> None:
        """Keys and tokens are good again."""
        self.alpaca.refuses = self.rules.refuses = False

    def truth(self, *, complete: bool = False) -> Truth:
        """Everything ever told in its newest version; `complete`: all that there is now."""
        if not complete:
            return self._told.truth()
        return tree([*self.schwab.everything(), *self.alpaca.everything()])

    def answer(self, request: Request) -> tuple[Answer, Rule | None]:
        """Answer one request, and say what is to go wrong while the answer is sent."""
        if request.path.startswith(controls.PREFIX):
            return controls.answer(self, request), None
        rule = self.faults.strike(request.path)
        answer = (instead(rule, request.path) if rule else None) or self._honest(request, rule)
        if rule:
            answer = distort(rule, answer)
        if answer.status == 200 and not (rule and rule.fault in UNREADABLE):
            self._told.add(answer.facts)
        self._record(request, answer, rule)
        return answer, rule

    def _honest(self, request: Request, rule: Rule | None) -> Answer:
        if rule and rule.fault is Fault.REVOKED_CONSENT:
            self.login.revoke_all()
        if rule and rule.fault is Fault.KEYS_REFUSED:
            self.refuse_credentials()
        caller = request.path, request.headers.get("apca-api-key-id", "")
        if rule and rule.fault is Fault.REPEATED_PAGE and caller in self._last:
            return self._last[caller]
        try:
            answer = self._route(request)
        except Refusal as refusal:
            answer = refusal.answer
        if rule and rule.fault is Fault.MUTATED_PAGE:
            intrude(answer, self.clock.now())
        if isinstance(answer.content, list):
            self._last[caller] = answer
        return answer

    def _route(self, request: Request) -> Answer:
        path = request.path
        if path.startswith(f"{schwab_api.PREFIX}/"):
            correlation = {"Schwab-Client-CorrelId": f"sandbox-{len(self._requests)}"}
            return _with_headers(self.schwab.answer, request, correlation)
        if path.startswith(f"{schwab_login.PREFIX}/"):
            return self.login.answer(request)
        if any(path.startswith(f"/alpaca/{name}/") for name in alpaca_api.ENVIRONMENTS):
            return self.alpaca.answer(request)
        if request.method == "GET" and path in {"/", "/alpaca/keys"}:
            return front_page() if path == "/" else keys_page(self.people)
        return notice_page("Not here", "The sandbox has no such page.", 404)

    def _record(self, request: Request, answer: Answer, rule: Rule | None) -> None:
        query = tuple(
            (name, "…" if name in _SECRET_PARAMETERS else value) for name, value in request.params()
        )
        recorded = Recorded(
            request.method, request.path, query, tuple(request.headers),
            tuple(single(request.form()) or ()), answer.status, str(rule.fault) if rule else "",
            self.clock.now(),
        )  # fmt: skip
        with self._lock:
            self._requests.append(recorded)


def _with_headers(
    answer_of: Callable[[Request], Answer], request: Request, headers: dict[str, str]
) -> Answer:
    try:
        answer = answer_of(request)
    except Refusal as refusal:
        answer = refusal.answer
    return replace(answer, headers={**answer.headers, **headers})
