"""What runs of everybody's over HTTP: sessions, terminals, answers of models. Its plugin ends it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.access import Actor
from moorage.context import current_actor
from moorage.dialects import CHROTE
from moorage.errors import MoorageError, NotFound, Unavailable
from moorage.foreign import objects, sendable
from moorage.hub import HookFailed, Hub
from moorage.pages import Running
from moorage.routes import Route, Routes
from moorage.web import json_response, read_json, read_query

READ = "core:session:read"
BASE = "/api/core/admin/running"
LIST, END = "moorage_running", "moorage_end"
LIST_SECONDS = 2.0
END_SECONDS = 60.0
MOST = 500
"""Of each plugin."""
LONGEST = 300
"""Characters of a text that are given."""
EARLIEST = datetime.min.replace(tzinfo=UTC)


class RunningRow(TypedDict):
    """Something that runs. id: within the plugin and kind. user, user_id: whose; null for what people share.

    href: its page, "" for none. since: ISO 8601, or null. ending: what ending it does; "" if whoever asks may not.
    """

    plugin: str
    kind: str
    id: str
    title: str
    detail: str
    user: str | None
    user_id: str | None
    href: str
    since: str | None
    state: str
    ending: str


class RunningAnswer(TypedDict):
    """GET /api/core/admin/running: the newest first. missing: plugins that failed, or did not answer in time."""

    running: list[RunningRow]
    missing: list[str]


class RunningQuery(BaseModel):
    """user: a name; without it everybody's. plugin: of that one only."""

    user: str | None = Field(None, max_length=255)
    plugin: str | None = Field(None, max_length=64)


class EndBody(BaseModel):
    """What is to end, as it was listed."""

    plugin: str = Field(min_length=1, max_length=64)
    kind: str = Field(min_length=1, max_length=64)
    id: str = Field(min_length=1, max_length=512)


def routes(hub: Hub) -> list[Route]:
    """`/api/core/admin/running`."""
    table = Routes()

    @table.get(BASE, access=READ, query=RunningQuery, answer=RunningAnswer)
    async def running() -> Response:
        """List what runs of everybody's, as far as plugins let one see it. Needs core:session:read:any."""
        actor = _watcher(hub)
        query = read_query(RunningQuery)
        user = await hub.accounts.find_user(query.user) if query.user else None
        if query.user and user is None:
            raise NotFound("There is no such user")
        names = [name for name in hub.hooks.implementers(LIST) if query.plugin in (None, name)]
        answers = await asyncio.gather(*(_asked(hub, actor, name) for name in names))
        found = [
            (name, one)
            for name, told in zip(names, answers, strict=True)
            for one in told or ()
            if user is None or one.user_id == user.id
        ]
        found.sort(key=lambda pair: pair[1].since or EARLIEST, reverse=True)
        await hub.audit.note_read("running", actor=actor)
        answer: RunningAnswer = {
            "running": await _rows(hub, found),
            "missing": [name for name, told in zip(names, answers, strict=True) if told is None],
        }
        return json_response(answer)

    @table.post(BASE + "/end", access=READ, max_body=4096, body=EndBody, timeout=END_SECONDS + 10, status=204)
    async def end() -> Response:
        """End one of them. The plugin says whether one may; 503 when it has not ended in time."""
        actor = _watcher(hub)
        body = await read_json(EndBody)
        if body.plugin not in hub.hooks.implementers(END):
            raise NotFound("That plugin does not run, or has nothing that can be ended")
        failure: MoorageError | None = None
        try:
            await hub.hooks.await_one(END, body.plugin, timeout=END_SECONDS, actor=actor, kind=body.kind, id=body.id)
        except HookFailed as error:
            failure = _told(error)
            hub.log.warning("what runs was not ended", plugin=body.plugin, kind=body.kind, reason=str(error))
        data = {"kind": body.kind, "outcome": "ended" if failure is None else failure.message}
        await hub.audit.write("running.ended", actor=actor, target=f"{body.plugin}:{body.id}"[:255], data=data)
        if failure is not None:
            raise failure
        return Response(b"", 204)

    return list(table)


def _watcher(hub: Hub) -> Actor:
    """Who asks, if they may see what others do."""
    actor = current_actor()
    hub.access.require(actor, READ)
    return actor


def _told(failed: HookFailed) -> MoorageError:
    """A plugin's own error is meant for whoever asked; of any other only that there was one is."""
    cause: BaseException | None = failed
    while cause is not None:
        if isinstance(cause, MoorageError):
            return cause
        cause = cause.__cause__
    if failed.late:
        return Unavailable(f"It was told to end, and has not within {END_SECONDS:g} seconds. Look again in a while")
    return Unavailable(f"The plugin {failed.plugin} could not end it; the server's log says why")


async def _asked(hub: Hub, actor: Actor, plugin: str) -> list[Running] | None:
    try:
        said = await hub.hooks.await_one(LIST, plugin, timeout=LIST_SECONDS, actor=actor, limit=MOST)
        return objects(said, Running, MOST)
    except Exception as error:
        hub.log.warning("a plugin did not say what runs", plugin=plugin, reason=str(error))
        return None


async def _rows(hub: Hub, found: list[tuple[str, Running]]) -> list[RunningRow]:
    owners = await hub.accounts.users.labels({one.user_id for _, one in found if one.user_id is not None})
    rows: list[RunningRow] = []
    for plugin, one in found:
        pid, name = owners.get(one.user_id, (None, None)) if one.user_id is not None else (None, None)
        rows.append(
            {
                "plugin": plugin,
                "kind": sendable(one.kind),
                "id": sendable(one.id),
                "title": sendable(one.title[:LONGEST]),
                "detail": sendable(one.detail[:LONGEST]),
                "user": name,
                "user_id": pid,
                "href": sendable(one.href),
                "since": CHROTE.timestamp(one.since) if one.since is not None else None,
                "state": sendable(one.state[:LONGEST]),
                "ending": sendable(one.ending[:LONGEST]),
            }
        )
    return rows
