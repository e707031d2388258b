"""What must not be shown: values of options that look secret."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["hide", "scrub"]

HIDDEN = "[hidden]"

_SECRET = re.compile(r"password|passwd|secret|token|credential|jaas|(?<![a-z])(?:[a-z]*key)(?![a-z])", re.IGNORECASE)
# About the keys of records and tables, which are no keys of doors.
_RECORD_KEY = re.compile(
    r"(?:^|\.)(?:message\.key|primary\.key|key\.(?:converter|field|serializer|deserializer)|key)(?:$|\.)"
)
_REFERENCE = re.compile(r"(?:\$\{\w+:[^}]*\})+")
_URL_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^/\s]+@")


def hide(config: Mapping[str, str]) -> dict[str, str]:
    """Return the options with secrets hidden; references such as `${env:NAME}` tell nothing and stay."""
    # A URL with a password is hidden whole: a worker takes `[hidden]` as unchanged when the result is deployed again.
    return {
        name: HIDDEN if _is_secret(name, value) or _URL_PASSWORD.search(value) else value
        for name, value in config.items()
    }


def scrub(text: str, config: Mapping[str, str]) -> str:
    """Return a message without the secrets of a configuration, should somebody have quoted one."""
    for name, value in config.items():
        if _is_secret(name, value) and value.strip():
            # Whole words only: the password "cassandra" must not blot out the option cassandra.contact.points.
            text = re.sub(rf"(?<![\w.]){re.escape(value)}(?!\w|\.\w)", HIDDEN, text)
    return _URL_PASSWORD.sub(rf"\1{HIDDEN}@", text)


def _is_secret(name: str, value: str) -> bool:
    if _REFERENCE.fullmatch(value):
        return False
    # A name is looked at without its parts about record keys: key.converter.auth.token is still secret.
    return _SECRET.search(_RECORD_KEY.sub(".", name)) is not None
