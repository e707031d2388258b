"""How to reach Kafka, read from the environment.

Source: https://12factor.net/config and Heroku's `KAFKA_*` variables (Apache Kafka on Heroku, "Environment setup").
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from connectors.api.errors import ConfigError

__all__ = ["KafkaSettings"]

_SCHEMES: Final = {"kafka": False, "kafka+ssl": True}


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Addresses and credentials of a Kafka cluster.

    Attributes:
        bootstrap_servers: Comma-separated `host:port`.
        ca: Trusted certificate in PEM, or None.
        cert: Client certificate in PEM, or None.
        cert_key: Key of the client certificate in PEM, or None.
        tls: Whether to talk TLS.
        prefix: Put before topic and group names; empty where the cluster is ours alone.
    """

    bootstrap_servers: str
    ca: str | None = None
    cert: str | None = None
    cert_key: str | None = None
    tls: bool = False
    prefix: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> KafkaSettings:
        """Read `KAFKA_BOOTSTRAP_SERVERS`, or Heroku's `KAFKA_URL` and `KAFKA_*CERT*`, and `KAFKA_PREFIX`.

        Raises:
            ConfigError: A URL has an unknown scheme, or URLs mix TLS with plain text.
        """
        env = os.environ if env is None else env
        servers, tls = _servers(env)
        return cls(
            bootstrap_servers=servers,
            ca=env.get("KAFKA_TRUSTED_CERT"),
            cert=env.get("KAFKA_CLIENT_CERT"),
            cert_key=env.get("KAFKA_CLIENT_CERT_KEY"),
            tls=tls,
            prefix=env.get("KAFKA_PREFIX", ""),
        )

    def __repr__(self) -> str:
        return f"KafkaSettings({self.bootstrap_servers}, tls={self.tls}, prefix={self.prefix!r})"

    def librdkafka(self) -> dict[str, Any]:
        """Return the connection options of confluent-kafka's clients."""
        options: dict[str, Any] = {"bootstrap.servers": self.bootstrap_servers}
        if self.tls:
            options["security.protocol"] = "SSL"
            # Heroku's broker certificates carry no host names; the private authority is what is trusted.
            options["ssl.endpoint.identification.algorithm"] = "none" if self.ca else "https"
            given = {"ssl.ca.pem": self.ca, "ssl.certificate.pem": self.cert, "ssl.key.pem": self.cert_key}
            options |= {name: pem for name, pem in given.items() if pem}
        return options

    def aiokafka(self) -> dict[str, Any]:
        """Return the connection options of aiokafka's clients."""
        options: dict[str, Any] = {"bootstrap_servers": self.bootstrap_servers.split(",")}
        context = self.ssl_context()
        if context is not None:
            options |= {"security_protocol": "SSL", "ssl_context": context}
        return options

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return a TLS context, or None for plain text."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cadata=self.ca)
        context.check_hostname = self.ca is None
        if self.cert and self.cert_key:
            # The ssl module loads client certificates from files only.
            with tempfile.TemporaryDirectory() as folder:
                pem = Path(folder, "client.pem")
                pem.touch(mode=0o600)
                pem.write_text(f"{self.cert}\n{self.cert_key}\n")
                context.load_cert_chain(pem)
        return context


def _servers(env: Mapping[str, str]) -> tuple[str, bool]:
    plain = env.get("KAFKA_BOOTSTRAP_SERVERS")
    if plain:
        return plain, bool(env.get("KAFKA_TRUSTED_CERT"))
    urls = [url.strip() for url in env.get("KAFKA_URL", "").split(",") if url.strip()]
    if not urls:
        return "127.0.0.1:9092", False
    parts = [urlsplit(url) for url in urls]
    unknown = next((part.scheme for part in parts if part.scheme not in _SCHEMES), None)
    if unknown is not None:
        raise ConfigError(f"KAFKA_URL: scheme {unknown!r} is not kafka or kafka+ssl", key="KAFKA_URL")
    if len({_SCHEMES[part.scheme] for part in parts}) > 1:
        raise ConfigError("KAFKA_URL mixes kafka:// and kafka+ssl://", key="KAFKA_URL")
    servers = ",".join(f"{part.hostname}:{part.port or 9092}" for part in parts)
    return servers, _SCHEMES[parts[0].scheme]
