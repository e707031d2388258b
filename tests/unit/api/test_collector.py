"""What a worker does about its memory."""

from __future__ import annotations

import ctypes
import gc
import platform
import weakref
from types import SimpleNamespace

import pytest

from connectors.api.collector import free_memory


class Circle:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


def test_circles_are_freed_and_the_system_gets_its_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[int] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace(malloc_trim=trimmed.append))
    gc.disable()
    try:
        left = weakref.ref(Circle())
        assert left() is not None
        free_memory()
        assert left() is None
    finally:
        gc.enable()
    assert trimmed == [0]


def test_without_that_call_in_the_c_library_circles_are_freed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace())
    gc.disable()
    try:
        left = weakref.ref(Circle())
        free_memory()
        assert left() is None
    finally:
        gc.enable()


def test_glibc_alone_has_the_call() -> None:
    assert hasattr(ctypes.CDLL(None), "malloc_trim") == (platform.libc_ver()[0] == "glibc")
