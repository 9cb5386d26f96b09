"""Live sockets for tests: opened by a signed-in browser, read until they are quiet."""

import functools
from contextlib import asynccontextmanager

from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.db.transaction import atomic
from django.test import Client

from dashtam.asgi import application
from dashtam.events import NewEvent, record

HOST = "testserver"
PROGRESS = "import.progress"
PATIENCE_SECONDS = 20

in_database = database_sync_to_async


def sign_in(user):
    """A browser in which this person is signed in."""
    client = Client()
    client.force_login(user)
    return client


def open_socket(client, since=0, path=None, **headers):
    """A socket of this browser (None: nobody's), not yet connected; headers None are left out."""
    sent = {"host": HOST, "origin": f"http://{HOST}", **headers}
    if client is not None:
        sent["cookie"] = f"sessionid={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    pairs = [(k.encode(), v.encode()) for k, v in sent.items() if v is not None]
    return WebsocketCommunicator(application, path or f"/ws/live/?since={since}", pairs)


@asynccontextmanager
async def following(client, since=0):
    """A connected and greeted socket, left at the end; `hello` is the greeting's number."""
    socket = open_socket(client, since)
    assert (await socket.connect(PATIENCE_SECONDS))[0]
    hello = await heard(socket)
    assert hello.keys() == {"type", "sequence"}
    assert hello["type"] == "hello"
    socket.hello = hello["sequence"]
    try:
        yield socket
    finally:
        await socket.disconnect()


async def heard(socket):
    """The next message."""
    return await socket.receive_json_from(PATIENCE_SECONDS)


async def sequences(socket, count):
    """The numbers of the next messages, which are events."""
    messages = [await heard(socket) for _ in range(count)]
    assert {message["type"] for message in messages} == {"event"}
    return [message["sequence"] for message in messages]


async def closed_with(socket):
    """The code the socket closes with, after nothing more was sent."""
    message = await socket.receive_output(PATIENCE_SECONDS)
    assert message["type"] == "websocket.close"
    return message["code"]


def tell(user, count=1):
    """Commit so many events of this person."""
    with atomic():
        record(user.pk, *(NewEvent(PROGRESS, {"n": n}) for n in range(count)))


async def told(user, count=1):
    """Commit so many events of this person, from within a test's event loop."""
    await in_database(tell)(user, count)


def runs_async(function):
    """The coroutine function as an ordinary one, with an event loop of its own for each call."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        return async_to_sync(function)(*args, **kwargs)

    return run
