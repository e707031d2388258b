"""Debian packages: those that the system must have, and those that are unpacked into a folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from stack.errors import StackError
from stack.home import Home
from stack.process import stream

__all__ = ["Unpacked", "install", "require", "unpack"]

Say = Callable[[str], None]

# Servers start in parallel and need the same programs; apt takes one installation at a time.
_REQUIRE_LOCK = threading.Lock()
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def require(command: str, package: str) -> str:
    """Return the path of a command; install its package with apt where that is possible.

    Raises:
        StackError: It is not there and cannot be installed; the text has the command to type.
    """
    with _REQUIRE_LOCK:
        found = shutil.which(command)
        if found is None:
            install(command, package)
            found = shutil.which(command)
    if found is None:
        raise StackError(f"{command} is missing although the package {package} was installed")
    return found


def install(command: str, package: str) -> None:
    """Install a package of the system with apt.

    Args:
        command: What is missing, for the message.
        package: The Debian package that has it.

    Raises:
        StackError: It may not or could not be installed; the text has the command to type.
    """
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    typed = f"sudo apt-get install -y {package}"
    if shutil.which("apt-get") is None or (root and shutil.which("sudo") is None):
        raise StackError(f"{command} is missing. Type: {typed}")
    env = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
    for argv in ([*env, "update"], [*env, "install", "-y", "--no-install-recommends", package]):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
            raise StackError(f"{command} is missing and could not be installed:\n{last}\nType: {typed}")


class Unpacked:
    """A program with all its libraries in one folder, run through the folder's own dynamic loader.

    The system stays untouched, and a program of a newer Debian runs on an older one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def argv(self, program: str, *arguments: str) -> list[str]:
        """Return the command line of a program, given by its path inside the folder."""
        # Older suites have lib and usr/lib apart, newer ones have merged them.
        folders = [self.root / "usr/lib/x86_64-linux-gnu", self.root / "lib/x86_64-linux-gnu"]
        folders = [folder for folder in folders if folder.is_dir()]
        loader = next(file for folder in folders for file in folder.glob("ld-linux-x86-64.so.2"))
        inner = [
            sub for folder in folders for sub in sorted(folder.iterdir()) if sub.is_dir() and any(sub.glob("*.so*"))
        ]
        libraries = [*folders, *inner]
        path = ":".join(map(str, libraries))
        return [str(loader), "--library-path", path, str(self.root / program), *arguments]


def unpack(home: Home, suite: str, package: str, say: Say | None = None) -> Unpacked:
    """Download a package with everything it depends on and unpack it into a folder of the downloads.

    Args:
        home: The stack's folder.
        suite: Debian suite such as `bookworm` or `sid`; the mirror is the one of the system's own apt sources.
        package: Name of the package.
        say: Takes a word on the progress.

    Raises:
        StackError: This is no Debian, or apt failed.
    """
    root = home.downloads("debian", suite, package)
    if (root / ".complete").exists():
        return Unpacked(root)
    with home.lock(f"apt-{suite}"):
        apt = home.downloads("apt", suite)
        config = _private_apt(apt, suite)
        archives = apt / "archives"
        _run(["apt-get", "-q", "update"], config)
        _download(package, config, say or (lambda _: None))
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        for name in _closure(package, config):
            archive = next(archives.glob(f"{name}_*.deb"), None)
            if archive is not None:
                _run(["dpkg-deb", "--extract", str(archive), str(root)], config)
        (root / ".complete").touch()
    return Unpacked(root)


def _download(package: str, config: Path, say: Say) -> None:
    def percent(line: str) -> None:
        if line.startswith("dlstatus:"):
            say(f"downloading, {float(line.split(':')[2]):.0f} %")

    argv = ["apt-get", "-q", "-y", "-o", "APT::Status-Fd=1", "--download-only", "install", package]
    code, last = stream(argv, percent, env=os.environ | {"APT_CONFIG": str(config), "LC_ALL": "C"})
    if code:
        raise StackError(f"{package}: download failed:\n{last}")


def _closure(package: str, config: Path) -> list[str]:
    plan = _run(["apt-get", "-q", "--simulate", "install", package], config)
    return re.findall(r"^Inst (\S+)", plan, re.MULTILINE)


def _private_apt(folder: Path, suite: str) -> Path:
    """Write an apt configuration that knows `suite` alone and keeps everything under `folder`."""
    for part in ("lists/partial", "archives/partial", "etc/preferences.d", "etc/apt.conf.d", "etc/trusted.gpg.d"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    config = folder / "apt.conf"
    lines = [
        f'Dir::State "{folder}"; Dir::State::lists "{folder}/lists"; Dir::State::status "{folder}/status";',
        f'Dir::Cache "{folder}"; Dir::Cache::archives "{folder}/archives"; Dir::Etc "{folder}/etc";',
        f'Dir::Etc::sourcelist "{folder}/sources.list"; Dir::Etc::sourceparts "-";',
        'APT::Architecture "amd64"; APT::Install-Recommends "false"; Acquire::Languages "none";',
        # A mirror that lags behind is good enough for test servers; signatures are still checked.
        'Acquire::Check-Valid-Until "false"; Debug::NoLocking "true"; APT::Sandbox::User "";',
    ]
    config.write_text("\n".join(lines) + "\n")
    return config


def _mirror(etc: Path = Path("/etc/apt")) -> str:
    """Return the Debian mirror that the system's own apt uses."""
    files: Sequence[Path] = [etc / "sources.list", *sorted(etc.glob("sources.list.d/*"))]
    for file in files:
        text = file.read_text() if file.is_file() else ""
        found = re.search(r"^(?:URIs:|deb\s+(?:\[.*?\])?)\s*(https?://\S+/debian)/?(?=\s|$)", text, re.MULTILINE)
        if found:
            return found[1]
    raise StackError("No Debian mirror in /etc/apt: the servers' packages come from Debian; use compose.yaml instead")


def _run(argv: list[str], config: Path) -> str:
    if shutil.which(argv[0]) is None:
        raise StackError(f"{argv[0]} is missing: the servers' packages come from Debian; use compose.yaml instead")
    env = os.environ | {"APT_CONFIG": str(config), "LC_ALL": "C"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
        raise StackError(f"{' '.join(argv)} failed:\n{last}")
    return done.stdout
