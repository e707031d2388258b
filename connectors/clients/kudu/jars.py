"""The Java libraries of the `jvm` back end: which ones, where they lie, how they come there.

They are resolved once, when the program is installed, by `connectors kudu fetch-jars`. The worker only reads them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from connectors.api.errors import ConfigError, ConnectError

__all__ = ["ARTIFACTS", "INSTALL_HINT", "JARS_VARIABLE", "default_folder", "fetch_jars", "find_jars"]

ARTIFACTS: Final = (
    "org.apache.kudu:kudu-client:1.18.1",
    "com.stumbleupon:async:1.4.1",
    "org.slf4j:slf4j-api:1.7.36",
    "org.slf4j:slf4j-nop:1.7.36",
    "org.apache.yetus:audience-annotations:0.13.0",
    "com.google.code.findbugs:jsr305:3.0.2",
    "org.codehaus.janino:janino:3.1.12",
    "org.codehaus.janino:commons-compiler:3.1.12",
)
"""Maven coordinates; the two of janino compile our helper class at run time, so that no JDK is needed."""

JARS_VARIABLE: Final = "KUDU_CLIENT_JARS"
"""Environment variable with the folder of the jars."""

INSTALL_HINT: Final = (
    f"pip install faust-connect[kudu], run `connectors kudu fetch-jars`, and where the jars lie elsewhere set"
    f" kudu.client.jars or {JARS_VARIABLE} to their folder"
)


def default_folder() -> Path:
    """Return the folder that `fetch-jars` fills and the sink reads where none is configured."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "faust-connect" / "kudu-jars"


def find_jars(folder: str | None = None) -> list[Path]:
    """Return the jars of the Kudu client.

    Args:
        folder: Folder to look in; None is `KUDU_CLIENT_JARS`, and where that is not set the default folder.

    Raises:
        ConfigError: One or more are missing; the message names them and how to get them.
    """
    place = Path(folder or os.environ.get(JARS_VARIABLE) or default_folder()).expanduser()
    found = {path.name: path for path in place.glob("*.jar")}
    missing = [name for name in (_stem(artifact) for artifact in ARTIFACTS) if not _any_version(name, found)]
    if missing:
        raise ConfigError(
            f"The Kudu client's jars are not in {place} (missing: {', '.join(missing)}): {INSTALL_HINT}",
            key="kudu.client.jars",
        )
    return sorted(found.values())


def fetch_jars(folder: Path) -> list[Path]:
    """Resolve the pinned jars from Maven's central repository into a folder.

    Args:
        folder: Created where missing; other files in it stay.

    Returns:
        The jars.

    Raises:
        ConnectError: Neither jgo nor mvn is installed, or the one used failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if importlib.util.find_spec("jgo") is not None:
        _fetch_with_jgo(folder)
    elif shutil.which("mvn") is not None:
        _fetch_with_maven(folder)
    else:
        raise ConnectError("fetching jars needs jgo (pip install faust-connect[kudu]) or the command mvn")
    return find_jars(str(folder))


def _fetch_with_jgo(folder: Path) -> None:
    import jgo

    with tempfile.TemporaryDirectory() as cache:
        try:
            environment = jgo.build("+".join(ARTIFACTS), cache_dir=Path(cache))
        except Exception as error:  # jgo has no base class of its own errors
            raise ConnectError(f"jgo could not resolve the Kudu client's jars: {error}") from error
        for jar in environment.all_jars:
            shutil.copy2(jar, folder / Path(jar).name)


def _fetch_with_maven(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "pom.xml").write_text(_pom(), encoding="utf-8")
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder.resolve()}"]
        result = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = (result.stdout + result.stderr).strip().splitlines()
        raise ConnectError("mvn could not resolve the Kudu client's jars: " + "\n".join(lines[:5]))


def _pom() -> str:
    """Return a project that depends on exactly the pinned artifacts."""
    dependencies = "".join(
        f"<dependency><groupId>{escape(group)}</groupId><artifactId>{escape(name)}</artifactId>"
        f"<version>{escape(version)}</version>"
        "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
        for group, name, version in (artifact.split(":") for artifact in ARTIFACTS)
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>faust.connect</groupId><artifactId>kudu-jars</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )


def _stem(artifact: str) -> str:
    return artifact.split(":")[1]


def _any_version(stem: str, names: dict[str, Path]) -> bool:
    # Another version than the pinned one is the user's decision.
    return any(name.startswith(f"{stem}-") and name[len(stem) + 1 : len(stem) + 2].isdigit() for name in names)
