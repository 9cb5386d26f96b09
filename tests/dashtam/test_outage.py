"""The web server while its database is away: it says so within seconds, and comes back."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import closing, suppress
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from django.db import connection as db_connection

from tests.bench.databases import postgres
from tests.processes import ROOT, environment, manage, measured, wait_until

pytestmark = pytest.mark.processes

# The pool waits five seconds for a connection.
LONGEST_SECONDS = 8


def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return taken.getsockname()[1]


class Way:
    """The way to the database, a port of this machine: closed until it is opened."""

    def __init__(self):
        self.port = free_port()
        self.ends = []

    def open(self, host, port):
        """Pass everything on from now on."""
        door = socket.create_server(("127.0.0.1", self.port), backlog=50)
        self.ends.append(door)
        threading.Thread(target=self._accept, args=(door, (host, port)), daemon=True).start()

    def _accept(self, door, target):
        with suppress(OSError):
            while True:
                near, _ = door.accept()
                far = socket.create_connection(target)
                self.ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, sink):
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Cut every line and take no new one."""
        for end in self.ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.ends = []


class Web:
    """A web server alone, on this database."""

    def __init__(self, url):
        self.port = free_port()
        command = [sys.executable, "-m", "dashtam.server", "-v", "0", "-b", "127.0.0.1"]
        self.process = subprocess.Popen(
            [*command, "-p", str(self.port), "dashtam.asgi:application"],
            cwd=ROOT,
            env=environment(url, DASHTAM_ROLE="web", LOG_FORMAT="json", **measured()),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, path):
        """(status, body) of an answer that comes in time."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=LONGEST_SECONDS)) as line:
            line.request("GET", path)
            response = line.getresponse()
            return response.status, json.loads(response.read())

    def lives(self):
        with suppress(OSError):
            return self.ask("/health/live")[0] == 200
        return False


@pytest.fixture
def way():
    made = Way()
    yield made
    made.close()


@pytest.fixture
def start():
    started = []

    def starter(url):
        started.append(Web(url))
        wait_until(started[-1].lives, "the web server answers")
        return started[-1]

    yield starter
    for one in started:
        one.process.terminate()
        one.process.wait(15)


DOWN = (503, {"status": "unready", "down": ["database"]})
READY = (200, {"status": "ready"})


def test_it_starts_without_its_database_and_says_what_is_down(way, start):
    web = start(f"postgres://nobody@127.0.0.1:{way.port}/nothing")
    assert web.ask("/health/ready") == DOWN
    assert web.ask("/health/live")[0] == 200


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_it_finds_its_database_when_it_comes_goes_and_comes_back(way, start):
    url = urlsplit(os.environ["DATABASE_URL"])
    login = url.netloc.rpartition("@")[0]
    web = start(f"postgres://{login}@127.0.0.1:{way.port}/{db_connection.settings_dict['NAME']}")
    for _ in range(2):
        assert web.ask("/health/ready") == DOWN
        way.open(url.hostname, url.port or 5432)
        wait_until(lambda: web.ask("/health/ready") == READY, "it is ready")
        way.close()


@pytest.mark.postgres
@pytest.mark.parametrize(("role", "limit"), [("web", "90s"), ("worker", "90s"), ("", "0")])
def test_who_freezes_in_a_transaction_loses_its_locks(role, limit):
    ask = (
        "from django.db import connection; cursor = connection.cursor();"
        "cursor.execute('SHOW idle_in_transaction_session_timeout');"
        "print('limit', cursor.fetchone()[0])"
    )
    roles = {"DASHTAM_ROLE": role} if role else {}
    with postgres() as url:
        told = manage(url, "shell", "-c", ask, **roles)
    assert told.stdout.split()[-2:] == ["limit", limit], told.stderr
