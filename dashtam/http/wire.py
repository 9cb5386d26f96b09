"""One request over httpx and what became of it, in our own words. The retries are the client's."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ssl import SSLContext
from typing import Final, cast

import httpx

from dashtam.http.addresses import Origin
from dashtam.http.answer import Answer, Body
from dashtam.http.call import Call
from dashtam.http.errors import HttpError, Refused, Unavailable
from dashtam.http.guard import Guard, GuardedTransport, Resolve, ending_at, look_up, tls_context

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 20.0
DEADLINE_SECONDS: Final = 60.0
MAX_BYTES: Final = 32 * 1024 * 1024
TOO_MANY_REQUESTS: Final = 429
_SHORTEST_WAIT_SECONDS = 0.001
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_WORDS = (
    (httpx.TimeoutException, "no answer in time"),
    (httpx.ConnectError, "no connection"),
    (httpx.RemoteProtocolError, "the answer stops early"),
    (httpx.HTTPError, "the connection broke"),
)

# They write addresses with their queries, and headers: a filter holds whatever level is set.
for _library in ("httpx", "httpcore.connection", "httpcore.http11"):
    logging.getLogger(_library).addFilter(lambda record: False)

_usual_tls = lru_cache(maxsize=1)(tls_context)


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a call: seconds to connect, without a byte, and in all; bytes of its answer."""

    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    deadline_seconds: float = DEADLINE_SECONDS
    max_bytes: int = MAX_BYTES


@dataclass(frozen=True, slots=True)
class Wiring:
    """What surrounds a client.

    `allow_hosts` (`host` or `host:port`, as the base URL has it) may be private and without TLS:
    the sandbox. `before_call` may raise to stop a call. `transport` replaces the network.
    """

    allow_hosts: frozenset[str] = frozenset()
    tls: SSLContext | None = None
    before_call: Callable[[], None] | None = None
    resolve: Resolve = look_up
    sleep: Callable[[float], None] = time.sleep
    transport: httpx.BaseTransport | None = None


class Wire:
    """The connections to one origin."""

    def __init__(self, origin: Origin, limits: Limits, wiring: Wiring) -> None:
        self._base = f"{origin.scheme}://{origin.name}"
        self._limits = limits
        self._transport = wiring.transport or GuardedTransport(
            wiring.tls or _usual_tls(), Guard(origin, wiring.resolve)
        )

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def exchange(self, call: Call, ends_at: float) -> Answer:
        """Send one request and return its answer, whatever the status; over by `ends_at`.

        Unavailable, Refused or BadAnswer. The body is left behind where the status says it all:
        of a redirect, a 429 and a 5xx.
        """
        outcome = self._outcome(call, ends_at)
        # Raised anew: the frames and errors below hold headers, queries and bodies.
        if isinstance(outcome, HttpError):
            raise outcome
        return outcome

    def _outcome(self, call: Call, ends_at: float) -> Answer | HttpError:
        try:
            with ending_at(ends_at):
                return self._answer(call, ends_at)
        except HttpError as error:
            problem = error
        except httpx.HTTPError as error:
            problem = _trouble(error)
        except httpx.InvalidURL:
            problem = Refused("cannot be written as HTTP", "request")
        return _bare(problem, call.asked)

    def _answer(self, call: Call, ends_at: float) -> Answer:
        response = self._transport.handle_request(self._request(call, ends_at))
        try:
            body = self._body(response) if _tells_by_body(response.status_code) else b""
            return Answer(response.status_code, dict(response.headers), body, call.asked)
        finally:
            response.close()

    def _request(self, call: Call, ends_at: float) -> httpx.Request:
        timeouts = {
            "connect": self._limits.connect_seconds,
            "read": self._limits.read_seconds,
            "write": self._limits.read_seconds,
            "pool": max(ends_at - time.monotonic(), _SHORTEST_WAIT_SECONDS),
        }
        return httpx.Request(
            call.method,
            self._base + call.target,
            headers=call.headers,
            content=call.content,
            extensions={"timeout": timeouts},
        )

    def _body(self, response: httpx.Response) -> bytes:
        body = Body(response.headers.get("content-encoding", ""), self._limits.max_bytes)
        # Not httpx's own decoding: it unpacks a bomb before anybody can count.
        for chunk in cast("Iterable[bytes]", response.stream):
            body.take(chunk)
        return body.whole()


def _tells_by_body(status: int) -> bool:
    return status // 100 in (2, 4) and status != TOO_MANY_REQUESTS


def _trouble(error: httpx.HTTPError) -> Unavailable:
    words = next(words for kind, words in _WORDS if isinstance(error, kind))
    return Unavailable(words, may_have_arrived=not isinstance(error, _NEVER_LEFT))


def _bare(problem: HttpError, asked: str) -> HttpError:
    problem.args = (f"{asked}: {problem}", *problem.args[1:])
    problem.__cause__ = problem.__context__ = problem.__traceback__ = None
    return problem
