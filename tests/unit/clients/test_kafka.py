from __future__ import annotations

import pytest

from connectors import ConfigError
from connectors.clients.kafka import KafkaSettings


def test_plain_servers_come_from_the_environment() -> None:
    settings = KafkaSettings.from_env({"KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2", "KAFKA_PREFIX": "p."})
    assert settings.librdkafka() == {"bootstrap.servers": "a:1,b:2"}
    assert settings.aiokafka() == {"bootstrap_servers": ["a:1", "b:2"]}
    assert settings.prefix == "p."


def test_heroku_urls_and_certificates_mean_tls() -> None:
    env = {
        "KAFKA_URL": "kafka+ssl://one:9096,kafka+ssl://two:9096",
        "KAFKA_TRUSTED_CERT": "CA",
        "KAFKA_CLIENT_CERT": "CERT",
        "KAFKA_CLIENT_CERT_KEY": "KEY",
    }
    settings = KafkaSettings.from_env(env)
    options = settings.librdkafka()
    assert options["bootstrap.servers"] == "one:9096,two:9096"
    assert options["security.protocol"] == "SSL"
    assert options["ssl.key.pem"] == "KEY"
    assert options["ssl.endpoint.identification.algorithm"] == "none"
    assert "KEY" not in repr(settings)


@pytest.mark.parametrize("url", ["http://a:1", "kafka://a:1,kafka+ssl://b:2"])
def test_urls_that_make_no_sense_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="KAFKA_URL"):
        KafkaSettings.from_env({"KAFKA_URL": url})


def test_the_default_is_a_local_broker() -> None:
    assert KafkaSettings.from_env({}).bootstrap_servers == "127.0.0.1:9092"
