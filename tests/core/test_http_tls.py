"""The same promises hold on top of TLS, and a certificate that nobody vouches for is refused."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mindbot_tasks.core import http
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Cancelled, DeadlineExceeded, Unavailable
from mindbot_tasks.core.http import Http, Patience
from tests.core.far_side import far_side, read_request
from tests.core.test_http import OK, stop_after
from tests.slack import at_most


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    http._tls_context.cache_clear()
    yield
    http._tls_context.cache_clear()


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> Callable[[Callable[[socket.socket], None]], Callable[[socket.socket], None]]:
    """Puts TLS under what a server does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def wrap(serve: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
        def serve_tls(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as secure:
                serve(secure)

        return serve_tls

    return wrap


def secure(url: str) -> str:
    return url.replace("http:", "https:")


@pytest.mark.usefixtures("trusted")
def test_a_secure_connection_is_used_again(tls: Callable[..., Callable[[socket.socket], None]]) -> None:
    seen: list[int] = []

    def serve(connection: socket.socket) -> None:
        seen.append(1)
        while read_request(connection):
            connection.sendall(OK)

    with far_side(tls(serve)) as url:
        client = Http()
        for _ in range(3):
            assert client.request("POST", secure(url), deadline=Deadline(60), body=b"x" * 500_000).json() == {
                "ok": True
            }
    assert seen == [1]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"])
def test_deadline_and_stop_hold_in_silence(tls: Callable[..., Callable[[socket.socket], None]], begun: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(begun)
        connection.recv(1)

    with far_side(tls(serve)) as url:
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            Http().request("GET", secure(url), deadline=Deadline(0.8))
        with pytest.raises(Cancelled):
            Http().request("GET", secure(url), deadline=Deadline(60, stop_check=stop_after(0.3, Cancelled)))
        assert time.monotonic() - started < at_most(3)


@pytest.mark.usefixtures("trusted")
def test_a_handshake_that_never_ends_costs_the_connect_time() -> None:
    def serve(connection: socket.socket) -> None:
        while connection.recv(65536):
            continue  # reads, and never says a word

    with far_side(serve) as url:
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            Http().request("GET", secure(url), deadline=Deadline(30), patience=Patience(0.7, 20, 15))
        assert caught.value.code == "connect"
        assert time.monotonic() - started < at_most(2)


def test_an_unknown_certificate_is_refused(tls: Callable[..., Callable[[socket.socket], None]]) -> None:
    with far_side(tls(lambda connection: None)) as url, pytest.raises(Unavailable) as caught:
        Http().request("GET", secure(url), deadline=Deadline(60))
    assert caught.value.code == "tls"
