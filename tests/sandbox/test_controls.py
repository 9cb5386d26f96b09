"""The sandbox's controls over HTTP, its pages, and the command that serves it."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
from http.client import RemoteDisconnected
from urllib.parse import urlsplit

import pytest

from connections.sandbox.bank import Bank
from connections.sandbox.faults import Fault
from connections.sandbox.wire import MAX_REQUEST_BYTES, Answer
from tests.sandbox.client import TRADER, alpaca, bearer, call, connect, keys, log_in, steer

SIM = "/_sim"


def test_a_fault_can_be_set_and_cleared(bank):
    rule = steer(
        bank, f"{SIM}/faults", {"path": "/alpaca/*", "fault": "unavailable", "times": None}
    )
    assert rule.json()["fault"] == "unavailable"
    assert alpaca(bank, "account").status == 503
    cleared = call(
        bank, f"{SIM}/faults", method="DELETE", headers={"Content-Type": "application/json"}
    )
    assert cleared.status == 200
    assert alpaca(bank, "account").status == 200


def test_the_faults_are_listed(bank):
    listed = call(bank, f"{SIM}/faults").json()
    assert "rate_limited" in listed["faults"]
    assert "retry_after" in listed["how"]


@pytest.mark.parametrize(
    "content",
    [
        {"path": "/"},
        {"fault": "slow"},
        {"path": "/", "fault": "rain"},
        {"path": "/", "fault": "slow", "seen": 5},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(bank, content):
    assert steer(bank, f"{SIM}/faults", content).status == 400


def test_the_clock_can_be_read_set_and_put_forward(bank):
    steer(bank, f"{SIM}/clock", {"now": "2027-01-01T00:00:00+00:00", "advance_seconds": 60})
    assert call(bank, f"{SIM}/clock").json()["now"].startswith("2027-01-01T00:01:0")


def test_the_clock_can_only_be_put_forward(bank):
    before = bank.clock.now()
    steer(bank, f"{SIM}/clock", {"advance_seconds": 3600})
    assert (bank.clock.now() - before).total_seconds() >= 3600


@pytest.mark.parametrize(
    "content",
    [
        {"now": "2027-01-01T00:00:00"},
        {"now": "9999-01-01T00:00:00+00:00"},
        {"advance_seconds": 1e12},
        {"advance_seconds": "soon"},
        [1],
    ],
)
def test_a_clock_that_cannot_be_is_refused(bank, content):
    before = bank.clock.now()
    assert steer(bank, f"{SIM}/clock", content).status == 400
    assert (bank.clock.now() - before).total_seconds() < 60


def test_consent_can_be_revoked(bank):
    tokens = log_in(bank)
    steer(bank, f"{SIM}/revoke", {"person": "nora"})
    assert call(bank, f"{TRADER}/accounts", headers=bearer(tokens)).status == 401


def test_requests_and_truth_can_be_read(bank):
    alpaca(bank, "account")
    recorded = call(bank, f"{SIM}/requests").json()
    assert [row["path"] for row in recorded] == ["/alpaca/paper/v2/account"]
    assert call(bank, f"{SIM}/truth").json() == bank.truth()
    assert set(call(bank, f"{SIM}/truth", {"complete": "true"}).json()) == {"schwab", "alpaca"}


def test_a_form_from_elsewhere_steers_nothing(bank):
    reply = call(
        bank, f"{SIM}/faults", method="POST", headers={"Content-Type": "text/plain"}, body="{}"
    )
    assert reply.status == 415


def test_an_unknown_control_says_which_there_are(bank):
    reply = call(bank, f"{SIM}/weather")
    assert reply.status == 404
    assert "POST /_sim/faults" in reply.json()["error"]


@pytest.mark.parametrize("host", ["bank.example", "localhost.example:80", ""])
def test_another_name_for_this_address_is_refused(bank, host):
    assert call(bank, "/", headers={"Host": host}).status == 400


@pytest.mark.parametrize(("length", "status"), [("many", 400), (str(MAX_REQUEST_BYTES + 1), 413)])
def test_a_body_beyond_reason_is_not_read(bank, length, status):
    reply = call(bank, f"{SIM}/faults", method="POST", headers={"Content-Length": length})
    assert reply.status == status


def test_it_listens_on_this_computer_only(bank):
    assert urlsplit(bank.url).hostname == "127.0.0.1"


def test_the_keys_page_shows_every_key_pair(shared):
    reply = call(shared, "/alpaca/keys")
    for value in keys(shared, "sam").values():
        assert value in reply.text
    assert "<strong>Sandbox</strong>" in reply.text


def test_the_front_page_leads_to_the_keys(shared):
    assert 'href="/alpaca/keys"' in call(shared, "/").text


@pytest.mark.parametrize("path", ["/nowhere", "/alpaca/moon/v2/account", "/schwab/v2"])
def test_there_is_nothing_elsewhere(shared, path):
    assert call(shared, path).status == 404


@pytest.mark.parametrize(
    "path",
    ["/alpaca/paper/", "/alpaca/paper/v2/account/activities/%00", "/schwab/trader/v1/%ff", "/%"],
)
def test_an_odd_path_is_an_error_of_the_caller(shared, path):
    assert call(shared, path, headers=keys(shared)).status in {401, 404, 422}


def test_a_head_request_has_no_body(shared):
    reply = call(shared, "/", method="HEAD")
    assert (reply.status, reply.text) == (404, "")


def test_a_connection_is_kept(shared):
    connection = connect(shared)
    for _time in range(3):
        connection.request("GET", "/")
        assert connection.getresponse().read()
        assert connection.sock
    connection.close()


def test_a_client_that_goes_away_is_no_error(capfd):
    with Bank(size=0) as bank:
        connection = connect(bank)
        connection.connect()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sock.sendall(b"GET / HTTP/1.1\r\nHost: ")
        connection.close()
        assert call(bank, "/").status == 200
    assert capfd.readouterr().err == ""


def test_a_broken_answer_is_an_error_that_is_told(bank, capfd):
    bank.faults.add("/", Fault.SLOW, seconds="soon")
    with pytest.raises(RemoteDisconnected):
        call(bank, "/")
    assert "TypeError" in capfd.readouterr().err


def test_a_closed_bank_ends_the_connections_it_kept():
    with Bank(size=0) as bank:
        connection = connect(bank)
        connection.request("GET", "/")
        connection.getresponse().read()
    assert connection.sock.recv(1) == b""
    connection.close()


def test_a_bank_that_never_opened_can_be_closed():
    Bank(size=0).close()


def test_only_figures_and_texts_go_over_the_wire():
    with pytest.raises(TypeError, match="object has no place"):
        Answer(200, [object()]).body()


def test_the_command_serves_until_it_is_interrupted():
    command = [sys.executable, "-m", "connections.sandbox", "--port", "0", "--size", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert call(Served(server.stdout.readline().split()[-1]), "/").status == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


class Served:
    """A bank that runs elsewhere."""

    def __init__(self, url):
        self.url = url


def test_the_sandbox_is_free_of_django():
    script = "import sys, connections.sandbox.__main__; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
