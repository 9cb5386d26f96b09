"""A provider's `Api` over the one outbound client, with errors in our own words. Free of Django."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from connections.errors import BadProviderData, RateLimited, Retryable
from connections.rows import Told, a_list
from dashtam import http
from dashtam.vault import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from connections.auth import Credentials

UNAUTHORIZED = 401


@contextmanager
def own_words() -> Iterator[None]:
    """Raise what the client raises as RateLimited, Retryable or BadProviderData."""
    try:
        yield
    except http.RateLimited as error:
        raise RateLimited(retry_at=error.retry_at) from None
    except http.Retryable as error:
        raise Retryable(retry_at=error.retry_at) from None
    except http.BadAnswer:
        raise BadProviderData("not_json") from None
    except http.Refused as error:
        raise BadProviderData("refused", detail=error.reason) from None


class Said:
    """One answer."""

    def __init__(self, answer: http.Answer) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers = answer.headers

    def json(self) -> Any:
        """The body, numbers with a point as Decimal; BadProviderData when it is no JSON."""
        with own_words():
            return self._answer.json()

    def rows(self) -> list[object]:
        """The items of a body that is a list, each read when it is looked at; or else as `json`."""
        parts = self._answer.parts()
        if parts is None:
            return a_list(self.json())
        read = self._answer.reader()

        def read_in_own_words(part: bytes) -> Any:
            with own_words():
                return read(part)

        return [Told(part, read_in_own_words) for part in parts]


class SignedApi:
    """Calls below a client's base URL, signed in by headers whose templates name credentials.

    `renew` is asked once for other credentials when those it has are refused (401); it gets the
    refused ones and returns none when there is no use in trying again.
    """

    def __init__(
        self,
        client: http.Client,
        *,
        templates: Mapping[str, str],
        credentials: Credentials,
        renew: Callable[[Credentials], Credentials | None] | None = None,
    ) -> None:
        self._client = client
        self._templates = templates
        self._credentials = credentials
        self._renew = renew

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Said:
        """Read; tried again by itself when that may help."""
        return self._asked(lambda headers: self._client.get(path, params=params, headers=headers))

    def post(self, path: str, data: Mapping[str, str] | None = None) -> Said:
        """Send a form; never tried again by itself, unless it was refused unread (401)."""
        return self._asked(lambda headers: self._client.post(path, data=data, headers=headers))

    def _asked(self, ask: Callable[[Mapping[str, Secret]], http.Answer]) -> Said:
        used = self._credentials
        with own_words():
            answer = ask(signing(self._templates, used))
        if answer.status != UNAUTHORIZED or self._renew is None:
            return Said(answer)
        renewed = self._renew(used)
        if renewed is None:
            return Said(answer)
        self._credentials = renewed
        with own_words():
            return Said(ask(signing(self._templates, renewed)))


def signing(templates: Mapping[str, str], credentials: Credentials) -> dict[str, Secret]:
    """Return the headers that sign a call in: `{"Authorization": "Bearer {access_token}"}` filled.

    KeyError for a credential that is not there.
    """
    texts = {name: secret.reveal() for name, secret in credentials.items()}
    return {header: Secret(text.format_map(texts)) for header, text in templates.items()}
