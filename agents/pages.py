"""Pages of the enrich worker's web server: `/metrics` and `/pending`."""

from __future__ import annotations

from typing import Any, Final

from agents.metrics import CONTENT_TYPE, exposition
from agents.pending_page import as_html, requests

__all__ = ["add_pages"]

_LIMIT: Final = 100
_MOST: Final = 10_000


def add_pages(app: Any) -> None:
    """Add the pages to an `EnrichApp`."""

    @app.page("/metrics", name="enrich-metrics")  # type: ignore[untyped-decorator]
    async def metrics(view: Any, _request: Any) -> Any:
        """Show figures in Prometheus' text format."""
        return view.bytes(exposition(lambda: app.intake.stages), content_type=CONTENT_TYPE)

    @app.page("/pending", name="enrich-pending")  # type: ignore[untyped-decorator]
    async def pending(view: Any, request: Any) -> Any:
        """Show the requests of this worker, oldest first: HTML for browsers, else JSON; `?limit=` says how many."""
        given = request.query.get("limit", str(_LIMIT))
        if not given.isdigit() or not 0 < int(given) <= _MOST:
            return view.json({"error": f"limit is a number from 1 to {_MOST}, not {given!r}"}, status=400)
        rows = requests(app.intake.stages, int(given))
        if "text/html" in request.headers.get("accept", ""):
            return view.html(as_html(rows))
        return view.json({"requests": rows})
