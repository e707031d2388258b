"""Who may call REST, TLS, and calls between workers."""

from __future__ import annotations

import datetime
import ipaddress
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MakeWorker = Callable[..., Any]
COUNTING = {"connector.class": "toys.CountingSource", "limit": "1000000", "batch": "1", "pause.ms": "20"}
ACCESS = {"CONNECTORS_REST_ADMIN": "token-of-ann", "CONNECTORS_REST_READER": "bob:secret-2"}
ADMIN = {"Authorization": "Bearer token-of-ann"}
READER = {"Authorization": "Basic Ym9iOnNlY3JldC0y"}


def certificate(folder: Path) -> dict[str, str]:
    """Make a certificate of 127.0.0.1 that signs itself; returns the settings to use it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, pem = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    pem.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return {
        "CONNECTORS_REST_TLS_CERT": str(cert),
        "CONNECTORS_REST_TLS_KEY": str(pem),
        "CONNECTORS_REST_TLS_CA": str(cert),
    }


def test_two_workers_with_tls_and_roles(workers: MakeWorker, unique: str, tmp_path: Path) -> None:
    settings = certificate(tmp_path) | ACCESS
    first, second = workers("a", **settings), workers("b", **settings)
    second.headers = first.headers = ADMIN
    assert first.get("/")[1]["leader"] == "a"
    first.until(lambda: set(first.get("/")[1]["workers"]) == {"a", "b"})

    # What is asked of the one that does not lead is done by the leader, and answered as if it had done it itself.
    path = f"/connectors/{unique}/config"
    config = COUNTING | {"topic": unique}
    request = urllib.request.Request(f"https://127.0.0.1:{second.port}{path}", b"{}", ADMIN, method="PUT")
    request.data = str(config).replace("'", '"').encode()
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=20, context=second.tls) as response:
        assert response.status == 201
        assert response.headers["Location"] == f"https://127.0.0.1:{second.port}/connectors/{unique}"
        assert response.headers["X-Connect-Change"] == "created"
    again = {"name": unique, "config": config}
    assert [worker.request("POST", "/connectors", again)[0] for worker in (first, second)] == [409, 409]
    second.until(lambda: second.states(unique) == ["RUNNING", "RUNNING"])
    for worker in (first, second):  # one of them runs the task, both tell what it does
        task = worker.until(
            lambda w=worker: "stage" in (t := w.get(f"/connectors/{unique}/status")[1]["tasks"][0]) and t
        )
        assert task["state"] == "RUNNING"

    for worker in (first, second):
        worker.headers = {}
        assert worker.get("/health")[0] == 200
        assert worker.get("/connectors")[0] == 401
        assert worker.get("/metrics")[0] == 401
        worker.headers = {"Authorization": "Bearer token-of-eve"}
        assert worker.request("DELETE", f"/connectors/{unique}")[0] == 401
        worker.headers = READER
        assert worker.get("/connectors") == (200, [unique])
        assert worker.get(f"/connectors/{unique}/status")[0] == 200
        for method, where, body in [
            ("DELETE", "", None), ("PUT", "/pause", None), ("PUT", "/config", config), ("POST", "/restart", None),
        ]:  # fmt: skip
            code, answer = worker.request(method, f"/connectors/{unique}{where}", body)
            assert (code, answer["error_code"]) == (403, 403)
        worker.headers = ADMIN
        assert worker.get("/internal/progress")[0] == 400
        worker.headers = {"X-Connect-Signature": "00", "X-Connect-Made-At": "1", "X-Connect-Hops": "1"}
        assert worker.request("DELETE", f"/connectors/{unique}")[0] == 403
        worker.headers = ADMIN
    assert second.request("DELETE", f"/connectors/{unique}")[0] == 204

    # Two at once on two workers: one is created, the other is told that it exists.
    name = f"{unique}-twice"
    body = {"name": name, "config": config | {"name": name}, "initial_state": "PAUSED"}
    codes = sorted(worker.request("POST", "/connectors", body)[0] for worker in (second, first))
    assert codes == [201, 409]
    for worker in (first, second):
        text = worker.log.read_text()
        assert "token-of-ann" not in text
        assert "secret-2" not in text


def test_a_worker_whose_name_is_taken_ends_with_a_sentence_and_the_first_goes_on(
    workers: MakeWorker, unique: str
) -> None:
    first = workers("a")
    env = first.env | {"CONNECTORS_REST_PORT": "0"}
    argv = [str(Path(sys.executable).with_name("connectors")), "worker", "--rest-port"]
    done = subprocess.run([*argv, "28099"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"is named a and answers at http://127.0.0.1:{first.port}" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert first.get("/health")[0] == 200
    # Nor does one on the same port disturb it.
    done = subprocess.run([*argv, str(first.port)], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Address already in use" in done.stdout + done.stderr
    assert first.get("/")[1]["leader"] == "a"
    assert "Workers: none" not in first.log.read_text()


def test_a_binding_to_other_hosts_without_credentials_is_one_sentence() -> None:
    env = os.environ | {"CONNECTORS_REST_HOST": "0.0.0.0"}
    line = [str(Path(sys.executable).with_name("connectors")), "worker"]
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("REST on 0.0.0.0 would be open to other hosts without authentication")


def test_secrets_of_plugins_stay_out_of_traces_and_logs(workers: MakeWorker, unique: str, tmp_path: Path) -> None:
    secret = tmp_path / "db.properties"
    secret.write_text("password=swordfish\n")
    worker = workers(CONNECTORS_FILE_ALLOWED_PATHS=str(tmp_path))
    config = COUNTING | {"topic": unique, "secret": f"${{file:{secret}:password}}", "fail.with.secret": "true"}
    assert worker.request("PUT", f"/connectors/{unique}/config", config)[0] == 201
    worker.until(lambda: worker.states(unique) == ["RUNNING", "FAILED"])
    shown = str(worker.get("/connectors?expand=status&expand=info")) + str(worker.get(f"/connectors/{unique}/tasks"))
    assert "cannot log in with [hidden]" in shown
    assert f"${{file:{secret}:password}}" in shown
    assert "swordfish" not in shown + worker.log.read_text()
    assert "cannot log in with [hidden]" in worker.log.read_text()
    outside = config | {"secret": "${file:/etc/os-release:NAME}"}
    code, answer = worker.request("PUT", f"/connectors/{unique}/config", outside)
    assert (code, "may not be used" in answer["message"]) == (400, True)
