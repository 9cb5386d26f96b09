"""The web server's bounds: a body too large is answered in words, one without end is cut off."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from dashtam.server import MAX_DRAINED_BYTES
from tests.processes import Up, manage, measured

pytestmark = pytest.mark.processes

MEGABYTE = bytes(1_000_000)
SETTLING_SECONDS = 0.3
HEAD = "POST /imports/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running web server."""
    database = tmp_path_factory.mktemp("server") / "db.sqlite3"
    assert manage(database, "migrate", "--verbosity=0").returncode == 0
    running = Up(database, "--port=0", "--web-only", **measured())
    try:
        yield running.is_up(worker=False)
        running.end()
    finally:
        running.clean_up()


@pytest.fixture
def line(web):
    """A connection to it."""
    connection = HTTPConnection("localhost", web.port, timeout=20)
    yield connection
    connection.close()


def megabytes(count):
    return (MEGABYTE for _ in range(count))


@pytest.mark.parametrize(
    "headers", [{"Content-Length": str(40_000_000)}, {}], ids=["told", "chunked"]
)
def test_a_body_too_large_is_answered_in_words(line, headers):
    line.request("POST", "/imports/", megabytes(40), headers, encode_chunked=not headers)
    response = line.getresponse()
    assert response.status == 413
    assert b"That file is too large" in response.read()


def test_a_body_within_the_limit_reaches_the_page(line):
    line.request("POST", "/imports/", megabytes(20), {"Content-Length": str(20_000_000)})
    assert line.getresponse().status == 403


def test_a_body_without_end_is_cut_off(web):
    with socket.create_connection(("localhost", web.port), timeout=20) as raw:
        raw.sendall(HEAD.format(length=10**12).encode())
        with pytest.raises(ConnectionError):
            send_megabytes(raw, 2 * MAX_DRAINED_BYTES // len(MEGABYTE))


def send_megabytes(raw, count):
    """So many, as long as the other side listens."""
    for _ in range(count):
        raw.sendall(MEGABYTE)


def test_a_body_touches_no_disk(web, line):
    server = web.leader("dashtam.server")
    before = unnamed_files(server)
    line.putrequest("POST", "/imports/")
    line.putheader("Content-Length", "20000000")
    line.endheaders(MEGABYTE)
    time.sleep(SETTLING_SECONDS)
    assert unnamed_files(server) == before


def unnamed_files(pid):
    """The temporary files a process holds open: without a name, but on the disk."""
    open_files = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return {path for path in open_files if path.endswith("(deleted)")}
