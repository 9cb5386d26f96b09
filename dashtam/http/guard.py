"""The lowest layer: addresses are checked as they are connected to, and every wait has an end."""

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from pathlib import Path
from queue import Empty, SimpleQueue
from socket import SOCK_STREAM, getaddrinfo
from threading import Thread
from time import monotonic
from typing import Any, Final

import httpcore
import httpx

from dashtam.http.addresses import Origin, is_public
from dashtam.http.errors import Refused

MAX_CONNECTIONS: Final = 8
MAX_ADDRESSES_TRIED: Final = 4
_SHORTEST_WAIT_SECONDS = 0.001

Resolve = Callable[[str, int], list[str]]

_ends_at: ContextVar[float] = ContextVar("ends_at", default=inf)


@contextmanager
def ending_at(moment: float) -> Iterator[None]:
    """Let no wait of this thread's calls last longer than until `moment`, as monotonic() counts."""
    token = _ends_at.set(moment)
    try:
        yield
    finally:
        _ends_at.reset(token)


def tls_context(
    *, authorities: Path | None = None, certificate: tuple[Path, Path] | None = None
) -> ssl.SSLContext:
    """Return what verifies servers and speaks no less than TLS 1.2.

    `authorities` (PEM) are trusted instead of the usual ones; `certificate` is the client's own
    with its key (PEM).
    """
    context = httpx.create_ssl_context(trust_env=False)
    if authorities is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authorities)
    if certificate is not None:
        context.load_cert_chain(*certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def look_up(host: str, port: int) -> list[str]:
    """Return every address of a host. OSError when it has none."""
    return [str(found[4][0]) for found in getaddrinfo(host, port, type=SOCK_STREAM)]


class GuardedTransport(httpx.HTTPTransport):
    """httpx's transport on a pool whose connections go through a Guard."""

    def __init__(self, context: ssl.SSLContext, backend: httpcore.NetworkBackend) -> None:
        # httpx offers no way to hand a network backend in: its pool is made here instead.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=MAX_CONNECTIONS,
            network_backend=backend,
        )


class Guard(httpcore.NetworkBackend):
    """Connects to one origin: resolves it once, checks every address, goes to a checked one."""

    def __init__(
        self, origin: Origin, resolve: Resolve, inner: httpcore.NetworkBackend | None = None
    ) -> None:
        self._is_allowed = origin.is_allowed
        self._resolve = resolve
        self._inner = inner or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection. Refused when any address is not public, ConnectError if none."""
        ends_at = monotonic() + _seconds(timeout, httpcore.ConnectTimeout)
        addresses = list(dict.fromkeys(self._addresses(host, port, ends_at)))
        if not self._is_allowed and not all(map(is_public, addresses)):
            raise Refused("the name leads to an address that is not public", "address")
        # The address itself is connected to: asking for the name again could bring another one.
        return _Stream(self._first_to_answer(addresses[:MAX_ADDRESSES_TRIED], port, ends_at))

    def _addresses(self, host: str, port: int, ends_at: float) -> list[str]:
        # The system's resolver knows no timeout: it is waited for, and then left behind.
        answers: SimpleQueue[list[str]] = SimpleQueue()
        Thread(target=self._ask_resolver, args=(host, port, answers), daemon=True).start()
        try:
            return answers.get(timeout=_until(ends_at))
        except Empty:
            raise httpcore.ConnectTimeout("the name was not resolved in time") from None

    def _ask_resolver(self, host: str, port: int, answers: SimpleQueue[list[str]]) -> None:
        try:
            answers.put(self._resolve(host, port))
        except (OSError, UnicodeError):
            answers.put([])

    def _first_to_answer(
        self, addresses: list[str], port: int, ends_at: float
    ) -> httpcore.NetworkStream:
        problem: Exception = httpcore.ConnectError("the name has no address")
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                # A silent address (IPv6 without a route, say) leaves time for the next.
                return self._inner.connect_tcp(address, port, timeout=_until(ends_at) / left)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem


class _Stream(httpcore.NetworkStream):
    """A connection on which a drip of bytes does not outlast the call's total deadline."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _distrusting():
            return self._inner.read(max_bytes, _seconds(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _seconds(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        seconds = _seconds(timeout, httpcore.ConnectTimeout)
        with _distrusting():
            return _Stream(self._inner.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


@contextmanager
def _distrusting() -> Iterator[None]:
    try:
        yield
    except httpcore.NetworkError as error:
        if _is_distrust(error.__cause__):
            raise Refused("the server did not prove who it is (TLS)", "tls") from None
        raise


def _is_distrust(cause: BaseException | None) -> bool:
    # A connection that broke is an SSLError too, and may be whole the next time.
    broke = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return isinstance(cause, ssl.SSLError) and not isinstance(cause, broke)


def _seconds(timeout: float | None, problem: type[Exception]) -> float:
    left = min(_ends_at.get() - monotonic(), inf if timeout is None else timeout)
    if left <= 0:
        raise problem("the call's time is over")
    return left


def _until(moment: float) -> float:
    return max(moment - monotonic(), _SHORTEST_WAIT_SECONDS)
