"""State kept in compacted Kafka topics. The factories take the app, so nothing here imports an agent."""

from __future__ import annotations

__all__: list[str] = []
