"""What is asked again, what never, and who is left in peace."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from dashtam.http import Brake, Limits, RateLimited, Refused, Unavailable
from tests.dashtam.http_servers import TinyServer, answer, client_of, reset, serving

BAD_GATEWAY = answer(b"<html>", status=502)

serve = pytest.fixture(serving, name="serve")


def got(server, **options):
    with client_of(server, **options) as client:
        return client.get("/accounts")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_outage_of_a_moment_is_not_noticed(serve, status):
    outage = answer(status=status)
    assert got(serve(outage, outage, answer())).status == 200


@pytest.mark.parametrize("twentieths", range(20))
def test_an_answer_cut_short_is_asked_for_again(serve, twentieths):
    whole = answer(b'{"a": 1}')
    server = serve(whole[: len(whole) * twentieths // 20], answer())
    assert got(server).json() == {}
    assert server.connections == 2


def test_a_cut_chunked_answer_is_asked_for_again(serve):
    cut = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[1,2]\r\n"
    assert got(serve(cut, answer(b"[1,2,3]"))).json() == [1, 2, 3]


def test_a_broken_connection_is_tried_three_times_with_growing_jittered_pauses(serve):
    server, pauses = serve(reset), []
    with pytest.raises(Unavailable):
        got(server, sleep=pauses.append)
    assert server.connections == 3
    assert 0.25 <= pauses[0] <= 0.75
    assert 1 <= pauses[1] <= 3


def test_the_jitter_differs_from_call_to_call(serve):
    server, pauses = serve(BAD_GATEWAY), []
    for _ in range(3):
        with pytest.raises(Unavailable):
            got(server, sleep=pauses.append)
    assert len(set(pauses)) == 6


def test_no_pause_goes_beyond_the_deadline(serve):
    server, pauses = serve(BAD_GATEWAY), []
    with pytest.raises(Unavailable):
        got(server, sleep=pauses.append, limits=Limits(deadline_seconds=0.2))
    assert (server.connections, pauses) == (1, [])


@pytest.mark.parametrize("first", [BAD_GATEWAY, reset, answer()[:20]], ids=["502", "reset", "cut"])
def test_a_post_is_sent_once(serve, first):
    server = serve(first, answer())
    with client_of(server) as client, pytest.raises(Unavailable) as caught:
        client.post("/token", data={"code": "x"})
    assert server.connections == 1
    assert caught.value.may_have_arrived


def test_a_post_that_does_no_harm_twice_is_tried_again(serve):
    server = serve(BAD_GATEWAY, answer())
    with client_of(server) as client:
        assert client.post("/search", json={}, is_idempotent=True).status == 200


def test_a_post_that_found_nobody_surely_did_not_arrive():
    server = TinyServer()
    server.close()
    with client_of(server) as client, pytest.raises(Unavailable, match="no connection") as caught:
        client.post("/token")
    assert not caught.value.may_have_arrived


@pytest.mark.parametrize("status", [501, 505, 520])
def test_an_outage_that_will_last_is_not_asked_again_at_once(serve, status):
    server = serve(answer(status=status))
    with pytest.raises(Unavailable, match=str(status)):
        got(server)
    assert server.connections == 1


def test_who_says_when_to_come_back_is_not_asked_before(serve):
    server = serve(answer(status=503, retry_after="120"))
    with pytest.raises(Unavailable) as caught:
        got(server)
    assert server.connections == 1
    assert caught.value.retry_at is not None


def test_a_request_to_wait_is_not_tried_again_and_holds_back_the_next(serve):
    server = serve(answer(status=429, retry_after="120"))
    with client_of(server) as client:
        for _ in range(3):
            with pytest.raises(RateLimited):
                client.get()
    assert server.connections == 1


def test_a_request_to_wait_needs_no_whole_body(serve):
    with pytest.raises(RateLimited):
        got(serve(answer(b"x" * 99, status=429, retry_after="1")[:-50]))


def test_after_five_failures_nobody_is_asked(serve):
    server, brake = serve(reset), Brake()
    for _ in range(7):
        with pytest.raises(Unavailable) as caught, client_of(server, brake=brake) as client:
            client.post()
    assert server.connections == 5
    assert caught.value.retry_at is not None


def test_an_answer_between_failures_makes_the_count_start_anew(serve):
    server, brake = serve(*[reset] * 4, answer(), *[reset] * 4, answer()), Brake()
    with client_of(server, brake=brake) as client:
        for _ in range(10):
            with suppress(Unavailable):
                client.post()
    assert server.connections == 10


def test_threads_share_a_client(serve):
    server = serve()
    with client_of(server) as client, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _turn: client.get("/x").status, range(40)))
    assert replies == [200] * 40


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(serve, status):
    target = serve()
    with pytest.raises(Refused) as caught:
        got(serve(answer(status=status, location=f"http://127.0.0.1:{target.port}/")))
    assert (caught.value.reason, target.connections) == ("redirect", 0)


def test_what_is_not_http_is_unavailable(serve):
    with pytest.raises(Unavailable, match="the answer stops early"):
        got(serve(b"220 mail.bank.example ESMTP\r\n"))
