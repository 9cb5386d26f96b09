"""The client that providers ask through: one server, its limits, its tries and its brake."""

import logging
from math import inf
from random import SystemRandom
from time import monotonic
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from dashtam.http.addresses import split_base
from dashtam.http.answer import Answer
from dashtam.http.brake import Brake
from dashtam.http.call import Call, Headers, Question, Values, written
from dashtam.http.errors import HttpError, RateLimited, Refused, Unavailable
from dashtam.http.wire import TOO_MANY_REQUESTS, Limits, Wire, Wiring
from dashtam.vault import Secret

# Three tries: these are the seconds before the second and the third, give or take a half.
PAUSES_SECONDS: Final = (0.5, 2.0)
TRY_AGAIN_STATUSES: Final = frozenset({500, 502, 503, 504})
_LIMITS = Limits()
_WIRING = Wiring()

logger = logging.getLogger("dashtam.http")


class Client:
    """Asks one server. Threads may share it; close it, or use it in a `with`.

    Whatever is secret (headers, form fields, a path) comes as a Secret and is revealed on the
    wire alone. Answers are 2xx and 4xx but 429; all else is an HttpError named by its remedy.
    """

    def __init__(
        self,
        base_url: str,
        *,
        provider: str,
        brake: Brake,
        headers: Headers | None = None,
        limits: Limits = _LIMITS,
        wiring: Wiring = _WIRING,
    ) -> None:
        """Refused unless `base_url` is https to a public name, or a host of the allowance."""
        self._origin, self._base_path = split_base(base_url, wiring.allow_hosts)
        self._key = f"{provider} at {self._origin.name}"
        self._brake = brake
        self._headers = headers or {}
        self._limits = limits
        self._wiring = wiring
        self._wire = Wire(self._origin, limits, wiring)

    def get(
        self,
        path: str | Secret = "",
        *,
        params: Values | None = None,
        headers: Headers | None = None,
    ) -> Answer:
        """Ask for what is at `path`, three times if need be.

        RateLimited or Unavailable (ask later), BadAnswer (cannot be read), Refused (will not be
        asked, or answered as nobody should).
        """
        question = Question("GET", path, params=params, headers=headers)
        return self._ask(question, is_idempotent=True)

    def post(
        self,
        path: str | Secret = "",
        *,
        data: Values | None = None,
        json: Any = None,
        headers: Headers | None = None,
        is_idempotent: bool = False,
    ) -> Answer:
        """Send a form or JSON to `path`: once, unless it says that a second time does no harm.

        Raises what `get` does; an Unavailable says whether the request may have arrived.
        """
        question = Question("POST", path, data=data, json=json, headers=headers)
        return self._ask(question, is_idempotent=is_idempotent)

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, question: Question, *, is_idempotent: bool) -> Answer:
        if self._wiring.before_call:
            self._wiring.before_call()
        call = written(question, self._origin, self._base_path, self._headers)
        self._brake.check(self._key)
        ends_at = monotonic() + self._limits.deadline_seconds
        pauses = iter(PAUSES_SECONDS if is_idempotent else ())
        while True:
            try:
                return self._try_once(call, ends_at)
            except Unavailable as error:
                problem = error
            if not (problem.is_passing and self._paused(next(pauses, inf), ends_at)):
                self._brake.failed(self._key)
                raise problem

    def _paused(self, seconds: float, ends_at: float) -> bool:
        pause = seconds * SystemRandom().uniform(0.5, 1.5)
        if monotonic() + pause >= ends_at:
            return False
        self._wiring.sleep(pause)
        return True

    def _try_once(self, call: Call, ends_at: float) -> Answer:
        started = monotonic()
        try:
            answer = self._wire.exchange(call, ends_at)
            if not 200 <= answer.status < 300:
                self._judge(answer)
        except HttpError as error:
            logger.warning("%s (%d ms)", error, _milliseconds_since(started))
            raise
        self._brake.succeeded(self._key)
        took, size = _milliseconds_since(started), len(answer.body)
        logger.info("%s: %d (%d ms, %d bytes)", call.asked, answer.status, took, size)
        return answer

    def _judge(self, answer: Answer) -> None:
        """Return when the adapter is to read this answer, which is not 2xx."""
        status, said = answer.status, f"{answer.asked}: {answer.status}"
        if status == TOO_MANY_REQUESTS:
            moment = self._brake.limited(self._key, answer.headers.get("retry-after"))
            raise RateLimited(said, moment)
        if status >= 500:
            self._judge_outage(answer, said)
        if status < 400:
            raise Refused(f"{said}, and redirects are not followed", "redirect")

    def _judge_outage(self, answer: Answer, said: str) -> NoReturn:
        # Who says when to come back does not want to be asked again at once.
        moment = self._brake.moment(answer.headers.get("retry-after"))
        is_passing = answer.status in TRY_AGAIN_STATUSES and moment is None
        raise Unavailable(said, retry_at=moment, is_passing=is_passing)


def _milliseconds_since(moment: float) -> int:
    return round((monotonic() - moment) * 1000)
