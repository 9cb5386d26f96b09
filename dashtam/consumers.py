"""The live socket: replays what its owner missed, then follows, and never leaves their session."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import Error as DatabaseError
from django.http.request import split_domain_port, validate_host

from dashtam import events
from dashtam.live import SIGNED_OUT, TOO_MANY, Hub, Socket, wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)

EVENTS_PER_READ = 200
# Between two full reads: a client that does not keep up is noticed by its missing pong first.
CATCH_UP_PAUSE_SECONDS = 0.05
HEARTBEAT_SECONDS = 25.0
MAX_CLIENT_MESSAGE = 1024

BAD_SINCE = 4400
TOO_BIG = 1009
BROKEN = 1011
TRY_AGAIN = 1013

_SEQUENCE = re.compile(r"[0-9]{1,18}", re.ASCII)


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One socket at `/ws/live/?since=<last sequence the client has>`.

    Sends {"type": "hello", "sequence": newest}, then events in order (`events.as_message`), each
    once; {"type": "resync", "sequence": newest} where they are not all there; and after 25 seconds
    of silence {"type": "heartbeat"}. Closes with 4401 (no session), 4400 (bad since), 4429 (too
    many sockets), 1013 (database away). What the client sends is ignored.
    """

    socket: Socket | None = None
    task: asyncio.Task[None] | None = None
    is_gone = False

    async def connect(self) -> None:
        """Accept (a browser sees no close code otherwise), then refuse or start to follow."""
        await self.accept()
        user = self.scope["user"]
        since = _since(self.scope["query_string"])
        if not user.is_authenticated:
            await self.close(SIGNED_OUT)
        elif since is None:
            await self.close(BAD_SINCE)
        else:
            await self._start(Socket(user.pk, self.scope["session"].session_key), since)

    async def disconnect(self, code: int) -> None:
        """Stop following."""
        self.is_gone = True
        if self.task is not None:
            self.task.cancel()
        if self.socket is not None:
            Hub.current().leave(self.socket)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Nothing is expected from the client; what is large is not put up with."""
        if len(text_data or bytes_data or "") > MAX_CLIENT_MESSAGE:
            await self.close(TOO_BIG)

    async def _start(self, socket: Socket, since: int) -> None:
        if not Hub.current().join(socket):
            await self.close(TOO_MANY)
            return
        self.socket = socket
        self.task = asyncio.create_task(self._run(socket, since))

    async def _run(self, socket: Socket, since: int) -> None:
        code = BROKEN
        try:
            await self._follow(socket, since)
            code = socket.close_code
        except DatabaseError:
            logger.warning("A live socket lost its database.", exc_info=True)
            code = TRY_AGAIN
        finally:
            Hub.current().leave(socket)
            if not self.is_gone:
                await self.close(code)

    async def _follow(self, socket: Socket, cursor: int) -> None:
        newest = await database_sync_to_async(events.last_sequence)(socket.user_id)
        await self._tell({"type": "hello", "sequence": newest})
        while not socket.close_code:
            # Cleared before reading: what is committed after this read wakes the socket again.
            socket.wake.clear()
            found = await database_sync_to_async(events.after)(
                socket.user_id, cursor, EVENTS_PER_READ
            )
            if found:
                # Whoever was signed out a moment ago, perhaps by what was found, is told nothing.
                await Hub.current().check([socket])
            if socket.close_code:
                return
            if isinstance(found, events.Resync):
                cursor = found.sequence
                await self._tell({"type": "resync", "sequence": cursor})
            for event in found if isinstance(found, list) else ():
                await self._tell(events.as_message(event))
                cursor = event.sequence
            await self._rest(socket, is_behind=_is_full(found))

    async def _rest(self, socket: Socket, *, is_behind: bool) -> None:
        if is_behind:
            await asyncio.sleep(CATCH_UP_PAUSE_SECONDS)
            return
        while not await wait(socket.wake, HEARTBEAT_SECONDS):
            await self._tell({"type": "heartbeat"})

    async def _tell(self, message: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(message, separators=(",", ":")))


class SameOrigin:
    """Lets a socket in only from a page of this site: cookies come along from any page."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a socket of our own pages; refuse any other before the handshake is done."""
        if is_same_origin(scope):
            await self.application(scope, receive, send)
        else:
            await refuse(scope, receive, send)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Turn a socket away: the client's handshake fails with 403."""
    await receive()
    await send({"type": "websocket.close"})


def is_same_origin(scope: Scope) -> bool:
    """Whether the one Origin header is the site that was asked (by Host), or a trusted one."""
    origins, hosts = _headers(scope, b"origin"), _headers(scope, b"host")
    if len(origins) != 1 or len(hosts) != 1:
        return False
    domain, _port = split_domain_port(hosts[0])
    # A foreign name that was made to point here would be the origin of its own pages.
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    is_secure = scope.get("scheme") == "wss" or settings.PUBLIC_URL.startswith("https:")
    site = f"{'https' if is_secure else 'http'}://{hosts[0]}"
    return origins[0] in {site, *(origin.lower() for origin in settings.CSRF_TRUSTED_ORIGINS)}


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in scope["headers"] if key == name]


def _since(query_string: bytes) -> int | None:
    values = parse_qs(query_string.decode("latin-1"), keep_blank_values=True).get("since", [])
    return int(values[0]) if len(values) == 1 and _SEQUENCE.fullmatch(values[0]) else None


def _is_full(found: list[Any] | events.Resync) -> bool:
    return isinstance(found, list) and len(found) == EVENTS_PER_READ
