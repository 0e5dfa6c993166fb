"""The plugin's routes: each says who may ask, reads its input, makes one call and answers."""

from __future__ import annotations

from importlib.resources import files

from moorage.api import PUBLIC, NotFound, Route, Routes, current_actor, json_response, read_json, read_query
from pydantic import BaseModel, ConfigDict, Field
from quart import Response
from typing_extensions import TypedDict

from moorage_hello.config import CREATE, DELETE, READ
from moorage_hello.greetings import Greetings, Kept, view

MAX_ID = 2**31 - 1
PAGE = files("moorage_hello").joinpath("pages/greetings.js").read_bytes()


class Name(BaseModel):
    """`?name=`."""

    name: str = Field("world", min_length=1, max_length=100)


class Before(BaseModel):
    """`?before=&limit=`."""

    before: int | None = Field(None, ge=1, le=MAX_ID)
    limit: int = Field(50, ge=1, le=200)


class NewGreeting(BaseModel):
    """The body of a new greeting. NUL is refused because PostgreSQL has no such character."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]+$")


class Page(TypedDict):
    """Kept greetings, newest first."""

    greetings: list[Kept]


def routes(greetings: Greetings) -> list[Route]:
    """All routes, over one service."""
    table = Routes()

    @table.get("/api/hello", access=PUBLIC, query=Name, answer=dict[str, str])
    async def greet() -> Response:
        """Greet somebody."""
        return json_response({"greeting": greetings.greet(read_query(Name).name)})

    @table.get("/hello/greetings.js", access=PUBLIC, media_type="text/javascript")
    async def script() -> Response:
        """Give the page's module. It is code, and says nothing of anybody."""
        return Response(PAGE, content_type="text/javascript; charset=utf-8", headers={"Cache-Control": "no-cache"})

    @table.get("/api/hello/greetings", access=READ.name, query=Before, answer=Page)
    async def page() -> Response:
        """List kept greetings, newest first."""
        query = read_query(Before)
        found = await greetings.page(current_actor(), before=query.before, limit=query.limit)
        return json_response({"greetings": [view(greeting) for greeting in found]})

    @table.post(
        "/api/hello/greetings", access=CREATE.name, max_body=64 * 1024, body=NewGreeting, answer=Kept, status=201
    )
    async def keep() -> Response:
        """Keep a greeting.

        Of one user, as many as the configuration allows.
        """
        body = await read_json(NewGreeting)
        return json_response(view(await greetings.keep(current_actor(), body.text)), 201)

    @table.delete("/api/hello/greetings/{greeting_id}", access=DELETE.name, status=204)
    async def forget(greeting_id: str) -> Response:
        """Delete a greeting."""
        await greetings.forget(current_actor(), number(greeting_id))
        return Response(status=204)

    table.socket("/ws/hello", access=READ.name, max_frame=4096)(greetings.listen)
    return list(table)


def number(text: str) -> int:
    """An id from a path. NotFound for what cannot be one: path parameters are text that anybody wrote."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_ID):
        raise NotFound("There is no such greeting")
    return int(text)
