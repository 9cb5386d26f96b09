"""The sandbox's HTTP server: threads, kept-alive connections, and answers that come badly."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol

from connections.sandbox.faults import Fault, spoil
from connections.sandbox.wire import MAX_REQUEST_BYTES, Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from connections.sandbox.faults import Rule

HOST = "127.0.0.1"
_LOCAL_NAMES = {"localhost", "127.0.0.1"}
_IDLE_SECONDS = 60


class Answers(Protocol):
    """Whoever answers the requests."""

    def answer(self, request: Request) -> tuple[Answer, Rule | None]:
        """The answer, and what goes wrong while it is sent."""


class Server:
    """Serves `bank` on a port of the loopback address (0: a free one)."""

    def __init__(self, bank: Answers, port: int) -> None:
        """Take the port; nothing is answered before `start`."""
        self._ended = threading.Event()
        self._http = _HttpServer((HOST, port), _Handler)
        self._http.bank = bank
        self._http.ended = self._ended
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self._http.server_port}"

    def start(self) -> None:
        """Answer, in threads of its own."""
        self._thread.start()

    def close(self) -> None:
        """Stop; whoever waits for a slow answer is let go."""
        self._ended.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.hang_up()
        self._http.server_close()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    bank: Answers
    ended: threading.Event

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away without a word is no error of the bank's.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """End the kept-alive connections: a closed bank answers nobody."""
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    server: _HttpServer

    def __getattr__(self, name: str) -> Callable[[], None]:
        # The base class asks for do_GET, do_POST …: one way for all methods.
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        request = self._request()
        if request is None:
            return
        answer, rule = self.server.bank.answer(request)
        try:
            self._send(answer, rule)
        except (BrokenPipeError, ConnectionResetError):
            # The client did not wait: that is its right.
            self.close_connection = True

    def _request(self) -> Request | None:
        # Names that lead here from elsewhere could let a web page read along.
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        length = self.headers.get("Content-Length", "0")
        if host not in _LOCAL_NAMES or not (length.isascii() and length.isdigit()):
            self.close_connection = True
            self.send_error(400)
            return None
        if int(length) > MAX_REQUEST_BYTES:
            self.close_connection = True
            self.send_error(413)
            return None
        path, _mark, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, path, query, headers, self.rfile.read(int(length)))

    def _send(self, answer: Answer, rule: Rule | None) -> None:
        body = spoil(rule, answer.body()) if rule else answer.body()
        fault = rule.fault if rule else None
        if rule and fault is Fault.SLOW:
            self.server.ended.wait(rule.seconds)
        if fault is Fault.DROPPED:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.content_type())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is Fault.TRUNCATED:
            self.close_connection = True
            body = body[: len(body) // 2]
        if rule and fault is Fault.DRIP:
            self._drip(body, rule.seconds)
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes, pause: float) -> None:
        for number in range(len(body)):
            self.wfile.write(body[number : number + 1])
            if self.server.ended.wait(pause):
                self.close_connection = True
                return

    def version_string(self) -> str:
        return "sandbox"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the bank keeps its own record."""
