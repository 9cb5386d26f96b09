"""Who does not prove who they are gets no byte of a request."""

import ssl
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from dashtam.http import Refused, Unavailable, tls_context
from tests.dashtam.http_servers import TinyServer, client_of, reset, server_context, serving

NOW = datetime.now(UTC)


class Authority:
    """Signs certificates and leaves them as PEM files in a folder."""

    def __init__(self, folder, name="Test authority"):
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.path = self.write(f"{name}.pem", self.signed(name, self.key, is_authority=True))

    def write(self, file_name, data):
        path = self.folder / file_name
        path.write_bytes(data)
        return path

    def signed(self, name, key, *, is_authority=False, days=1):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=9))
            .not_valid_after(NOW + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def certificate(self, name="localhost", **options):
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        made = self.write(f"{name}.pem", self.signed(name, key, **options))
        return made, self.write(f"{name}.key", pem)


class Plain(TinyServer):
    """Speaks without TLS, and first."""

    def serve(self, connection, script):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        self.requests.append(connection.recv(65536))
        connection.close()


class HangsUp(TinyServer):
    """Breaks every connection off at once."""

    def serve(self, connection, script):
        reset(connection)
        connection.close()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


serve = pytest.fixture(serving, name="serve")


def ask(server, **trust):
    # TLS is checked with an allowed host like with any other.
    options = {"tls": tls_context(**trust), "resolve": lambda host, port: ["127.0.0.1"]}
    with client_of(server, scheme="https", host="localhost", **options) as client:
        return client.get("/accounts", headers={"authorization": "Bearer s3cret"})


def assert_distrusted(server, **trust):
    with pytest.raises(Refused, match="did not prove who it is") as caught:
        ask(server, **trust)
    assert caught.value.reason == "tls"
    assert (server.connections, server.requests) == (1, [])


def test_a_server_with_a_good_certificate_is_asked(serve, authority):
    server = serve(tls=server_context(*authority.certificate()))
    assert ask(server, authorities=authority.path).status == 200
    assert b"Bearer s3cret" in server.requests[0]


def test_a_certificate_of_an_unknown_authority_is_distrusted(serve, authority):
    assert_distrusted(serve(tls=server_context(*authority.certificate())))


def test_a_certificate_of_another_authority_is_distrusted(serve, authority, tmp_path):
    other = Authority(tmp_path, "Another authority")
    server = serve(tls=server_context(*authority.certificate()))
    assert_distrusted(server, authorities=other.path)


def test_a_certificate_for_another_name_is_distrusted(serve, authority):
    server = serve(tls=server_context(*authority.certificate("bank.example")))
    assert_distrusted(server, authorities=authority.path)


def test_an_expired_certificate_is_distrusted(serve, authority):
    server = serve(tls=server_context(*authority.certificate(days=-1)))
    assert_distrusted(server, authorities=authority.path)


def old_tls(authority):
    context = server_context(*authority.certificate())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def test_tls_older_than_1_2_is_distrusted(serve, authority):
    assert_distrusted(serve(tls=old_tls(authority)), authorities=authority.path)


def test_tls_1_2_is_enough(serve, authority):
    context = server_context(*authority.certificate())
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert ask(serve(tls=context), authorities=authority.path).status == 200


def test_a_server_without_tls_is_distrusted_and_gets_no_secret(serve, authority):
    server = serve(kind=Plain)
    with pytest.raises(Refused):
        ask(server, authorities=authority.path)
    assert server.connections == 1
    assert b"s3cret" not in b"".join(server.requests)


def test_a_server_that_hangs_up_before_tls_is_tried_again(serve, authority):
    server = serve(kind=HangsUp)
    with pytest.raises(Unavailable):
        ask(server, authorities=authority.path)
    assert server.connections == 3


def asking_for_certificates(authority):
    context = server_context(*authority.certificate())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    return context


def test_a_client_certificate_is_shown_to_who_asks_for_it(serve, authority):
    server, own = (
        serve(tls=asking_for_certificates(authority)),
        authority.certificate("client.example"),
    )
    assert ask(server, authorities=authority.path, certificate=own).status == 200


def test_without_the_client_certificate_that_is_asked_for_nothing_is_served(serve, authority):
    context = asking_for_certificates(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert_distrusted(serve(tls=context), authorities=authority.path)


def test_a_client_certificate_of_a_stranger_is_not_served(serve, authority, tmp_path):
    context = asking_for_certificates(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    own = Authority(tmp_path, "Another authority").certificate("client.example")
    assert_distrusted(serve(tls=context), authorities=authority.path, certificate=own)
