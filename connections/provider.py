"""What a provider is, and the registry of all of them: declaring the class registers it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from connections.errors import (
    BadProviderData,
    NeedsReauthentication,
    NotConfigured,
    Retryable,
)
from connections.types import AuthType, Category

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import date

    from accounts.types import AccountData, Rejected
    from connections.auth import SignIn
    from connections.errors import SyncError
    from connections.recognition import Memory
    from connections.types import Capability
    from holdings.types import HoldingData
    from transactions.types import Known, TransactionData

MAX_DETAIL_LENGTH = 200
_registry: dict[str, type[Provider]] = {}


class UnknownProvider(LookupError):
    """No provider has this slug; the sentence lists those there are."""


class Answer(Protocol):
    """What came back: `headers` are by lower-case name."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers."""

    def json(self) -> Any:
        """The body, numbers with a point as Decimal; BadProviderData when it is no JSON."""

    def rows(self) -> list[object]:
        """The rows of a body that is a list, for `told`; BadProviderData when it is none."""


class Api(Protocol):
    """The one way out to a provider: signed in, below its base URL, errors of connections.errors.

    An outage or a 5xx is Retryable, a 429 RateLimited; answers that are 2xx or 4xx are given back.
    """

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Read; tried again by itself when that may help."""

    def post(self, path: str, data: Mapping[str, str] | None = None) -> Answer:
        """Send a form; never tried again by itself."""


class Provider:
    """One provider: its metadata, the calls it takes, and how its data become ours.

    `base_urls` are by environment, the first being the usual one; a provider without any is never
    fetched. `request_headers` are what signs a call in, filled from the credentials' names.
    `history_depth` None is everything there is. `calls_per_minute` is what it takes from one
    installation; None when nobody knows. A file provider says by `institution_marks` (an OFX
    ORG, a FID or an Intuit bank id, upper case) which statements are its own; the one without marks
    takes every other.
    """

    slug: ClassVar[str]
    name: ClassVar[str]
    category: ClassVar[Category] = Category.OTHER
    auth: ClassVar[SignIn]
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    settings: ClassVar[tuple[str, ...]] = ()
    website: ClassVar[str] = ""
    documentation: ClassVar[str] = ""
    institution_name: ClassVar[str] = ""
    institution_marks: ClassVar[frozenset[str]] = frozenset()
    reads_files: ClassVar[bool] = False
    is_production_ready: ClassVar[bool] = True
    base_urls: ClassVar[Mapping[str, str]] = {}
    request_headers: ClassVar[Mapping[str, str]] = {}
    history_depth: ClassVar[timedelta | None] = None
    request_window: ClassVar[timedelta | None] = None
    minimum_interval: ClassVar[timedelta] = timedelta(minutes=5)
    calls_per_minute: ClassVar[int | None] = None

    def __init__(self, api: Api, *, environment: str = "") -> None:
        """A provider for one connection; `environment` is one of `base_urls`."""
        self.api = api
        self.environment = environment or next(iter(self.base_urls), "")
        # By the accounts' ids. Threads read several, each of them its own.
        self._memories: dict[str, Memory | None] = {}

    def __init_subclass__(cls) -> None:
        """Register the class under its slug."""
        super().__init_subclass__()
        if cls.slug in _registry:
            raise ValueError(f"Two providers are called {cls.slug!r}.")
        _registry[cls.slug] = cls

    @classmethod
    def is_fetched(cls) -> bool:
        """Whether there is anything to call: not so for files and for what is kept by hand."""
        return bool(cls.base_urls)

    @classmethod
    def base_url(cls, settings: Mapping[str, str], environment: str = "") -> str:
        """Where to call: `<SLUG>_BASE_URL` ({environment} filled in) before the provider's own.

        Without `environment`, `<SLUG>_ENVIRONMENT` decides; ValueError when it is none of those.
        """
        prefix = cls.slug.upper()
        chosen = environment or settings.get(f"{prefix}_ENVIRONMENT") or next(iter(cls.base_urls))
        if chosen not in cls.base_urls:
            known = ", ".join(cls.base_urls)
            raise ValueError(f"{cls.name} has no environment {chosen!r}; there are: {known}.")
        own = settings.get(f"{prefix}_BASE_URL") or cls.base_urls[chosen]
        return own.replace("{environment}", chosen).rstrip("/")

    def check(self) -> None:
        """Prove the credentials by the cheapest real call; NeedsReauthentication when refused."""
        raise NotImplementedError

    def accounts(self) -> Iterator[AccountData | Rejected]:
        """Every account the person let us see."""
        raise NotImplementedError

    def transactions(
        self, account: AccountData, start: date | None, end: date
    ) -> Iterator[Sequence[TransactionData | Known | Rejected]]:
        """The account's transactions from `start` (None: all there are) to `end`, page by page.

        Days are the provider's own. A transaction is told once, in its last state, and may be of an
        earlier day when it was written in these. AccountUnknown when the provider does not know the
        account by its id any more.
        """
        return iter(())

    def history(self, end: date) -> Iterator[tuple[date | None, date]]:
        """The days up to `end` in parts, newest first, the last of which begins where all begins.

        Each is read and kept before the next is asked for: a long history survives an interruption.
        """
        yield None, end

    def holdings(self, account: AccountData) -> Iterator[HoldingData | Rejected]:
        """Every position the account holds now."""
        return iter(())

    def remember(self, account: AccountData, memory: Memory | None) -> None:
        """Have the account's rows recognised by this while they are `told`; None forgets."""
        self._memories[account.provider_account_id] = memory

    def told(
        self, rows: Sequence[object], account: AccountData
    ) -> Iterator[TransactionData | Known | Rejected]:
        """The same of an answer's `rows`, where each row stands for itself alone.

        One that is told word for word as it is stored is not read again.
        """
        memory = self._memories.get(account.provider_account_id)
        return (
            memory.read(rows, account, self.read_transactions)
            if memory
            else iter(self.read_transactions(rows, account))
        )

    @classmethod
    def read_transactions(
        cls, rows: object, account: AccountData
    ) -> Iterator[TransactionData | Rejected]:
        """What rows of an answer say, one for one; those set aside are read so again after a fix.

        `account` is as it was told, or as it is stored: without figures then.
        """
        raise NotImplementedError

    @classmethod
    def read_holdings(cls, rows: object, account: AccountData) -> Iterator[HoldingData | Rejected]:
        """The same for positions."""
        raise NotImplementedError

    def read(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The JSON of a successful answer; any other is raised as `refusal` says."""
        answer = self.api.get(path, params)
        if answer.status != 200:
            raise self.refusal(answer)
        return answer.json()

    def refusal(self, answer: Answer) -> SyncError:
        """The error of an answer that is not a success."""
        if answer.status == 401 or (answer.status == 403 and is_json(answer)):
            return NeedsReauthentication()
        # A 403 in HTML is the wall in front of the provider: the credentials were never looked at.
        if answer.status == 403:
            return Retryable()
        return BadProviderData("refused", status=str(answer.status), detail=said_in(answer))


def is_json(answer: Answer) -> bool:
    """Whether the body is JSON: then the provider itself has answered."""
    try:
        answer.json()
    except BadProviderData:
        return False
    return True


def said_in(answer: Answer) -> str:
    """What an answer's body says is wrong, whatever its shape; "" for one that is no JSON."""
    try:
        found = next(_sentences(answer.json()), "")
    except BadProviderData:
        return ""
    return _SECRET.sub("…", " ".join(found.split()))[:MAX_DETAIL_LENGTH]


# A provider may repeat what it was sent: numbers of accounts, and words that look like a key.
_SECRET = re.compile(
    r"\d{6,}|\d(?:[ -]?\d){8,}"
    r"|(?<![\w+/=.-])(?:(?=[a-zA-Z+/=._-]*\d)(?=[\d+/=._-]*[a-zA-Z])[\w+/=.-]{12,}"
    r"|[A-Z]{16,}|[\w+/=.-]{32,})"
)


# From what says most to what says least.
_SAYING = (
    "errors",
    "detail",
    "message",
    "error_description",
    "faultstring",
    "fault",
    "title",
    "error",
)


def _sentences(node: Any, depth: int = 4) -> Iterator[str]:
    if isinstance(node, str) and node.strip():
        yield node
    elif isinstance(node, dict) and depth:
        for key in _SAYING:
            yield from _sentences(node.get(key), depth - 1)
    elif isinstance(node, list) and depth:
        for item in node[:4]:
            yield from _sentences(item, depth - 1)


def _load() -> dict[str, type[Provider]]:
    package = importlib.import_module("connections.providers")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"connections.providers.{module.name}")
    return _registry


def providers() -> list[type[Provider]]:
    """Every provider, by slug."""
    return [provider for _slug, provider in sorted(_load().items())]


def fetched_providers() -> list[type[Provider]]:
    """Those with something to call, by slug."""
    return [one for one in providers() if one.is_fetched()]


def oauth_providers() -> list[type[Provider]]:
    """Those a person signs in to on the provider's own pages, by slug."""
    return [one for one in providers() if one.auth.auth_type == AuthType.OAUTH]


def providers_of(category: Category) -> list[type[Provider]]:
    """Those of one category, by slug."""
    return [one for one in providers() if one.category == category]


def provider_counts() -> dict[Category, int]:
    """How many providers each category has; categories without any are left out."""
    counts = {category: len(providers_of(category)) for category in Category}
    return {category: count for category, count in counts.items() if count}


def provider(slug: str) -> type[Provider]:
    """The provider with this slug, or UnknownProvider."""
    known = _load()
    if slug not in known:
        raise UnknownProvider(
            f"No provider is called {slug!r}; there are: {', '.join(sorted(known))}."
        )
    return known[slug]


def missing_settings(source: type[Provider], settings: Mapping[str, str]) -> tuple[str, ...]:
    """Those settings the provider needs that are not there, or empty."""
    return tuple(name for name in source.settings if not settings.get(name))


def require_settings(source: type[Provider], settings: Mapping[str, str]) -> None:
    """NotConfigured, naming what is missing, unless the provider has all it needs."""
    missing = missing_settings(source, settings)
    if missing:
        raise NotConfigured(source.name, missing)


def file_provider(marks: Collection[str]) -> type[Provider]:
    """The provider whose files carry one of these marks, else the one that takes any file."""
    readers = [candidate for candidate in providers() if candidate.reads_files]
    for candidate in readers:
        if candidate.institution_marks & {mark.upper() for mark in marks}:
            return candidate
    return next(candidate for candidate in readers if not candidate.institution_marks)
