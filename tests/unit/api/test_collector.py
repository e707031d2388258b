"""What a worker does about its memory."""

from __future__ import annotations

import ctypes
import gc
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


def test_a_c_library_that_cannot_give_memory_back_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace())
    free_memory()


def test_the_c_library_of_this_system_takes_the_call() -> None:
    free_memory()
