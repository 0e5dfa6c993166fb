"""Which tools a model is offered: the sets that plugins give, those that a user chose, and their tools' names."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.api import Actor, BadRequest, Hub, MoorageError, Tool, ToolSet

from moorage_chat.engine.bounded import run_bounded

HOOK = "moorage_chat_tools"
HOOK_SECONDS = 5.0
LIST_SECONDS = 60.0
"""Until a set has said which tools it has: servers may have to be started for that."""
MAX_SETS = 32
"""Sets of one conversation."""
MAX_TOOLS = 128
"""Tools of one request: what OpenAI takes."""
MAX_SCHEMA = 32 * 1024
"""Characters of a tool's JSON Schema; one with a longer one is left out."""
MAX_DESCRIPTION = 8 * 1024
_ID = re.compile(r"[a-z]+:[A-Za-z0-9_-]{1,128}", re.ASCII)
_NAME_CHARACTERS = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool as a model sees it. name: `[A-Za-z0-9_-]{1,64}`, which all providers take."""

    name: str
    set: ToolSet
    tool: Tool

    def spec(self) -> dict[str, Any]:
        """As chat completions have it."""
        parameters = dict(self.tool.parameters)
        parameters.setdefault("type", "object")
        if parameters["type"] == "object":
            parameters.setdefault("properties", {})  # OpenAI refuses an object without.
        description = self.tool.description or self.tool.title or self.tool.name
        function = {"name": self.name, "description": description[:MAX_DESCRIPTION], "parameters": parameters}
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Offer:
    """What an answer may use. away: (set, why) of those that could not say what they have.

    left_out: how many tools were too many.
    """

    tools: Mapping[str, Offered]
    away: Sequence[tuple[ToolSet, str]] = ()
    left_out: int = 0


class Toolbox:
    """Asks the plugins that give tools. One object."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._used = hub.metrics.counter(
            "tool_calls_total",
            "Uses of tools by models: whose tools, and how it ended",
            ["kind", "outcome"],
        )

    async def sets(self, actor: Actor) -> list[ToolSet]:
        """All that the actor may choose from, in the order of plugins."""
        found: dict[str, ToolSet] = {}
        for plugin, given in await self._hub.hooks.gather(HOOK, timeout=HOOK_SECONDS, actor=actor):
            try:
                for one in given or ():
                    if isinstance(one, ToolSet) and _ID.fullmatch(one.id) and one.id not in found:
                        found[one.id] = one
                    else:
                        self._hub.log.warning("a set of tools is left out", plugin=plugin, set=repr(one)[:200])
            except Exception:
                self._hub.log.exception("tools are left out", plugin=plugin)
        return list(found.values())

    async def chosen(self, actor: Actor, ids: Iterable[str], *, strict: bool = True) -> list[ToolSet]:
        """The sets with these ids, in their order. BadRequest (TOOLS_NOT_FOUND) for one that there is not.

        strict=False leaves those out: for a choice that was kept, whose workspace may be gone by now.
        """
        wanted = list(dict.fromkeys(ids))
        if len(wanted) > MAX_SETS:
            raise BadRequest(f"At most {MAX_SETS} sets of tools can be chosen", code="TOO_MANY_TOOLS")
        if not wanted:
            return []
        there = {one.id: one for one in await self.sets(actor)}
        if strict and (missing := [one for one in wanted if one not in there]):
            raise BadRequest(f"There is no set of tools {missing[0][:100]}", code="TOOLS_NOT_FOUND")
        return [there[one] for one in wanted if one in there]

    async def tools(self, one: ToolSet) -> list[Tool]:
        """A set's tools. MoorageError where they cannot be had, TimeoutError."""
        return list(await run_bounded(self._hub.tasks, _tools(one), LIST_SECONDS, f"tools of {one.id}"))

    async def offer(self, sets: Sequence[ToolSet]) -> Offer:
        """What these sets have now. All are asked at once; one that fails is left out and told."""
        return offer(list(zip(sets, await asyncio.gather(*[self._ask(one) for one in sets]), strict=True)))

    def count(self, set_id: str, *, is_error: bool) -> None:
        """A call has ended. set_id: "" where there was no such tool."""
        kind = set_id.partition(":")[0] or "none"
        self._used.labels(kind, "error" if is_error else "ok").inc()

    async def _ask(self, one: ToolSet) -> Sequence[Tool] | str:
        try:
            return await self.tools(one)
        except MoorageError as error:
            return error.message
        except TimeoutError:
            return f"It did not say within {LIST_SECONDS:g} s which tools it has"
        except Exception:
            self._hub.log.exception("a set of tools failed", set=one.id)
            return "It failed"


async def _tools(one: ToolSet) -> Sequence[Tool]:
    return await one.tools()


def offer(found: Sequence[tuple[ToolSet, Sequence[Tool] | str]]) -> Offer:
    """The tools of some sets by names that no two of them have; a str instead of tools says why there are none."""
    usable = [
        (one, tool) for one, tools in found if not isinstance(tools, str) for tool in tools if _small(tool.parameters)
    ]
    away = [(one, tools) for one, tools in found if isinstance(tools, str)]
    own = Counter(_fitting(tool.name) for _, tool in usable)
    offered: dict[str, Offered] = {}
    for one, tool in usable[:MAX_TOOLS]:
        name = _fitting(tool.name)
        if own[name] > 1:  # Two sets of tools of one kind: told apart by what people call them.
            name = _fitting(f"{one.label}_{tool.name}")
        if name in offered:
            name = _fitting(f"{one.id}_{tool.name}", always=True)
        offered[name] = Offered(name, one, tool)
    return Offer(offered, away, left_out=len(usable) - len(offered))


def _fitting(name: str, *, always: bool = False) -> str:
    """A name that providers take: the same for the same text, and with a digest where something had to be changed."""
    made = _NAME_CHARACTERS.sub("_", name)
    if made == name and 0 < len(name) <= _LONGEST_NAME and not always:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:6]
    return f"{made[: _LONGEST_NAME - 7]}_{digest}"


def _small(schema: Mapping[str, Any]) -> bool:
    try:
        return len(json.dumps(schema)) <= MAX_SCHEMA
    except (TypeError, ValueError, RecursionError):
        return False
