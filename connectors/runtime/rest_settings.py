"""How REST is reached and by whom: address, TLS, who may read and who may change.

Source: Kafka Connect's `listeners`, `rest.advertised.*`, `access.control.*` and `ssl.*`; the two roles are ours.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connectors.api.errors import ConfigError

__all__ = ["RestSettings", "flag"]

_PREFIX = "CONNECTORS_REST_"
_READ_AND_CREATE = ("GET", "HEAD", "POST")
_ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:-]+")


@dataclass(frozen=True, slots=True)
class RestSettings:
    """Settings of the REST server.

    Attributes:
        host: Address to bind to.
        port: Port to bind to.
        advertised: Where other workers reach this one; empty: derived from host and port.
        cert: PEM file of the certificate; empty: plain HTTP.
        key: PEM file of its key; empty: in `cert`.
        ca: PEM file of the authorities that this worker trusts when it calls other workers; empty: the system's.
        admins: Credentials that may do everything: `user:password` for basic authentication, else a bearer token.
        readers: Credentials that may look only.
        allow_origin: Sites whose pages may call REST from a browser, e.g. `https://ui.example`, or `*`.
        allow_methods: The methods that they may use.
        topic_tracking: Whether the topics that connectors use are noted.
        topic_reset: Whether REST may forget them.
    """

    host: str = "127.0.0.1"
    port: int = 8083
    advertised: str = ""
    cert: str = ""
    key: str = ""
    ca: str = ""
    admins: tuple[str, ...] = field(default=(), repr=False)
    readers: tuple[str, ...] = field(default=(), repr=False)
    allow_origin: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = _READ_AND_CREATE
    topic_tracking: bool = True
    topic_reset: bool = True

    @classmethod
    def from_env(cls, env: Mapping[str, str], port: int) -> RestSettings:
        """Read `CONNECTORS_REST_*`.

        Raises:
            ConfigError: A value cannot be used, or REST would be open to other hosts without authentication.
        """
        own = {name.removeprefix(_PREFIX).lower(): text for name, text in env.items() if name.startswith(_PREFIX)}
        settings = cls(
            host=own.get("host") or "127.0.0.1",
            port=port,
            advertised=own.get("advertised_url", "").rstrip("/"),
            cert=_file(own, "tls_cert"),
            key=_file(own, "tls_key"),
            ca=_file(own, "tls_ca"),
            admins=_credentials(own, "admin"),
            readers=_credentials(own, "reader"),
            allow_origin=_words(own, "access_control_allow_origin"),
            allow_methods=tuple(map(str.upper, _words(own, "access_control_allow_methods"))) or _READ_AND_CREATE,
            topic_tracking=flag(env, "CONNECTORS_TOPIC_TRACKING", default=True),
            topic_reset=flag(env, "CONNECTORS_TOPIC_TRACKING_RESET", default=True),
        )
        settings.check_origins()
        if settings.readers and not settings.admins:
            text = f"{_PREFIX}READER is set without {_PREFIX}ADMIN: nobody could change anything"
            raise ConfigError(text, key=f"{_PREFIX}ADMIN")
        if not (settings.loopback or settings.admins or flag(env, f"{_PREFIX}INSECURE", default=False)):
            raise ConfigError(
                f"REST on {settings.host} would be open to other hosts without authentication: set {_PREFIX}ADMIN "
                f"(user:password or a token), or {_PREFIX}HOST=127.0.0.1, or {_PREFIX}INSECURE=true to have it so",
                key=f"{_PREFIX}HOST",
            )
        settings.server_tls()
        settings.client_tls()
        return settings

    @property
    def loopback(self) -> bool:
        """Whether only this host reaches REST."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def url(self) -> str:
        """Where other workers reach this one."""
        if self.advertised:
            return self.advertised
        host = socket.gethostname() if self.host in ("0.0.0.0", "::", "") else self.host
        return f"{'https' if self.cert else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def check_origins(self) -> None:
        """Check that origins are such as browsers send, as any other would never match.

        Raises:
            ConfigError: One is not, or every page of the web could change connectors without authentication.
        """
        name = f"{_PREFIX}ACCESS_CONTROL_ALLOW_ORIGIN"
        bad = next((each for each in self.allow_origin if each != "*" and not _ORIGIN.fullmatch(each)), None)
        if bad is not None:
            text = f"{name}: {bad!r} is no origin; give scheme, host and port alone, as https://ui.example:8443, or *"
            raise ConfigError(text, key=name)
        if "*" in self.allow_origin and not self.admins:
            text = f"{name} is *: every page of the web could change connectors; set {_PREFIX}ADMIN, or name the sites"
            raise ConfigError(text, key=name)

    def server_tls(self) -> ssl.SSLContext | None:
        """Return the context to serve with, or None for plain HTTP.

        Raises:
            ConfigError: The files hold no certificate and key that belong together.
        """
        if not self.cert:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.cert, self.key or None)
        except (ssl.SSLError, OSError) as error:
            text = f"{_PREFIX}TLS_CERT {self.cert}: no certificate with its key ({error.strerror or error})"
            raise ConfigError(text, key=f"{_PREFIX}TLS_CERT") from None
        return context

    def client_tls(self) -> ssl.SSLContext:
        """Return the context to call other workers with.

        Raises:
            ConfigError: The file of authorities cannot be used.
        """
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except (ssl.SSLError, OSError) as error:
            text = f"{_PREFIX}TLS_CA {self.ca}: no certificate of an authority ({error.strerror or error})"
            raise ConfigError(text, key=f"{_PREFIX}TLS_CA") from None


def flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Read `true` or `false` from the environment.

    Raises:
        ConfigError: It is neither.
    """
    text = env.get(name, "").strip().lower()
    if text not in ("", "true", "false"):
        raise ConfigError(f"{name}: {env[name]!r} is neither true nor false", key=name)
    return text == "true" if text else default


def _file(own: Mapping[str, str], name: str) -> str:
    path = own.get(name, "")
    if path and not Path(path).is_file():
        variable = f"{_PREFIX}{name.upper()}"
        raise ConfigError(f"{variable}: there is no file {path}", key=variable)
    return path


def _words(own: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in own.get(name, "").split(",") if each.strip())


def _credentials(own: Mapping[str, str], role: str) -> tuple[str, ...]:
    """Return the credentials of a role: comma-separated in a variable, or a line each in a file that `_FILE` names."""
    given = own.get(role, "").split(",")
    path = _file(own, f"{role}_file")
    if path:
        given += Path(path).read_text(encoding="utf-8").splitlines()
    found = tuple(each.strip() for each in given if each.strip())
    short = next((each for each in found if len(each) < 8 or each.startswith(":") or each.endswith(":")), None)
    if short is not None:
        variable = f"{_PREFIX}{role.upper()}"
        raise ConfigError(f"{variable}: a token, or user:password, of at least 8 characters is needed", key=variable)
    return found
