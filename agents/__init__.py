"""The async-enrich stage: `faust -A agents worker` runs what `ENRICH_CONFIG` declares.

`app` is built on first use, so that importing `agents.async_io` in a program or a test needs neither a
configuration nor Kafka.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.application import EnrichApp

    app: EnrichApp

__all__ = ["app"]


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from agents.application import create_app

    globals()["app"] = built = create_app()
    return built
