"""Writes plain JSON records into the topic `AsyncCassandraJob`; needs no connector.

python -m examples.pojo.produce --rows 100000
"""

from __future__ import annotations

import argparse
import time
from typing import Any, Final

import orjson
from confluent_kafka import KafkaError, Message, Producer

from connectors.clients.kafka import KafkaSettings
from examples.pojo.pojo import Pojo, pojos

__all__ = ["TOPIC", "produce", "record"]

TOPIC: Final = "AsyncCassandraJob"


def record(row: Pojo) -> bytes:
    """Return a row as a JSON object with names in camelCase."""
    value = {
        "aid": row.aid,
        "aname": row.aname,
        "astyle": row.astyle,
        # A JSON number with its scale, as Gson writes a BigDecimal: 12.30 and not 12.3.
        "energy": orjson.Fragment(str(row.energy)),
        "age": row.age,
        "tt": f"{row.tt.isoformat(timespec='milliseconds')}Z",
        "logTime": row.at_ms,
        "createTime": row.text,
        "updateTime": row.text,
        "astatus": row.astatus,
    }
    return orjson.dumps(value)


def produce(settings: KafkaSettings, count: int, *, first: int = 0, topic: str = TOPIC) -> None:
    """Write records keyed by their number and wait until all are acknowledged.

    Raises:
        RuntimeError: A record was not delivered.
    """
    failed: list[str] = []

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error.str())

    options: dict[str, Any] = {"enable.idempotence": True, "linger.ms": 20}
    producer = Producer({**settings.librdkafka(), **options})
    for row in pojos(count, first=first):
        while True:
            try:
                producer.produce(topic, record(row), key=str(row.i), on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()
    if failed:
        raise RuntimeError(f"{len(failed)} of {count} records were not delivered: {failed[0]}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=f"Write plain JSON records into the topic {TOPIC}.")
    parser.add_argument("--rows", type=int, default=100_000, help="records to write (default 100000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first record (default 0)")
    options = parser.parse_args()
    started = time.monotonic()
    produce(KafkaSettings.from_env(), options.rows, first=options.first)
    seconds = time.monotonic() - started
    print(f"{options.rows:,} records in {seconds:.1f} s, {options.rows / seconds:,.0f}/s")


if __name__ == "__main__":
    main()
