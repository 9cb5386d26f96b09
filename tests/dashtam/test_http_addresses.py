"""No hostile address is connected to, whatever its spelling or its name's answers."""

import sys
from ipaddress import ip_address

import httpcore
import pytest

from dashtam.http import Brake, Client, Refused, Wiring, tls_context
from dashtam.http.addresses import Origin, is_public
from dashtam.http.guard import Guard, GuardedTransport
from tests.dashtam.http_servers import TinyServer, client_of

PUBLIC = "93.184.216.34"
TLS = tls_context()

# What a name may resolve to and must not be connected to.
HOSTILE_ADDRESSES = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255
    127.0.0.1 127.0.0.53 127.1.2.3 127.255.255.255 169.254.0.1 169.254.169.254 169.254.170.2
    172.16.0.1 172.17.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
    192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9
    224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 168.63.129.16
    :: ::1 ::2 ::7f00:1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:93.184.216.34
    ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::a00:1 64:ff9b::93.184.216.34
    64:ff9b:1::10.0.0.1 64:ff9b:1:7f00:0:1:: 100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2
    2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:a00:1::1 2002:5db8:d822::1
    3ffe::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fe80::5efe:10.0.0.1
    2a00:1450::5efe:127.0.0.1 2a00:1450::200:5efe:192.168.0.1 2a00:1450::300:5efe:8.8.8.8
    2606:4700::1111%eth0 fec0::1 ff02::1 ff0e::1 4000::1 localhost 127.1 0x7f000001
"""

# What a base URL may not be.
HOSTILE_URLS = """
    http://bank.example ftp://bank.example //bank.example bank.example javascript:alert(1)
    file:///etc/passwd https:// https:///path https://bank.example:8443 https://bank.example:80
    https://bank.example:99999 https://bank.example:x https://127.0.0.1 https://127.1
    https://2130706433 https://0x7f000001 https://0x7f.1 https://0x7f.0x0.0x0.0x1
    https://0177.0.0.1 https://017700000001 https://127.0.0.01 https://0 https://[::1]
    https://[::ffff:127.0.0.1] https://[::ffff:7f00:1] https://[fe80::1%25lo] https://93.184.216.34
    https://localhost https://localhost. https://bank.example. https://bank..example
    https://.example https://-bank.example https://bank_.example https://bank.example%2eevil.example
    https://user@bank.example https://user:pass@127.0.0.1 https://bank.example@127.0.0.1
    https://bank.example#@127.0.0.1 https://bank.example\\@127.0.0.1 https:\\\\bank.example
    https://bank.example?x=/ https://bank.example/a?b=c https://bank.example/a#b
    https://bank.example/../admin https://bank.example/%2e%2E/admin https://bank.example/a\\b
    https://\uff11\uff12\uff17.0.0.1 https://127\u30020\u30020\u30021 https://\u2460\u2461\u2466.0.0.1
    https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3 https://ba\u00f1k.example
    https://bank.example\uff0f.evil.example https://ban\u00adk.example https://bank\u3002example
    https://bank.example:\uff14\uff14\uff13 https://bank.1 https://bank.0x1 https://b
"""
MORE_HOSTILE_URLS = [
    "",
    " https://bank.example",
    "https://bank.example ",
    "https://bank.example\r\nx: y",
    "https://bank.example\n",
    "https://bank.example/a b",
    "https://bank.example\x00.evil.example",
    "https://bank.example\t",
    f"https://{'a' * 64}.example",
    f"https://{'a.' * 126}example",
]

PUBLIC_ADDRESSES = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0 126.255.255.255
    128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255
    192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 2001:200::1 2001:4860:4860::8888 2003::1
    2606:4700::1111 2a00:1450:4001:800::200e
"""

_attempts = []
_is_counting = [False]


def _audit(event, arguments):
    if event == "socket.connect" and _is_counting[0]:
        _attempts.append(arguments[1])


sys.addaudithook(_audit)


@pytest.fixture
def attempts():
    """Every address that this process tries to connect to while the test runs."""
    _attempts.clear()
    _is_counting[0] = True
    yield _attempts
    _is_counting[0] = False


@pytest.fixture
def canary():
    server = TinyServer()
    yield server
    server.close()


class Recorder(httpcore.MockBackend):
    """A network without one: it notes whom it was to connect to, and the name TLS was asked for."""

    def __init__(self):
        super().__init__([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"])
        self.connected, self.written, self.names = [], [], []

    def connect_tcp(self, host, port, *args, **options):
        self.connected.append((host, port))
        stream = super().connect_tcp(host, port, *args, **options)
        stream.write = lambda data, timeout=None: self.written.append(data)
        stream.start_tls = lambda context, name, timeout: self.names.append(name) or stream
        return stream


def client_that_finds(*answers, network=None):
    """A client of bank.example whose name resolves to each of the answers in turn."""
    turns = iter(answers)
    origin = Origin("https", "bank.example", 443, is_allowed=False)
    guard = Guard(origin, lambda host, port: next(turns), network)
    wiring = Wiring(transport=GuardedTransport(TLS, guard))
    return Client("https://bank.example", provider="bank", brake=Brake(), wiring=wiring)


@pytest.mark.parametrize("address", HOSTILE_ADDRESSES.split())
def test_a_hostile_address_behind_a_name_is_not_connected_to(address, attempts):
    with client_that_finds([address]) as client, pytest.raises(Refused) as caught:
        client.get("/accounts")
    assert caught.value.reason == "address"
    assert attempts == []


def test_one_hostile_address_among_good_ones_spoils_the_name(attempts):
    with client_that_finds([PUBLIC, "10.0.0.1"]) as client, pytest.raises(Refused):
        client.get()
    assert attempts == []


@pytest.mark.parametrize("url", [*HOSTILE_URLS.split(), *MORE_HOSTILE_URLS])
def test_a_hostile_base_url_makes_no_client(url, attempts):
    with pytest.raises(Refused) as caught:
        Client(url, provider="bank", brake=Brake())
    assert attempts == []
    assert "127" not in str(caught.value)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES.split())
def test_a_public_address_is_public(address):
    assert is_public(address)
    assert str(ip_address(address)) == address


def test_the_checked_address_itself_is_connected_to_under_the_name():
    network = Recorder()
    with client_that_finds([PUBLIC], network=network) as client:
        assert client.get("/accounts").json() == {}
    assert network.connected == [(PUBLIC, 443)]
    assert network.names == ["bank.example"]
    assert b"host: bank.example\r\n" in b"".join(network.written).lower()


def test_a_name_that_changes_its_mind_is_checked_at_every_connection(attempts):
    network = Recorder()
    with client_that_finds([PUBLIC], ["127.0.0.1"], network=network) as client:
        client.get()
        with pytest.raises(Refused):
            client.get()
    assert network.connected == [(PUBLIC, 443)]
    assert attempts == []


def test_a_canary_on_this_machine_hears_nothing(canary, attempts):
    origin = Origin("https", "bank.example", canary.port, is_allowed=False)
    guard = Guard(origin, lambda host, port: ["127.0.0.1"])
    with pytest.raises(Refused):
        guard.connect_tcp("bank.example", canary.port, timeout=1)
    assert (canary.connections, attempts) == (0, [])


def test_the_counting_of_attempts_sees_a_real_one(canary, attempts):
    with client_of(canary) as client:
        client.get()
    assert attempts == [("127.0.0.1", canary.port)]
    assert canary.connections == 1


def test_an_allowance_is_for_that_host_and_port_alone(canary, attempts):
    wiring = Wiring(allow_hosts=frozenset({f"127.0.0.1:{canary.port}"}))
    for other in ("127.0.0.1", f"127.0.0.2:{canary.port}", f"localhost:{canary.port}"):
        with pytest.raises(Refused):
            Client(f"http://{other}", provider="bank", brake=Brake(), wiring=wiring)
    assert attempts == []


def test_an_allowance_without_a_port_is_for_the_usual_one():
    wiring = Wiring(allow_hosts=frozenset({"bank"}))
    Client("http://BANK/", provider="bank", brake=Brake(), wiring=wiring).close()
    with pytest.raises(Refused):
        Client("http://bank:8000/", provider="bank", brake=Brake(), wiring=wiring)


@pytest.mark.parametrize(
    "path",
    [
        *["x", "/../admin", "/a/%2E%2e/b", "/a/./b", "//evil.example/..", "@evil.example"],
        *[".evil.example", "/a?b=c", "/a#b", "/a b", "/a\\b", "/a\r\nHost: evil", "/é", "/a\x00"],
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path, canary):
    with client_of(canary) as client, pytest.raises(Refused):
        client.get(path)
    assert canary.connections == 0
