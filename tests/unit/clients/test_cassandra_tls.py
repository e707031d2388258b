"""TLS contexts from files, tried with a handshake in memory."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from connectors.api.config import Password
from connectors.api.errors import ConfigError
from connectors.clients.cassandra import TlsSettings
from connectors.sinks.cassandra.config import parse_settings


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that is its own authority, with a key that has a password."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    words = [*command.split(), "-passout", "pass:secret", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return folder


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Return the client's side once both are done."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=name)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return here


def server(files: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(files / "cert.pem", files / "key.pem", "secret")
    made.load_verify_locations(files / "cert.pem")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def settings(files: Path, **changes: object) -> TlsSettings:
    options = {"ca": str(files / "cert.pem"), "certificate": str(files / "cert.pem"), "key": str(files / "key.pem")}
    return TlsSettings(**{**options, "key_password": Password("secret"), **changes})  # type: ignore[arg-type]


def test_both_sides_trust_each_other(files: Path) -> None:
    done = handshake(settings(files).context(), server(files), "localhost")
    assert done.version() == "TLSv1.3"
    assert ("DNS", "localhost") in (done.getpeercert() or {})["subjectAltName"]


def test_another_host_name_is_refused_unless_that_is_switched_off(files: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(settings(files).context(), server(files), "elsewhere")
    handshake(settings(files, check_hostname=False).context(), server(files), "elsewhere")


def test_a_stranger_is_refused(files: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(settings(files, ca="").context(), server(files), "localhost")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ca": "/nowhere/ca.pem"}, r"Option cassandra\.ssl\.ca: /nowhere/ca\.pem cannot be used: No such file"),
        ({"key": "/nowhere/key.pem"}, r"Option cassandra\.ssl\.key: /nowhere/key\.pem cannot be used: No such file"),
        ({"key_password": Password("wrong")}, r"Option cassandra\.ssl\.key: .* cannot be used"),
        ({"key": "", "certificate": "/nowhere/c.pem"}, r"Option cassandra\.ssl\.certificate: /nowhere/c\.pem"),
    ],
)
def test_files_that_cannot_be_used_are_named(files: Path, changes: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        settings(files, **changes).context()
    assert "wrong" not in str(caught.value)


def test_the_options_of_the_sink_make_them() -> None:
    props = {"topics": "a", "topic.a.k.t.mapping": "*", "cassandra.ssl.enabled": "true", "cassandra.ssl.ca": "ca.pem"}
    tls = parse_settings(props | {"cassandra.ssl.hostname.verification": "false"}).client.tls
    assert tls == TlsSettings(ca="ca.pem", check_hostname=False)
    assert parse_settings(props | {"cassandra.ssl.enabled": "false"}).client.tls is None
