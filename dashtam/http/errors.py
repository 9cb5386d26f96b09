"""What can go wrong on the way out, named by its remedy.

Their words are for logs: method, host and path, never a query value, a header or a raw body.
"""

from datetime import datetime


class HttpError(Exception):
    """The call brought no usable answer."""

    def __str__(self) -> str:
        return str(self.args[0])


class Retryable(HttpError):
    """Nothing is wrong with the request: ask again later, not before `retry_at` when it is set."""

    retry_at: datetime | None


class RateLimited(Retryable):
    """The provider asked to wait: every call to it is held back until `retry_at` (UTC)."""

    retry_at: datetime

    def __init__(self, text: str, retry_at: datetime) -> None:
        super().__init__(text, retry_at)
        self.retry_at = retry_at


class Unavailable(Retryable):
    """The provider did not answer, or answered that it is out of order.

    `may_have_arrived` is False when the request surely never left; `is_passing` when another try
    within seconds is worth it.
    """

    def __init__(
        self,
        text: str,
        *,
        retry_at: datetime | None = None,
        may_have_arrived: bool = True,
        is_passing: bool = True,
    ) -> None:
        super().__init__(text)
        self.retry_at = retry_at
        self.may_have_arrived = may_have_arrived
        self.is_passing = is_passing


class BadAnswer(HttpError):
    """What came is not what the provider's documentation promises: not JSON, say."""


class Refused(HttpError):
    """We will not: `reason` is address, url, request, redirect, too_large or tls."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text, reason)
        self.reason = reason
