"""The hub: wakes sockets whoever wrote, survives what it hears with, ends sockets in time."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.db import connection as db_connection
from django.utils.timezone import now

from dashtam import consumers, events, live
from tests.dashtam.sockets import (
    closed_with,
    following,
    in_database,
    runs_async,
    sequences,
    sign_in,
    tell,
    told,
)

pytestmark = pytest.mark.django_db(transaction=True)

ANOTHER_PROCESS = """
import sys, django
django.setup()
from django.db.transaction import atomic
from dashtam.events import NewEvent, record
for _ in range(int(sys.argv[2])):
    with atomic():
        record(sys.argv[1], NewEvent("import.progress"))
"""


def tell_from_another_process(user, count):
    """Let a process of its own, on the same database, commit events one by one."""
    url = "{scheme}://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}"
    is_file = db_connection.vendor == "sqlite"
    database = {**db_connection.settings_dict, "scheme": "postgres"}
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "dashtam.settings",
        "DATABASE_URL": f"sqlite:///{database['NAME']}" if is_file else url.format(**database),
    }
    command = [sys.executable, "-c", ANOTHER_PROCESS, str(user.pk), str(count)]
    subprocess.run(command, env=environment, cwd=django_settings.BASE_DIR, check=True)


@pytest.fixture
def quick(monkeypatch):
    """Sessions are checked often, so that tests do not wait for the clock."""
    monkeypatch.setattr(live, "SESSION_CHECK_SECONDS", 0.1)


@pytest.fixture
def deaf(monkeypatch):
    """No wake-up is ever heard."""

    async def hear_nothing(_hint):
        await asyncio.sleep(60)

    monkeypatch.setattr(live, "_hear_file", hear_nothing)
    monkeypatch.setattr(live, "_hear_server", hear_nothing)


@pytest.fixture
def browser(alice):
    """A browser in which alice is signed in."""
    return sign_in(alice)


@runs_async
async def code_after(client, ending):
    async with following(client) as socket:
        assert await socket.receive_nothing(timeout=0.3)
        await in_database(ending)()
        return await closed_with(socket)


@runs_async
async def test_another_process_that_writes_is_heard_at_once_and_exactly_once(alice, browser):
    async with following(browser) as socket:
        writing = asyncio.create_task(asyncio.to_thread(tell_from_another_process, alice, 25))
        assert await sequences(socket, 25) == list(range(1, 26))
        await writing


@runs_async
async def test_a_commit_reaches_an_open_socket_without_the_slow_look(alice, browser, monkeypatch):
    monkeypatch.setattr(live, "SAFETY_LOOK_SECONDS", 3600)
    async with following(browser) as socket:
        assert await socket.receive_nothing(timeout=0.3)
        await told(alice)
        assert await sequences(socket, 1) == [1]


@runs_async
async def test_many_sockets_of_two_people_hear_only_their_own(alice, bob, browser):
    browsers = [browser, browser, await in_database(sign_in)(bob)]
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(following(one)) for one in browsers]
        await told(alice, 2)
        await told(bob, 3)
        for socket, count in zip(opened, (2, 2, 3), strict=True):
            assert await sequences(socket, count) == list(range(1, count + 1))


@runs_async
async def test_a_lost_wake_up_is_made_up_for_by_a_slow_look(alice, browser, deaf, monkeypatch):
    monkeypatch.setattr(live, "SAFETY_LOOK_SECONDS", 0.2)
    async with following(browser) as socket:
        await told(alice)
        assert await sequences(socket, 1) == [1]


@pytest.fixture
def first_deaf(monkeypatch):
    """Listening fails twice before it works; the list empties as it does."""
    name = f"_hear_{'server' if db_connection.vendor == 'postgresql' else 'file'}"
    hear, failures = getattr(live, name), [sqlite3.OperationalError("away"), OSError("away")]

    async def hear_at_last(hint):
        if failures:
            raise failures.pop()
        await hear(hint)

    monkeypatch.setattr(live, name, hear_at_last)
    monkeypatch.setattr(live, "RETRY_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(live, "SAFETY_LOOK_SECONDS", 60)
    return failures


@runs_async
async def test_a_listener_that_fails_is_started_again(alice, browser, first_deaf):
    async with following(browser) as socket:
        assert await socket.receive_nothing(timeout=0.3)
        assert first_deaf == []
        await told(alice)
        assert await sequences(socket, 1) == [1]


def cut_listeners():
    with db_connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%%' AND datname = current_database()"
        )
        return cursor.rowcount


@pytest.mark.postgres
@runs_async
async def test_a_listening_connection_that_is_cut_comes_back(alice, browser, monkeypatch):
    monkeypatch.setattr(live, "RETRY_SECONDS", (0.05, 0.1))
    monkeypatch.setattr(live, "SAFETY_LOOK_SECONDS", 60)
    async with following(browser) as socket:
        assert await socket.receive_nothing(timeout=0.5)
        assert await in_database(cut_listeners)() == 1
        assert await socket.receive_nothing(timeout=0.5)
        await told(alice)
        assert await sequences(socket, 1) == [1]


@runs_async
async def test_a_database_that_is_away_costs_a_look_and_no_event(alice, browser, monkeypatch):
    def away(_user_ids):
        monkeypatch.setattr(events, "last_sequences", look)
        raise OperationalError("away")

    look = events.last_sequences
    monkeypatch.setattr(live, "SAFETY_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(events, "last_sequences", away)
    async with following(browser) as socket:
        await told(alice)
        assert await sequences(socket, 1) == [1]
    assert events.last_sequences is look


@runs_async
async def test_a_socket_that_lost_its_database_asks_to_come_again(browser, monkeypatch):
    def away(*_args):
        raise OperationalError("away")

    monkeypatch.setattr(events, "after", away)
    async with following(browser) as socket:
        assert await closed_with(socket) == consumers.TRY_AGAIN


def test_signing_out_closes_the_socket(browser, quick):
    assert code_after(browser, browser.logout) == 4401


def test_a_changed_password_closes_the_socket(alice, browser, quick):
    def change():
        alice.set_password("another long password")
        alice.save()

    assert code_after(browser, change) == 4401


def test_a_deactivated_person_s_socket_closes(alice, browser, quick):
    def deactivate():
        alice.is_active = False
        alice.save()

    assert code_after(browser, deactivate) == 4401


def test_a_deleted_person_s_socket_closes(alice, browser, quick):
    assert code_after(browser, alice.delete) == 4401


def test_an_expired_session_closes_the_socket(browser, quick):
    def expire():
        Session.objects.update(expire_date=now() - timedelta(seconds=1))

    assert code_after(browser, expire) == 4401


def test_a_session_that_became_another_person_s_closes_the_socket(bob, browser, quick):
    def take_over():
        hers.session_data = Session.objects.get(pk=his_key).session_data
        hers.save()

    hers = Session.objects.get(pk=browser.session.session_key)
    his_key = sign_in(bob).session.session_key
    assert code_after(browser, take_over) == 4401


def test_after_its_session_ended_a_socket_sends_nothing_more(alice, browser, quick):
    def end_and_tell():
        browser.logout()
        time.sleep(0.5)
        tell(alice, 3)

    assert code_after(browser, end_and_tell) == 4401


def see_tips(client):
    session = client.session
    session["seen"] = "tips"
    session.save()


@runs_async
async def test_a_session_that_only_changed_its_data_keeps_the_socket(browser, quick):
    async with following(browser) as socket:
        await in_database(see_tips)(browser)
        assert await socket.receive_nothing(timeout=0.5)


@runs_async
async def test_only_the_sockets_of_the_ended_session_close(alice, browser, quick):
    phone = await in_database(sign_in)(alice)
    async with following(browser) as kept, following(phone) as ended:
        await in_database(phone.logout)()
        assert await closed_with(ended) == 4401
        await told(alice)
        assert await sequences(kept, 1) == [1]


@runs_async
async def test_the_hub_rests_when_the_last_socket_left(browser):
    async with following(browser):
        tasks = list(live.Hub.current()._tasks)
        assert not any(task.done() for task in tasks)
    await asyncio.sleep(0.1)
    assert tasks
    assert all(task.done() for task in tasks)
