"""Apache Kudu from Maven Central: one master and one tablet server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import ClassVar

from stack.maven import jars, java, unzipped
from stack.process import Spec
from stack.servers.base import Say, Server

__all__ = ["Kudu"]

VERSION = "1.18.1"
BINARY = f"org.apache.kudu:kudu-binary:{VERSION}:jar:linux-x86_64"
CLIENT = (
    f"org.apache.kudu:kudu-client:{VERSION}",
    "org.slf4j:slf4j-nop:1.7.36",
    "org.codehaus.janino:janino:3.1.12",
)


class Kudu(Server):
    """Kudu, and the jars of its Java client."""

    name = "kudu"
    port_names: ClassVar = ("master", "master_web", "tserver", "tserver_web")
    process_names: ClassVar = ("kudu-master", "kudu-tserver")

    def download(self, say: Say) -> None:
        java()
        unzipped(self.home, "kudu", say, BINARY)
        for program in self._folder().glob("bin/*"):
            program.chmod(0o755)  # a jar keeps no mode bits
        jars(self.home, "kudu-client", say, *CLIENT)

    def initialise(self) -> None:
        return

    def specs(self) -> list[Spec]:
        ports = self.ports
        replicas = "--default_num_replicas=1"
        master = self._spec("kudu-master", ports["master"], ports["master_web"], replicas)
        masters = f"--tserver_master_addrs=127.0.0.1:{ports['master']}"
        return [master, self._spec("kudu-tserver", ports["tserver"], ports["tserver_web"], masters)]

    def probe(self) -> None:
        argv = [str(self._folder() / "bin/kudu"), "tserver", "list", f"127.0.0.1:{self.ports['master']}"]
        done = subprocess.run(argv, env=self._env(), capture_output=True, text=True, check=True, timeout=10)
        if f":{self.ports['tserver']}" not in done.stdout:
            raise ConnectionError("the tablet server has not registered")

    def environment(self) -> dict[str, str]:
        client = self.home.downloads("maven", "kudu-client")
        return {"KUDU_MASTERS": f"127.0.0.1:{self.ports['master']}", "KUDU_CLIENT_JARS": str(client)}

    def _folder(self) -> Path:
        return next(self.home.downloads("maven", "kudu").glob("*/bin")).parent

    def _env(self) -> dict[str, str]:
        # Without the first, Debian's Kerberos library is picked up and clashes; without the second the tablet
        # server looks alive but never registers.
        lib = self._folder() / "lib"
        return os.environ | {"LD_LIBRARY_PATH": str(lib), "SASL_PATH": str(lib / "sasl2")}

    def _spec(self, name: str, rpc: int, web: int, flag: str) -> Spec:
        data = self.data / name
        logs = self.data / f"{name}-logs"
        logs.mkdir(exist_ok=True)
        flags = [
            "--unlock_unsafe_flags",
            "--unlock_experimental_flags",
            "--never_fsync",
            "--time_source=system_unsync",
            "--webserver_interface=127.0.0.1",
            f"--webserver_port={web}",
            f"--rpc_bind_addresses=127.0.0.1:{rpc}",
            f"--log_dir={logs}",
            f"--fs_wal_dir={data}",
            f"--fs_data_dirs={data}",
            "--log_segment_size_mb=8",
            flag,
        ]
        return Spec(name, [str(self._folder() / "bin" / name), *flags], self._env(), self.data)
