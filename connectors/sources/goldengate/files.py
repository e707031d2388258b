"""A directory of rolling files: which there are, and how far each is read.

Every file is read on its own, so files of several tables may grow at the same time. A file is known by its name and its
first bytes: one that was renamed or compressed goes on where it was, a new one under an old name starts at its begin.
"""

from __future__ import annotations

import glob
import gzip
import logging
import os
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, cast

from connectors.api.errors import DataError, FatalError, RetriableError

__all__ = ["Directory", "TrailFile"]

log = logging.getLogger(__name__)

_HEAD: Final = 1024


@dataclass(slots=True)
class TrailFile:
    """A file and how far it is read.

    Attributes:
        name: Path.
        offset: Bytes read of it, decompressed.
        inode: Its number in the file system.
        head: Checksum of its first bytes, decompressed.
        head_size: How many bytes `head` is of.
        size: Size when it was last seen, as stored.
        modified: When it was last written, as seen; 0 before it was looked at since the task started.
    """

    name: str
    offset: int = 0
    inode: int = 0
    head: int = 0
    head_size: int = 0
    size: int = -1
    modified: int = 0

    @property
    def compressed(self) -> bool:
        """Whether it is read through gzip."""
        return self.name.endswith(".gz")

    def to_offset(self) -> list[Any]:
        """Return what is stored of it."""
        return [self.offset, self.inode, self.head, self.head_size]


class Directory:
    """The files that a directory or a glob holds.

    Args:
        path: A directory, whose files all count, or a glob.
        ignored: Endings of files that are still being made elsewhere.
        stored: `files` of the stored offset.
    """

    def __init__(self, path: str, ignored: tuple[str, ...] = (), stored: Mapping[str, Any] | None = None) -> None:
        self._path = path
        self._ignored = ignored
        self._files: dict[str, TrailFile] = {}
        self._open: tuple[str, IO[bytes]] | None = None
        for name, (offset, inode, head, head_size) in (stored or {}).items():
            self._files[name] = TrailFile(name, offset, inode, head, head_size)

    def to_offset(self) -> dict[str, Any]:
        """Return what is stored: the files that are there, and how far they are read."""
        return {name: file.to_offset() for name, file in self._files.items()}

    def scan(self) -> list[TrailFile]:
        """Look at the directory again; returns its files in the order of their names.

        Raises:
            RetriableError: The directory is not there for now.
        """
        found = self._listed()
        displaced = [file for name, file in self._files.items() if name not in found or not self._same(file, found)]
        for file in displaced:
            del self._files[file.name]
            self._close(file.name)
        for name, about in found.items():
            if name not in self._files:
                self._files[name] = self._renamed(name, about, displaced)
            file = self._files[name]
            file.size, file.inode, file.modified = about.st_size, about.st_ino, about.st_mtime_ns
        for file in displaced:
            self._tell_gone(file, found)
        return [self._files[name] for name in sorted(self._files)]

    def read(self, file: TrailFile, at: int, size: int) -> bytes:
        """Read from a file; less than `size` bytes, or none, where it ends.

        Args:
            file: Which.
            at: First byte, decompressed.
            size: Most bytes.

        Raises:
            DataError: The compressed file is damaged.
            FatalError: The file may not be read.
        """
        try:
            handle = self._handle(file.name)
            if handle.tell() != at:
                handle.seek(at)
            data = handle.read(size)
        except FileNotFoundError:
            self._close(file.name)
            return b""
        except EOFError:  # still being compressed
            self._close(file.name)
            return b""
        except (gzip.BadGzipFile, zlib.error) as error:
            self._close(file.name)
            raise DataError(f"{file.name} is damaged at byte {at} of what it holds: {error}") from error
        except OSError as error:
            self._close(file.name)
            raise FatalError(f"{file.name} at byte {at}: {error}") from error
        if at < _HEAD and data:
            self._take_head(file, at, data)
        return data

    def close(self) -> None:
        """Close what is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _listed(self) -> dict[str, os.stat_result]:
        folder = Path(self._path).is_dir()
        if not folder and not glob.has_magic(self._path) and not Path(self._path).exists():
            raise RetriableError(f"goldengate.path: {self._path} is not there")
        names = glob.glob(f"{glob.escape(self._path)}/*" if folder else self._path)
        found: dict[str, os.stat_result] = {}
        for name in sorted(names):
            if name.endswith(self._ignored) or (name.endswith(".gz") and name[:-3] in names):
                continue
            try:
                about = os.stat(name)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(about.st_mode):
                found[name] = about
        return found

    def _same(self, known: TrailFile, found: Mapping[str, os.stat_result]) -> bool:
        """Tell whether the file of that name is still the one that is known."""
        about = found[known.name]
        if (known.modified, known.inode, known.size) == (about.st_mtime_ns, about.st_ino, about.st_size):
            return True
        if not known.compressed and about.st_size < known.offset:
            return False
        return self._has_head(known, known.name)

    def _has_head(self, known: TrailFile, name: str) -> bool:
        if not known.head_size:
            return known.offset == 0
        try:
            with _opened(name) as handle:
                return zlib.crc32(handle.read(known.head_size)) == known.head
        except (OSError, EOFError, zlib.error):
            return False

    def _renamed(self, name: str, about: os.stat_result, displaced: list[TrailFile]) -> TrailFile:
        """Return a file that was not there before, which may be one that had another name."""
        for known in displaced:
            zipped = name.endswith(".gz") and name[:-3].startswith((known.name, os.path.splitext(known.name)[0]))
            same = known.inode == about.st_ino and (name.endswith(".gz") or about.st_size >= known.offset)
            if known.head_size and (same or zipped) and self._has_head(known, name):
                log.info("%s is called %s now", known.name, name)
                displaced.remove(known)
                return replace(known, name=name, modified=0)
        return TrailFile(name)

    def _tell_gone(self, file: TrailFile, found: Mapping[str, os.stat_result]) -> None:
        unread = 0 if file.compressed else file.size - file.offset
        if file.name in found:
            log.warning("%s: another file of the same name, which is read from its begin", file.name)
        if unread > 0:
            log.error("%s is gone, %d bytes of it were not read", file.name, unread)

    def _handle(self, name: str) -> IO[bytes]:
        if self._open is None or self._open[0] != name:
            self.close()
            self._open = (name, _opened(name))
        return self._open[1]

    def _close(self, name: str) -> None:
        if self._open is not None and self._open[0] == name:
            self.close()

    def _take_head(self, file: TrailFile, at: int, data: bytes) -> None:
        """Remember the first bytes; they come in order, as a file is read from its begin."""
        if at <= file.head_size:
            part = data[file.head_size - at : _HEAD - at]
            file.head = zlib.crc32(part, file.head)
            file.head_size += len(part)


def _opened(name: str) -> IO[bytes]:
    """Open a file, compressed or not; the caller closes it."""
    return cast("IO[bytes]", gzip.open(name)) if name.endswith(".gz") else Path(name).open("rb")
