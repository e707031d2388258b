"""What is known of one route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

__all__ = ["Access", "Handler", "Query", "Route"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Access = Literal["open", "reader", "admin", "worker"]
"""Who may call: everybody, those with a reader's or an admin's credentials, only admins, only other workers."""


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter after the question mark.

    Attributes:
        name: Its name.
        doc: What it does.
        values: What it may be; empty: any text.
        repeated: Whether it may be there more than once.
    """

    name: str
    doc: str
    values: tuple[str, ...] = ()
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path.

    Attributes:
        method: HTTP's.
        path: With names in braces; `{task}` is a number.
        handler: What answers; the first line of its docstring is the summary.
        answers: For each good status what the body is: a type that pydantic knows, or None for no body.
        refusals: Statuses of errors that are this route's own; those of all routes are added.
        body: The pydantic model of the request's body, or None.
        query: Its parameters.
        access: Who may call it.
        leader: Whether the leader carries it out, whichever worker is asked.
        early: Whether it answers before Kafka does.
        content: The content type of the answer.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    answers: Mapping[int, Any]
    refusals: tuple[int, ...] = ()
    body: Any = None
    query: tuple[Query, ...] = ()
    access: Access = "reader"
    leader: bool = False
    early: bool = False
    content: str = field(default="application/json")

    @property
    def summary(self) -> str:
        """The first sentence of what the handler says of itself."""
        return (self.handler.__doc__ or "").strip().split("\n")[0]

    @property
    def pattern(self) -> str:
        """The path as aiohttp reads it; as in Kafka Connect, a slash at the end is left out of account."""
        path = self.path.replace("{task}", r"{task:\d{1,9}}")
        return path if path.endswith("/") else path + "{slash:/?}"
