"""Java servers and clients from Maven Central."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

from stack.errors import StackError
from stack.home import Home
from stack.packages import install, require
from stack.process import stream

__all__ = ["jars", "java", "unzipped"]

Say = Callable[[str], None]

_JAVA_LOCK = threading.Lock()

# Maven 3 does not expect two processes in one local repository, hence the lock around each run.
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stack</groupId><artifactId>stack</artifactId><version>1</version>
  <dependencies>{dependencies}</dependencies>
</project>
"""
_DOWNLOADED = re.compile(r"Downloaded from .*\((\d+(?:\.\d+)?) ([kM]?B) ")
_UNITS = {"B": 1e-6, "kB": 1e-3, "MB": 1.0}
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def java() -> str:
    """Return the path of a Java 17, installed where it is missing: Cassandra 5 runs on no newer one."""
    with _JAVA_LOCK:
        found = _java_17()
        if found is None:
            install("Java 17", "openjdk-17-jre-headless")
            found = _java_17()
    if found is None:
        raise StackError("No Java 17 in JAVA_HOME, PATH or /usr/lib/jvm although openjdk-17-jre-headless is installed")
    return found


def _java_17() -> str | None:
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    programs = [shutil.which("java"), *(str(home / "bin/java") for home in homes)]
    programs += map(str, sorted(Path("/usr/lib/jvm").glob("*17*/bin/java")))
    return next((program for program in programs if program and _is_java_17(program)), None)


@functools.cache
def _is_java_17(program: str) -> bool:
    if not os.access(program, os.X_OK):
        return False
    # Not checked: a Java that cannot even tell its version is none.
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    return 'version "17' in said


def jars(home: Home, name: str, say: Say, *coordinates: str) -> Path:
    """Return a folder with artifacts and all they need at run time.

    Args:
        home: The stack's folder.
        name: Name of the folder.
        say: Takes a word on the progress.
        coordinates: `group:artifact:version` each.

    Raises:
        StackError: Maven failed.
    """
    folder = home.downloads("maven", name)
    if not (folder / ".complete").exists():
        with home.lock("maven"), tempfile.TemporaryDirectory() as work:
            parts = "".join(_DEPENDENCY.format(*coordinate.split(":")) for coordinate in coordinates)
            Path(work, "pom.xml").write_text(_POM.format(dependencies=parts))
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
            _maven(goal, Path(work), say)
        (folder / ".complete").touch()
    return folder


def unzipped(home: Home, name: str, say: Say, coordinate: str) -> Path:
    """Return a folder with the content of one artifact, given as `group:artifact:version:type:classifier`."""
    folder = home.downloads("maven", name)
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        with home.lock("maven"), tempfile.TemporaryDirectory() as work:
            goal = ["dependency:copy", f"-Dartifact={coordinate}", f"-DoutputDirectory={work}"]
            _maven(goal, Path(work), say)
            with zipfile.ZipFile(next(Path(work).glob("*.jar"))) as archive:
                archive.extractall(folder)
        (folder / ".complete").touch()
    return folder


def _maven(goal: list[str], cwd: Path, say: Say) -> None:
    java()
    argv = [require("mvn", "maven"), "--batch-mode", "-Dstyle.color=never", *goal]
    megabytes = 0.0

    def count(line: str) -> None:
        nonlocal megabytes
        found = _DOWNLOADED.search(line)
        if found:
            megabytes += float(found[1]) * _UNITS[found[2]]
            say(f"downloading, {megabytes:.0f} MB so far")

    code, last = stream(argv, count, cwd=cwd)
    if code:
        raise StackError(f"mvn {' '.join(goal)} failed:\n{last}")
