"""Apache Kafka: one KRaft node that is broker and controller."""

from __future__ import annotations

import os
import subprocess
from typing import ClassVar

from confluent_kafka.admin import AdminClient

from stack.errors import StackError
from stack.maven import jars, java
from stack.process import Spec
from stack.servers.base import Say, Server

__all__ = ["Kafka"]

VERSION = "4.4.0"
JARS = f"kafka-{VERSION}"
# Without the second, what Kafka logs goes nowhere, also why it does not start.
ARTIFACTS = (f"org.apache.kafka:kafka_2.13:{VERSION}", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5")
CLUSTER_ID = "c3RhY2sta2Fma2EtMDAwMQ"


class Kafka(Server):
    """Kafka from Maven Central."""

    name = "kafka"
    port_names: ClassVar = ("broker", "controller")
    process_names: ClassVar = ("kafka",)

    def download(self, say: Say) -> None:
        java()
        jars(self.home, JARS, say, *ARTIFACTS)

    def initialise(self) -> None:
        self._write_properties()
        argv = [*self._java(), "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._properties)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"kafka: formatting the storage failed:\n{done.stdout}{done.stderr}")

    def specs(self) -> list[Spec]:
        self._write_properties()
        return [Spec("kafka", [*self._java(), "kafka.Kafka", str(self._properties)], os.environ, self.data)]

    def probe(self) -> None:
        AdminClient({**self._client(), "log_level": 0}).list_topics(timeout=2)

    def environment(self) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.ports['broker']}"}

    def _client(self) -> dict[str, str]:
        return {"bootstrap.servers": f"127.0.0.1:{self.ports['broker']}"}

    @property
    def _properties(self) -> os.PathLike[str]:
        return self.data / "server.properties"

    def _java(self) -> list[str]:
        log4j = self.data / "log4j2.yaml"
        log4j.write_text(_LOG4J)
        path = f"{self.home.downloads('maven', JARS)}/*"
        flags = ["-Xms256m", "-Xmx640m", "-XX:+UseG1GC", f"-Dlog4j2.configurationFile={log4j}"]
        return [java(), *flags, "-cp", path]

    def _write_properties(self) -> None:
        broker, controller = self.ports["broker"], self.ports["controller"]
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.data / "logs"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
            "log.segment.bytes": str(64 << 20),
            "log.retention.hours": "24",
        }
        text = "\n".join(f"{key}={value}" for key, value in properties.items())
        (self.data / "server.properties").write_text(text + "\n")


_LOG4J = """\
Configuration:
  status: error
  Appenders:
    Console:
      name: out
      PatternLayout: {pattern: "%d %p %m (%c{1})%n"}
  Loggers:
    Root:
      level: WARN
      AppenderRef: {ref: out}
"""
