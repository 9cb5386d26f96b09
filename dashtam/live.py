"""Wake-ups for open sockets: one hub per web process hears that feeds grew and that sessions ended.

What is heard is only a hint; what a socket sends it reads from the event table. So a hint may be
lost (a slow look makes up for it), doubled or late, and no event is missed or doubled for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from channels.db import database_sync_to_async
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import Error as DatabaseError
from django.db import connection as db_connection
from django.utils.crypto import constant_time_compare
from django.utils.timezone import now

from dashtam import events
from dashtam.models import User

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine
    from uuid import UUID

_T = TypeVar("_T")
logger = logging.getLogger(__name__)

FILE_POLL_SECONDS = 0.05
SAFETY_LOOK_SECONDS = 5.0
SESSION_CHECK_SECONDS = 2.0
RETRY_SECONDS = (0.5, 15.0)
MAX_SOCKETS_PER_USER = 20
# SQLite takes 999 parameters in a statement.
ROWS_PER_QUERY = 500

SIGNED_OUT = 4401
TOO_MANY = 4429


@dataclass(eq=False, slots=True)
class Socket:
    """One open socket as the hub knows it: whose it is, and how to wake it.

    `close_code` is set once it has to close. `proof` is what its session was last verified with.
    """

    user_id: UUID
    session_key: str
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    close_code: int = 0
    proof: tuple[str, str] = ("", "")

    def end(self, code: int) -> None:
        """Make the socket close itself."""
        self.close_code = code
        self.wake.set()

    def is_allowed(self, session: Session | None, user: User | None) -> bool:
        """Whether this unexpired session of this active user (None: there is none) still stands."""
        if session is None or user is None:
            return False
        proof = (session.session_data, user.password)
        if proof != self.proof and _belongs(session, user):
            self.proof = proof
        return proof == self.proof


class Hub:
    """The open sockets of one event loop, and the tasks that wake and end them."""

    _hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._sockets: dict[UUID, set[Socket]] = {}
        self._seen: dict[UUID, int] = {}
        self._hint = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def current(cls) -> Hub:
        """Return the hub of the running event loop."""
        return cls._hubs.setdefault(asyncio.get_running_loop(), cls())

    def join(self, socket: Socket) -> bool:
        """Count a socket in, before it reads its first event; False when the user has too many."""
        sockets = self._sockets.setdefault(socket.user_id, set())
        if len(sockets) >= MAX_SOCKETS_PER_USER:
            return False
        sockets.add(socket)
        if not self._tasks:
            work = (_listen(self._hint.set), self._wake_sockets(), self._end_sockets())
            self._tasks = [asyncio.create_task(coroutine) for coroutine in work]
        return True

    def leave(self, socket: Socket) -> None:
        """Forget a socket; the last one out stops the tasks."""
        sockets = self._sockets.get(socket.user_id, set())
        sockets.discard(socket)
        if not sockets:
            self._sockets.pop(socket.user_id, None)
            self._seen.pop(socket.user_id, None)
        if not self._sockets:
            for task in self._tasks:
                task.cancel()
            self._tasks = []

    async def _wake_sockets(self) -> None:
        """Wake the sockets of everybody whose feed grew, at a hint or after a while without one."""
        while True:
            self._hint.clear()
            await _survive(self._look)
            await wait(self._hint, SAFETY_LOOK_SECONDS)

    async def _look(self) -> None:
        for user_ids in _chunks(list(self._sockets)):
            found = await database_sync_to_async(events.last_sequences)(user_ids)
            for user_id, sequence in found.items():
                if sequence > self._seen.get(user_id, 0) and user_id in self._sockets:
                    self._seen[user_id] = sequence
                    for socket in self._sockets[user_id]:
                        socket.wake.set()

    async def _end_sockets(self) -> None:
        """End the sockets whose session ended: signed out, expired, password or user changed."""
        while True:
            await asyncio.sleep(SESSION_CHECK_SECONDS)
            await _survive(self._check_all)

    async def _check_all(self) -> None:
        await self.check([socket for group in self._sockets.values() for socket in group])

    async def check(self, sockets: list[Socket]) -> None:
        """End those of these sockets whose session ended."""
        for some in _chunks(sockets):
            for socket in await database_sync_to_async(_no_longer_allowed)(some):
                socket.end(SIGNED_OUT)


def _no_longer_allowed(sockets: Collection[Socket]) -> list[Socket]:
    unexpired = Session.objects.filter(expire_date__gt=now())
    sessions = unexpired.in_bulk({socket.session_key for socket in sockets})
    active = User.objects.filter(is_active=True).only("password")
    users = active.in_bulk({socket.user_id for socket in sockets})
    return [
        socket
        for socket in sockets
        if not socket.is_allowed(sessions.get(socket.session_key), users.get(socket.user_id))
    ]


def _belongs(session: Session, user: User) -> bool:
    data = session.get_decoded()
    return data.get(SESSION_KEY) == str(user.pk) and constant_time_compare(
        data.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()
    )


async def _listen(hint: Callable[[], None]) -> None:
    """Call `hint` whenever another connection may have written, for as long as the task runs."""
    hear = _hear_server if db_connection.vendor == "postgresql" else _hear_file
    pause, longest = RETRY_SECONDS
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await hear(hint)
        except (sqlite3.Error, psycopg.Error, OSError):
            logger.warning("Wake-ups are interrupted; looking on a timer.", exc_info=True)
        if asyncio.get_running_loop().time() - started > longest:
            pause = RETRY_SECONDS[0]
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  (jitter, no secret)
        pause = min(pause * 2, longest)


async def _hear_file(hint: Callable[[], None]) -> None:
    name = str(db_connection.settings_dict["NAME"])
    is_uri = name.startswith("file:")
    with closing(sqlite3.connect(name, uri=is_uri, isolation_level=None)) as database:
        seen = None
        while True:
            # Changes with every commit of any other connection, of this process or another.
            version = database.execute("PRAGMA data_version").fetchone()
            if version != seen:
                hint()
            seen = version
            await asyncio.sleep(FILE_POLL_SECONDS)


async def _hear_server(hint: Callable[[], None]) -> None:
    async with await psycopg.AsyncConnection.connect(
        **_server_parameters(), autocommit=True
    ) as connection:
        await connection.execute(f"LISTEN {events.CHANNEL}")
        hint()  # what was said while nobody listened
        async for _notification in connection.notifies():
            hint()


def _server_parameters() -> dict[str, Any]:
    """Django's own connection parameters, without those that are about its cursors."""
    known: dict[str, Any] = db_connection.get_connection_params()
    not_ours = {"context", "cursor_factory", "prepare_threshold"}
    return {name: value for name, value in known.items() if name not in not_ours}


async def _survive(step: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a step; a database that is away now is asked again at the next one."""
    try:
        await step()
    except DatabaseError:
        logger.warning("The database does not answer the live hub.", exc_info=True)


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event for at most so long; whether it came."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _chunks(items: list[_T]) -> list[list[_T]]:
    starts = range(0, len(items), ROWS_PER_QUERY)
    return [items[start : start + ROWS_PER_QUERY] for start in starts]
