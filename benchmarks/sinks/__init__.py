"""The sinks from Kafka to the target, beside the client library alone: `python -m benchmarks.sinks --help`."""
