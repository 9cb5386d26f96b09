"""The live socket: who is let in, what it tells, and when it closes."""

import pytest
from django.conf import settings as django_settings

from dashtam import consumers, live
from dashtam.models import Feed
from tests.dashtam.sockets import (
    HOST,
    closed_with,
    following,
    heard,
    in_database,
    open_socket,
    runs_async,
    sequences,
    sign_in,
    tell,
    told,
)

pytestmark = pytest.mark.django_db(transaction=True)


@runs_async
async def is_let_in(client, **headers):
    socket = open_socket(client, **headers)
    let_in, _ = await socket.connect()
    await socket.disconnect()
    return let_in


async def refused(client, since=0):
    """The code with which a socket is accepted only to be closed."""
    socket = open_socket(client, since)
    assert (await socket.connect())[0]
    code = await closed_with(socket)
    await socket.disconnect()
    return code


refusal = runs_async(refused)


@pytest.fixture
def browser(alice):
    """A browser in which alice is signed in."""
    return sign_in(alice)


FOREIGN = [
    None, "null", "", "http://evil.example", f"http://{HOST}.evil.example", f"http://evil{HOST}",
    f"http://sub.{HOST}", f"https://{HOST}", f"http://{HOST}:8443", f"http://{HOST}/", f"ws://{HOST}",
    f"http://{HOST}@evil.example", HOST,
]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_origin_is_not_let_in(browser, origin):
    assert not is_let_in(browser, origin=origin)


@pytest.mark.parametrize("origin", [f"http://{HOST}", f"HTTP://{HOST.upper()}"])
def test_our_own_page_is_let_in(browser, origin):
    assert is_let_in(browser, origin=origin)


def test_the_port_belongs_to_the_origin(browser):
    assert is_let_in(browser, host=f"{HOST}:81", origin=f"http://{HOST}:81")
    assert not is_let_in(browser, host=f"{HOST}:81", origin=f"http://{HOST}:82")


def test_a_foreign_name_that_points_here_is_not_let_in(browser):
    assert not is_let_in(browser, host="evil.example", origin="http://evil.example")
    assert not is_let_in(browser, host=None)


def test_behind_tls_only_the_secure_origin_is_let_in(browser, settings):
    settings.PUBLIC_URL = f"https://{HOST}"
    assert is_let_in(browser, origin=f"https://{HOST}")
    assert not is_let_in(browser, origin=f"http://{HOST}")


def test_a_trusted_origin_is_let_in(browser, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://money.example"]
    assert is_let_in(browser, origin="https://money.example")


@runs_async
async def test_another_address_is_refused():
    socket = open_socket(None, path="/ws/other/")
    assert not (await socket.connect())[0]


def test_without_a_session_the_socket_says_so_and_closes():
    assert refusal(None) == 4401


def test_a_signed_out_browser_is_refused(alice):
    client = sign_in(alice)
    client.logout()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = "gone"
    assert refusal(client) == 4401


@pytest.mark.parametrize("since", ["", "-1", "1.5", "x", "9" * 19, "1&since=2", "٣"])
def test_a_since_that_is_no_number_is_refused(alice, since):
    assert refusal(sign_in(alice), since) == 4400


@runs_async
async def test_what_was_missed_is_replayed_in_order_and_what_comes_follows(alice, browser):
    await told(alice, 5)
    async with following(browser, since=2) as socket:
        assert socket.hello == 5
        assert await sequences(socket, 3) == [3, 4, 5]
        await told(alice, 2)
        assert await sequences(socket, 2) == [6, 7]


@runs_async
async def test_a_reconnecting_client_gets_each_event_once(alice, browser):
    got: list[int] = []
    for _ in range(5):
        async with following(browser, since=len(got)) as socket:
            await told(alice, 3)
            got += await sequences(socket, 2)
    assert got == list(range(1, 11))


@runs_async
async def test_more_than_one_read_arrives_in_order(alice, browser, monkeypatch):
    monkeypatch.setattr(consumers, "EVENTS_PER_READ", 3)
    await told(alice, 10)
    async with following(browser) as socket:
        assert await sequences(socket, 10) == list(range(1, 11))


@runs_async
async def test_nothing_of_another_person_is_heard(bob, browser):
    await told(bob)
    async with following(browser) as socket:
        assert socket.hello == 0
        await told(bob, 4)
        assert await socket.receive_nothing(timeout=0.5)


@pytest.mark.parametrize("since", [1, 99])
def test_a_since_that_cannot_be_replayed_starts_anew_and_then_follows(alice, browser, since):
    @runs_async
    async def follow():
        async with following(browser, since) as socket:
            assert await heard(socket) == {"type": "resync", "sequence": 5}
            await told(alice)
            assert await sequences(socket, 1) == [6]

    tell(alice, 5)
    Feed.objects.update(pruned_through=3)
    follow()


@runs_async
async def test_silence_is_filled_with_heartbeats(browser, monkeypatch):
    monkeypatch.setattr(consumers, "HEARTBEAT_SECONDS", 0.05)
    async with following(browser) as socket:
        assert await heard(socket) == await heard(socket) == {"type": "heartbeat"}


@runs_async
async def test_what_the_client_says_is_ignored(browser):
    async with following(browser) as socket:
        await socket.send_to(text_data="{}")
        await socket.send_to(bytes_data=b"\x00")
        assert await socket.receive_nothing(timeout=0.2)


@runs_async
async def test_a_client_that_says_a_lot_is_left(browser):
    async with following(browser) as socket:
        await socket.send_to(text_data="x" * 5000)
        assert await closed_with(socket) == consumers.TOO_BIG


@runs_async
async def test_a_person_has_a_limited_number_of_sockets(bob, browser, monkeypatch):
    monkeypatch.setattr(live, "MAX_SOCKETS_PER_USER", 1)
    async with following(browser):
        assert await refused(browser) == live.TOO_MANY
        async with following(await in_database(sign_in)(bob)) as other:
            assert other.hello == 0
    async with following(browser) as again:
        assert again.hello == 0
