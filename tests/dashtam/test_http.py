"""The outbound client against servers that are slow, broken, endless or rude."""

import gzip
import re
import tracemalloc
from decimal import Decimal
from pathlib import Path
from time import monotonic

import httpx
import pytest

from dashtam.http import (
    BadAnswer,
    Brake,
    Client,
    Limits,
    Refused,
    Unavailable,
    Wiring,
)
from dashtam.http.answer import Body
from dashtam.vault import Secret
from tests.dashtam.http_servers import QUICK, answer, client_of, serving

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = re.compile(
    r"^\s*(?:import|from)\s+(?:httpx|httpcore|requests|urllib3|aiohttp|urllib\.request|http\.client)\b",
    re.MULTILINE,
)


serve = pytest.fixture(serving, name="serve")


def got(server, **options):
    with client_of(server, **options) as client:
        return client.get("/accounts")


def elapsed_refusal(server, problem, **limits):
    started = monotonic()
    with client_of(server, limits=Limits(**limits)) as client, pytest.raises(problem) as caught:
        client.get("/accounts")
    return monotonic() - started, caught.value


def test_nothing_else_in_the_product_opens_connections_to_the_outside():
    apps = ("dashtam", "connections", "accounts", "transactions", "holdings", "imports")
    files = [path for app in apps for path in (ROOT / app).rglob("*.py")]
    importing = {path.relative_to(ROOT) for path in files if OUTSIDE.search(path.read_text())}
    # allauth asks the operator's own sign-in server with a library of its own: the one exception.
    assert importing == {
        Path("dashtam/http/guard.py"),
        Path("dashtam/http/wire.py"),
        Path("dashtam/single_sign_on.py"),
    }


# --- what is asked and what comes back


def test_a_get_says_what_it_wants_and_brings_the_answer(serve):
    server = serve(answer(b'{"a": 1.10}', x_page="7"))
    with client_of(server, path="/v2", headers={"X-Key": Secret("s3cret")}) as client:
        reply = client.get("/accounts", params={"from": "2024-01-01T00:00:00.000Z", "all": True})
    head = server.requests[0].decode()
    assert head.startswith("GET /v2/accounts?from=2024-01-01T00%3A00%3A00.000Z&all=true HTTP/1.1")
    assert {"x-key: s3cret", "accept-encoding: gzip"} <= set(head.lower().split("\r\n"))
    assert (reply.status, reply.headers["x-page"]) == (200, "7")
    assert reply.is_success
    assert reply.json() == {"a": Decimal("1.10")}


def test_a_form_is_posted_with_its_secrets(serve):
    server = serve()
    with client_of(server) as client:
        client.post("/token", data={"code": Secret("a b&c@"), "grant_type": "authorization_code"})
    request = server.requests[0]
    assert request.endswith(b"\r\n\r\ncode=a+b%26c%40&grant_type=authorization_code")
    assert b"application/x-www-form-urlencoded" in request


def test_json_is_posted_with_its_secrets(serve):
    server = serve()
    with client_of(server) as client:
        client.post("/link", json={"secret": Secret("s3cret"), "count": [1]})
    assert server.requests[0].endswith(b'\r\n\r\n{"secret": "s3cret", "count": [1]}')
    assert b"content-type: application/json" in server.requests[0].lower()


def test_a_post_may_have_no_body(serve):
    server = serve()
    with client_of(server, path="/claim") as client:
        client.post(Secret("/abc"))
    assert server.requests[0].startswith(b"POST /claim/abc HTTP/1.1")


def test_json_without_a_form_for_it_is_a_programming_error(serve):
    with client_of(serve()) as client, pytest.raises(TypeError, match="Decimal is not JSON"):
        client.post("/link", json={"amount": Decimal(1)})


def test_what_a_client_error_says_is_for_the_adapter_to_read(serve):
    reply = got(serve(answer(b'{"message": "unauthorized."}', status=401)))
    assert (reply.status, reply.is_success) == (401, False)
    assert reply.json() == {"message": "unauthorized."}


def test_headers_of_one_call_win_and_cookies_are_not_kept(serve):
    server = serve(answer(set_cookie="session=1"))
    with client_of(server, headers={"Accept": "text/csv"}) as client:
        client.get()
        client.get(headers={"accept": "text/plain"})
    first, second = (request.lower() for request in server.requests)
    assert b"accept: text/csv" in first
    assert b"accept: text/plain" in second
    assert b"cookie" not in second


def test_one_connection_serves_many_calls_until_it_is_closed(serve):
    def patiently(connection):
        for _ in range(3):
            connection.sendall(answer(connection="keep-alive"))
            connection.recv(65536)

    server = serve(patiently)
    with client_of(server) as client:
        assert [client.get().status for _ in range(3)] == [200, 200, 200]
    assert server.connections == 1


def test_proxies_of_the_environment_are_not_asked(serve, monkeypatch):
    proxy, server = serve(), serve()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    got(server)
    assert (proxy.connections, server.connections) == (0, 1)


@pytest.mark.parametrize("header", ["bad\r\nx: y", "naïve", " padded ", "", "\x00"])
def test_a_header_that_http_cannot_carry_is_refused_before_anything_is_sent(serve, header):
    server = serve()
    headers = {"x-key": Secret(header)}
    with client_of(server, headers=headers) as client, pytest.raises(Refused) as caught:
        client.get()
    assert (caught.value.reason, server.connections) == ("request", 0)
    assert caught.value.__context__ is None


def test_a_header_has_a_name_that_is_one(serve):
    with client_of(serve()) as client, pytest.raises(Refused, match="cannot be written as HTTP"):
        client.get(headers={"x y": "z"})


@pytest.mark.parametrize("value", ["x" * 20_000, "\ud800"])
def test_a_query_that_cannot_be_sent_is_refused(serve, value):
    with client_of(serve()) as client, pytest.raises(Refused, match="cannot be written as HTTP"):
        client.get(params=[("q", value)])


def test_an_allowed_address_that_is_none_is_refused():
    wiring = Wiring(allow_hosts=frozenset({"999.1.1.1:1"}))
    client = Client("http://999.1.1.1:1", provider="b", brake=Brake(), wiring=wiring)
    with client, pytest.raises(Refused, match="cannot be written"):
        client.get()


def test_a_hook_can_stop_a_call(serve):
    def no():
        raise RuntimeError("a transaction is open")

    server = serve()
    with pytest.raises(RuntimeError, match="a transaction is open"):
        got(server, before_call=no)
    assert server.connections == 0


def test_without_a_network_a_transport_can_stand_in():
    wire = httpx.MockTransport(lambda request: httpx.Response(200, json={"path": request.url.path}))
    client = Client(
        "https://bank.example/v1", provider="b", brake=Brake(), wiring=Wiring(transport=wire)
    )
    with client:
        assert client.get("/x").json() == {"path": "/v1/x"}


# --- time and size


def test_a_body_that_drips_ends_at_the_deadline(serve):
    server = serve()
    server.answers = [server.drip(answer(b"x" * 500), 0.02)]
    took, problem = elapsed_refusal(server, Unavailable, deadline_seconds=0.6, read_seconds=0.5)
    assert 0.5 < took < 1
    assert (problem.may_have_arrived, server.connections) == (True, 1)


def test_headers_that_drip_end_at_the_deadline(serve):
    server = serve()
    server.answers = [server.drip(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 500, 0.02)]
    took, _problem = elapsed_refusal(server, Unavailable, deadline_seconds=0.4, read_seconds=0.3)
    assert took < 0.8


def test_a_silent_server_costs_the_read_timeout(serve):
    server = serve()
    server.answers = [server.drip(b"H", 3)]
    limits = {"read_seconds": 0.1, "deadline_seconds": 0.25}
    took, problem = elapsed_refusal(server, Unavailable, **limits)
    assert took < 0.5
    assert "no answer in time" in str(problem)


def test_a_server_that_was_silent_once_is_asked_again(serve):
    server = serve()
    server.answers = [server.drip(b"H", 3), answer()]
    limits = Limits(read_seconds=0.1, deadline_seconds=2)
    assert got(server, limits=limits).status == 200
    assert server.connections == 2


def test_a_call_whose_time_is_over_does_not_even_connect(serve):
    server = serve()
    _took, problem = elapsed_refusal(server, Unavailable, deadline_seconds=0)
    assert (problem.may_have_arrived, server.connections) == (False, 0)


def test_a_resolver_that_hangs_is_left_behind(serve):
    server, started = serve(), monotonic()
    limits = Limits(connect_seconds=0.05, deadline_seconds=1)
    with pytest.raises(Unavailable) as caught:
        got(server, resolve=lambda host, port: [] * server.stopped.wait(3), limits=limits)
    assert monotonic() - started < 0.5
    assert caught.value.may_have_arrived is False


def test_a_name_without_an_address_is_unavailable(serve):
    def unknown(host, port):
        raise OSError("no such host")

    with pytest.raises(Unavailable, match="no connection"):
        got(serve(), resolve=unknown)


def test_the_second_address_is_tried_when_the_first_is_dead(serve):
    server = serve()
    assert got(server, resolve=lambda host, port: ["127.0.0.2", "127.0.0.1"]).status == 200


def test_a_body_over_the_cap_is_refused_after_one_try(serve):
    server = serve(answer(b"x" * 10_001))
    with pytest.raises(Refused) as caught:
        got(server)
    assert (caught.value.reason, server.connections) == ("too_large", 1)


def test_an_endless_body_is_cut_off_at_the_cap(serve):
    def endless(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")

    with pytest.raises(Refused, match="more than 10000 bytes"):
        got(serve(endless))


def test_a_body_of_just_the_cap_is_taken(serve):
    assert len(got(serve(answer(b"x" * 10_000))).body) == 10_000


def test_a_packed_answer_is_unpacked(serve):
    packed = gzip.compress(b"[1]" + b" " * 9_000)
    assert got(serve(answer(packed, content_encoding="gzip"))).json() == [1]


def test_a_gzip_bomb_counts_unpacked(serve):
    bomb = gzip.compress(b"\0" * 5_000_000)
    assert len(bomb) < QUICK.max_bytes
    with pytest.raises(Refused, match="more than 10000 bytes"):
        got(serve(answer(bomb, content_encoding="gzip")))


def test_a_gzip_bomb_is_not_unpacked_to_be_measured():
    bomb = gzip.compress(b"\0" * 5_000_000)
    tracemalloc.start()
    with pytest.raises(Refused):
        Body("gzip", 10_000).take(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_packed_answer_that_stops_early_is_tried_again(serve):
    packed = gzip.compress(b"[1]" * 50)
    short = answer(packed[:-9], content_encoding="gzip")
    assert got(serve(short, short, answer(packed, content_encoding="gzip"))).body == b"[1]" * 50


@pytest.mark.parametrize(
    ("body", "coding"),
    [(b"not packed", "gzip"), (gzip.compress(b"1") * 2, "gzip"), (b"x", "br"), (b"x", "gzip, br")],
    ids=["not packed", "twice", "brotli", "both"],
)
def test_a_body_packed_wrongly_is_a_bad_answer(serve, body, coding):
    with pytest.raises(BadAnswer):
        got(serve(answer(body, content_encoding=coding)))


def test_an_empty_body_needs_no_packing(serve):
    assert got(serve(answer(b"", content_encoding="gzip"))).body == b""


def test_the_usual_limits_are_those_that_were_promised():
    limits = Limits()
    assert (limits.connect_seconds, limits.deadline_seconds) == (5, 60)
    assert limits.max_bytes == 32 * 1024 * 1024
