"""TLS to Cassandra."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from connectors.api.config import Password
from connectors.api.errors import ConfigError

__all__ = ["TlsSettings"]


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What is trusted, and who we are.

    Attributes:
        ca: PEM file of the authorities that are trusted; empty for those of the system.
        certificate: PEM file of our own certificate; empty where the cluster asks for none.
        key: PEM file of its key; empty if it is in the same file.
        key_password: Password of the key.
        check_hostname: Whether the server's certificate must name the host that was asked for.
    """

    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password: Password = field(default_factory=lambda: Password(""))
    check_hostname: bool = True

    def context(self) -> ssl.SSLContext:
        """Return the context of connections.

        Raises:
            ConfigError: A file cannot be read or used.
        """
        try:
            made = ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ssl.SSLError) as error:
            raise _unusable("cassandra.ssl.ca", self.ca, error) from None
        made.check_hostname = self.check_hostname
        if self.certificate:
            try:
                # A password as a function: OpenSSL would ask the terminal for one that is missing.
                made.load_cert_chain(self.certificate, self.key or None, lambda: self.key_password.value)
            except (OSError, ssl.SSLError) as error:
                name, file = (
                    ("cassandra.ssl.key", self.key) if self.key else ("cassandra.ssl.certificate", self.certificate)
                )
                raise _unusable(name, file, error) from None
        return made


def _unusable(option: str, file: str, error: OSError) -> ConfigError:
    reason = error.strerror or str(error)
    return ConfigError(f"Option {option}: {file} cannot be used: {reason}", key=option)
