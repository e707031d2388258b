"""What the registry's converters share: options, subjects, and what an error means for the record.

Wire format: a zero byte, the schema's id in four bytes, the payload. Source: Confluent, "Wire format" of the Schema
Registry documentation. The client is confluent-kafka's, which ships with the extra `registry`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connectors.api.config import ConfigDef, Importance, Password, Type
from connectors.api.converter import Converter
from connectors.api.errors import ConfigError, ConnectError, DataError, RetriableError
from connectors.api.record import Headers
from connectors.api.validators import one_of
from connectors.formats.canal import changes_of, decode_object, is_flat_message

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

__all__ = ["RegistryConverter", "SchemaTextConverter"]

_STRATEGIES: Final = {
    "TopicNameStrategy": "topic_subject_name_strategy",
    "RecordNameStrategy": "record_subject_name_strategy",
    "TopicRecordNameStrategy": "topic_record_subject_name_strategy",
}
_TRY_AGAIN: Final = 500


class RegistryConverter(Converter):
    """Base of the three converters."""

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options; names as those of Confluent's converters where they have one."""
        high, low = Importance.HIGH, Importance.LOW
        return (
            ConfigDef()
            .define(
                "schema.registry.url", Type.LIST, doc="URLs of the schema registry, comma-separated.", importance=high
            )
            .define("basic.auth.user.info", Type.PASSWORD, None, doc="`user:password` for the registry.")
            .define("bearer.auth.token", Type.PASSWORD, None, doc="Token for the registry.")
            .define(
                "schema.registry.ssl.ca.location", Type.STRING, None, doc="File with the registry's CA certificate."
            )
            .define(
                "schema",
                Type.STRING,
                None,
                doc=f"Schema of values that are written: the text itself, or a path. {cls.SCHEMA_DOC}",
                importance=high,
            )
            .define(
                "use.latest.version",
                Type.BOOLEAN,
                False,
                doc="Write with the subject's latest schema in the registry, instead of one given here.",
            )
            .define("auto.register.schemas", Type.BOOLEAN, True, doc="Register the schema given here where it is new.")
            .define("normalize.schemas", Type.BOOLEAN, False, doc="Let the registry compare schemas in normal form.")
            .define(
                "subject.name.strategy",
                Type.STRING,
                "TopicNameStrategy",
                doc="How a subject's name is made.",
                validator=one_of(*_STRATEGIES),
                recommended=tuple(_STRATEGIES),
                importance=low,
            )
            .define("timeout.ms", Type.INT, 10_000, doc="Longest wait for the registry.", importance=low)
        )

    SCHEMA_DOC = ""

    def configure(self, options: Mapping[str, str], *, is_key: bool) -> None:
        """Take the options and make the client; the registry is asked when the first record comes."""
        self.options = self.config().parse(options)
        self.is_key = is_key
        if self.options["basic.auth.user.info"] and self.options["bearer.auth.token"]:
            raise ConfigError(
                "Options basic.auth.user.info and bearer.auth.token: the registry takes one of them",
                key="bearer.auth.token",
            )
        try:
            self.registry = _client(self.options)
            self.prepare()
        except ImportError as error:
            raise ConfigError(
                f"{type(self).__name__} needs a package that is missing ({error.name}):"
                " pip install 'faust-connect[registry]'"
            ) from None

    def from_connect(self, topic: str, headers: Headers, value: Any) -> bytes | None:
        """Encode a value with its subject's schema; JSON bytes, as sources may give, are decoded first.

        Raises:
            DataError: There is no schema, or the value does not fit it.
            RetriableError: The registry does not answer.
        """
        if value is None:
            return None
        if isinstance(value, bytes):
            value = decode_object(value)
        try:
            return self.encode(topic, value)
        except ConnectError:
            raise
        except Exception as error:
            raise _meaning(error, topic) from error

    def to_connect(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        """Decode a value by the schema that its first bytes name; a Canal message becomes its row changes.

        Raises:
            DataError: The bytes are not of this format or do not fit their schema.
            RetriableError: The registry does not answer.
        """
        if data is None:
            return None
        if len(data) < 5 or data[0] != 0:
            raise DataError("not the registry's wire format: a zero byte and a schema id are missing at the beginning")
        try:
            value = self.decode(topic, data)
        except Exception as error:
            raise _meaning(error, topic) from error
        if isinstance(value, dict) and is_flat_message(value):
            return changes_of(value, headers)
        return value

    @abstractmethod
    def prepare(self) -> None:
        """Make the serializer and the deserializer."""

    @abstractmethod
    def encode(self, topic: str, value: Any) -> bytes:
        """Encode with the wire format's head."""

    @abstractmethod
    def decode(self, topic: str, data: bytes) -> Any:
        """Decode, head and all."""

    def serializer_options(self) -> dict[str, Any]:
        """Return what confluent-kafka's serializers take."""
        latest = self.options["use.latest.version"]
        return {
            "auto.register.schemas": self.options["auto.register.schemas"] and not latest,
            "use.latest.version": latest,
            "normalize.schemas": self.options["normalize.schemas"],
            "subject.name.strategy": self.strategy(),
        }

    def strategy(self) -> Any:
        """Return confluent-kafka's function that names a subject."""
        from confluent_kafka import schema_registry

        return getattr(schema_registry, _STRATEGIES[self.options["subject.name.strategy"]])

    def context(self, topic: str) -> Any:
        """Return what confluent-kafka wants to know of a record."""
        from confluent_kafka.serialization import MessageField, SerializationContext

        return SerializationContext(topic, MessageField.KEY if self.is_key else MessageField.VALUE)

    def given_schema(self) -> bytes | None:
        """Return the schema of the option `schema`, read from its file where it is a path.

        Raises:
            ConfigError: The file cannot be read.
        """
        given: str | None = self.options["schema"]
        if given is None or given.lstrip().startswith(("{", "[", '"')):
            return None if given is None else given.encode()
        try:
            return Path(given).read_bytes()
        except OSError as error:
            raise ConfigError(f"Option schema: {given} cannot be read: {error.strerror}", key="schema") from None

    def no_schema(self, topic: str) -> DataError:
        """Return the error for a value that there is no schema for."""
        which = "key" if self.is_key else "value"
        return DataError(
            f"topic {topic}: no schema to write a {which} with: set {which}.converter.schema, or register one and set"
            f" {which}.converter.use.latest.version=true"
        )


class SchemaTextConverter(RegistryConverter):
    """Base of the converters whose schema is a text: values are written with the one given or the latest.

    Where there is neither, Canal messages are written with a schema of their own.
    """

    _write: Any
    _write_canal: Any

    def encode(self, topic: str, value: Any) -> bytes:
        """Encode with the schema given, the latest, or Canal's."""
        write = self._write
        if write is None and isinstance(value, dict) and is_flat_message(value):
            write = self._write_canal
        if write is None:
            raise self.no_schema(topic)
        data: bytes = write(value, self.context(topic))
        return data


def _client(options: Mapping[str, Any]) -> SchemaRegistryClient:
    from confluent_kafka.schema_registry import SchemaRegistryClient

    given: dict[str, Any] = {
        "url": ",".join(options["schema.registry.url"]),
        "timeout": options["timeout.ms"] / 1000,
        # The runtime tries again, and sees a stop request meanwhile.
        "max.retries": 0,
    }
    user: Password | None = options["basic.auth.user.info"]
    token: Password | None = options["bearer.auth.token"]
    if user is not None:
        given["basic.auth.user.info"] = user.value
    if token is not None:
        given |= {
            "bearer.auth.credentials.source": "STATIC_TOKEN",
            "bearer.auth.token": token.value,
            "bearer.auth.logical.cluster": "",
            "bearer.auth.identity.pool.id": "",
        }
    if options["schema.registry.ssl.ca.location"] is not None:
        given["ssl.ca.location"] = options["schema.registry.ssl.ca.location"]
    return SchemaRegistryClient(given)


def _meaning(error: Exception, topic: str) -> ConnectError:
    """Tell a registry that is away from a record that is bad."""
    from confluent_kafka.schema_registry.error import SchemaRegistryError

    module = type(error).__module__.partition(".")[0]
    if isinstance(error, SchemaRegistryError):
        status = error.http_status_code
        what = f"topic {topic}: the schema registry answers {status}: {error.error_message}"
        if status >= _TRY_AGAIN or status == 429:
            return RetriableError(what)
        return DataError(what)
    if module in ("httpx", "httpx2", "httpcore", "httpcore2") or isinstance(error, OSError):
        return RetriableError(f"topic {topic}: the schema registry does not answer: {error or type(error).__name__}")
    return DataError(f"topic {topic}: {type(error).__name__}: {error}")
