"""Servers on this machine that behave as banks at their worst, and clients that may ask them."""

import re
import socket
import ssl
import threading
from dataclasses import replace

from dashtam.http import Brake, Client, Limits, Wiring

HOME = "127.0.0.1"
QUICK = Limits(connect_seconds=1, read_seconds=1, deadline_seconds=5, max_bytes=10_000)


def answer(body=b"{}", status=200, **headers):
    """One whole answer as bytes; header names have _ for -."""
    lines = {"content-length": str(len(body)), "connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body


class TinyServer:
    """Gives each connection the next answer (bytes, or a function of the socket); the last stays.

    `requests` are the raw ones that came, `connections` counts those accepted.
    """

    def __init__(self, *answers, tls=None, host=HOME):
        self.answers = list(answers) or [answer()]
        self.tls = tls
        self.requests = []
        self.connections = 0
        self.stopped = threading.Event()
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while True:
            try:
                connection, _peer = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            script = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            thread = threading.Thread(target=self.serve, args=(connection, script), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, connection, script):
        connection.settimeout(5)
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.requests.append(read_request(connection))
            connection.sendall(script) if isinstance(script, bytes) else script(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def drip(self, data, seconds):
        """An answer sent byte by byte."""

        def script(connection):
            for byte in data:
                if self.stopped.wait(seconds):
                    return
                connection.send(bytes([byte]))

        return script

    def close(self):
        self.stopped.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(5)


def serving():
    """For a fixture: starts servers, and stops them after the test."""
    servers = []

    def start(*answers, kind=TinyServer, **options):
        servers.append(kind(*answers, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def read_request(connection):
    """The bytes of one request, its body included."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def reset(connection):
    """Break the connection off without an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def client_of(server, *, scheme="http", host=HOME, path="", limits=QUICK, **options):
    """A client that may ask this server; pauses between tries are not waited for."""
    names = {name: options.pop(name) for name in Wiring.__slots__ if name in options}
    hosts = frozenset({f"{host}:{server.port}"})
    wiring = replace(Wiring(allow_hosts=hosts, sleep=lambda seconds: None), **names)
    url = f"{scheme}://{host}:{server.port}{path}"
    options = {"provider": "bank", "brake": Brake(), "limits": limits, "wiring": wiring} | options
    return Client(url, **options)


def server_context(certificate, key):
    """What a TLS server needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
