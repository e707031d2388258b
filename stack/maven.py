"""Java servers and clients from Maven Central."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from stack.errors import StackError
from stack.home import Home
from stack.packages import require

__all__ = ["jars", "java", "unzipped"]

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stack</groupId><artifactId>stack</artifactId><version>1</version>
  <dependencies>{dependencies}</dependencies>
</project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def java() -> str:
    """Return the path of `java`, installed where it is missing."""
    return require("java", "openjdk-17-jre-headless")


def jars(home: Home, name: str, *coordinates: str) -> Path:
    """Return a folder with artifacts and all they need at run time.

    Args:
        home: The stack's folder.
        name: Name of the folder.
        coordinates: `group:artifact:version` each.

    Raises:
        StackError: Maven failed.
    """
    folder = home.downloads("maven", name)
    if not (folder / ".complete").exists():
        with tempfile.TemporaryDirectory() as work:
            parts = "".join(_DEPENDENCY.format(*coordinate.split(":")) for coordinate in coordinates)
            Path(work, "pom.xml").write_text(_POM.format(dependencies=parts))
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
            _maven(goal, Path(work))
        (folder / ".complete").touch()
    return folder


def unzipped(home: Home, name: str, coordinate: str) -> Path:
    """Return a folder with the content of one artifact, given as `group:artifact:version:type:classifier`."""
    folder = home.downloads("maven", name)
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        with tempfile.TemporaryDirectory() as work:
            goal = ["dependency:copy", f"-Dartifact={coordinate}", f"-DoutputDirectory={work}"]
            _maven(goal, Path(work))
            with zipfile.ZipFile(next(Path(work).glob("*.jar"))) as archive:
                archive.extractall(folder)
        (folder / ".complete").touch()
    return folder


def _maven(goal: list[str], cwd: Path) -> None:
    java()
    argv = [require("mvn", "maven"), "--batch-mode", "--quiet", "-Dstyle.color=never", *goal]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
        raise StackError(f"mvn {' '.join(goal)} failed:\n{last}")
