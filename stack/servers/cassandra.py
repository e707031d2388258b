"""Apache Cassandra 5 from Maven Central, one node on Java 17."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import ClassVar

from stack.maven import jars, java
from stack.process import Spec
from stack.servers.base import Say, Server

__all__ = ["Cassandra"]

_EXPORTS = """java.base/jdk.internal.misc java.base/java.lang.ref java.base/java.lang.reflect java.sql/java.sql
java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server
java.rmi/sun.rmi.transport.tcp jdk.unsupported/sun.misc jdk.compiler/com.sun.tools.javac.file"""
_OPENS = """java.lang java.lang.module java.lang.reflect java.io java.math java.net java.nio java.util
java.util.concurrent java.util.concurrent.atomic java.time sun.nio.ch sun.security.util sun.net.dns
jdk.internal.loader jdk.internal.ref jdk.internal.reflect jdk.internal.math jdk.internal.module
jdk.internal.util.jar"""
_MORE_OPENS = """jdk.management/com.sun.management.internal jdk.management.jfr/jdk.management.jfr
jdk.compiler/com.sun.tools.javac"""

# CQL's OPTIONS request: version 4, no flags, stream 0, opcode 5, empty body.
_OPTIONS = struct.pack(">BBHBI", 4, 0, 0, 5, 0)
_SUPPORTED = 6


class Cassandra(Server):
    """Cassandra. `STACK_CASSANDRA_COMMITLOG_SYNC=batch` makes acknowledged writes survive a kill -9."""

    name = "cassandra"
    port_names: ClassVar = ("native", "storage", "ssl_storage", "jmx")
    process_names: ClassVar = ("cassandra",)
    start_limit_s: ClassVar = 180
    stop_limit_s: ClassVar = 60

    def download(self, say: Say) -> None:
        java()
        jars(self.home, "cassandra", say, "org.apache.cassandra:cassandra-all:5.0.9")

    def initialise(self) -> None:
        return

    def specs(self) -> list[Spec]:
        (self.data / "logback.xml").write_text(_LOGBACK)
        config = self.data / "cassandra.yaml"
        config.write_text(self._yaml())
        folder = self.home.downloads("maven", "cassandra")
        agent = next(folder.glob("jamm-*.jar"))
        argv = [java(), *_heap(), *_modules(), f"-javaagent:{agent}", *self._properties(config), "-cp", f"{folder}/*"]
        main = "org.apache.cassandra.service.CassandraDaemon"
        return [Spec("cassandra", [*argv, main], os.environ, self.data)]

    def probe(self) -> None:
        with socket.create_connection(("127.0.0.1", self.ports["native"]), timeout=2) as connection:
            connection.sendall(_OPTIONS)
            head = connection.recv(9)
        if len(head) < 5 or head[4] != _SUPPORTED:
            raise ConnectionError("no answer to OPTIONS")

    def environment(self) -> dict[str, str]:
        return {
            "CASSANDRA_CONTACT_POINTS": "127.0.0.1",
            "CASSANDRA_PORT": str(self.ports["native"]),
            "CASSANDRA_LOCAL_DATACENTER": "datacenter1",
        }

    def _properties(self, config: Path) -> list[str]:
        values = {
            "jdk.attach.allowAttachSelf": "true",
            "java.security.manager": "allow",
            "io.netty.tryReflectionSetAccessible": "true",
            "java.net.preferIPv4Stack": "true",
            "cassandra.config": f"file://{config}",
            "logback.configurationFile": str(self.data / "logback.xml"),
            "cassandra.storagedir": str(self.data),
            "cassandra.logdir": str(self.home.log("cassandra").parent),
            "cassandra-foreground": "yes",
            "cassandra.jmx.local.port": str(self.ports["jmx"]),
            "cassandra.superuser_setup_delay_ms": "0",
            "cassandra.ring_delay_ms": "0",
            "cassandra.skip_wait_for_gossip_to_settle": "0",
        }
        return [f"-D{key}={value}" for key, value in values.items()]

    def _yaml(self) -> str:
        sync = os.environ.get("STACK_CASSANDRA_COMMITLOG_SYNC", "periodic")
        period = "commitlog_sync_period: 10000ms" if sync == "periodic" else ""
        return _YAML.format(data=self.data, sync=sync, period=period, **self.ports)


def _heap() -> list[str]:
    return ["-Xms768m", "-Xmx768m", "-XX:+UseG1GC", "-Xss256k"]


def _modules() -> list[str]:
    opens = [f"java.base/{package}" for package in _OPENS.split()] + _MORE_OPENS.split()
    flags = [("--add-exports", package) for package in _EXPORTS.split()]
    flags += [("--add-opens", package) for package in opens]
    return [word for flag, package in flags for word in (flag, f"{package}=ALL-UNNAMED")]


_YAML = """\
cluster_name: stack
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
commitlog_sync: {sync}
{period}
endpoint_snitch: SimpleSnitch
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
start_native_transport: true
native_transport_port: {native}
storage_port: {storage}
ssl_storage_port: {ssl_storage}
hints_directory: {data}/hints
data_file_directories: [{data}/data]
commitlog_directory: {data}/commitlog
cdc_raw_directory: {data}/cdc
saved_caches_directory: {data}/caches
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: "127.0.0.1:{storage}"}}]
"""
_LOGBACK = """\
<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date %level %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="out"/></root>
</configuration>
"""
