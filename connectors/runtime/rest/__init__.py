"""The REST interface: Kafka Connect's paths, JSON and status codes, from one table of routes."""

from __future__ import annotations

from connectors.runtime.rest.server import Rest, application

__all__ = ["Rest", "application"]
