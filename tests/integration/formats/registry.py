"""A small schema registry on HTTP: as much of Confluent's as the converters use."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class Registry:
    """Subjects with versions, ids that are shared by equal schemas; `password` asks for basic auth."""

    def __init__(self, password: str | None = None) -> None:
        self.schemas: list[dict[str, Any]] = []
        self.subjects: dict[str, list[int]] = {}
        self.requests: list[str] = []
        self.broken = False
        self.password = password
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def register(self, subject: str, schema: str, kind: str = "AVRO") -> int:
        wanted = {"schema": schema, "schemaType": kind}
        if wanted not in self.schemas:
            self.schemas.append(wanted)
        number = self.schemas.index(wanted) + 1
        versions = self.subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if self.broken:
            return 503, {"error_code": 50301, "message": "the leader is away"}
        if method == "POST" and parts[0] == "subjects":
            kind = body.get("schemaType", "AVRO")
            if len(parts) == 3:
                return 200, {"id": self.register(parts[1], body["schema"], kind)}
            return self._lookup(parts[1], {"schema": body["schema"], "schemaType": kind})
        if parts[:2] == ["schemas", "ids"] and int(parts[2]) <= len(self.schemas):
            return 200, self.schemas[int(parts[2]) - 1]
        if parts[0] == "subjects" and parts[-1] == "latest" and parts[1] in self.subjects:
            return 200, self._version(parts[1], len(self.subjects[parts[1]]))
        return 404, {"error_code": 40401, "message": f"{path} not found"}

    def _lookup(self, subject: str, wanted: dict[str, Any]) -> tuple[int, Any]:
        for version, number in enumerate(self.subjects.get(subject, []), 1):
            if self.schemas[number - 1] == wanted:
                return 200, self._version(subject, version)
        return 404, {"error_code": 40403, "message": "Schema not found"}

    def _version(self, subject: str, version: int) -> dict[str, Any]:
        number = self.subjects[subject][version - 1]
        return {"subject": subject, "version": version, "id": number, **self.schemas[number - 1]}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                url = urlsplit(self.path)
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                registry.requests.append(f"{self.command} {url.path} {sorted(parse_qs(url.query))}")
                if registry.password is not None and self._secret() != registry.password:
                    status, answer = 401, {"error_code": 40101, "message": "Unauthorized"}
                else:
                    status, answer = registry.answer(self.command, url.path, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/vnd.schemaregistry.v1+json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - the library's names

            def _secret(self) -> str:
                scheme, _, value = self.headers.get("authorization", "").partition(" ")
                return base64.b64decode(value).decode() if scheme == "Basic" else value

            def log_message(self, *_: Any) -> None:
                """Keep the test's output clean."""

        return Handler
