"""Generations whose server is gone: ended as what they are, with the text that was written down until then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from moorage.api import Hub

from moorage_chat.engine.following import ending
from moorage_chat.engine.journal import MAX_UNWRITTEN
from moorage_chat.engine.log import DELTA, REASONING, TOOL_CALL
from moorage_chat.engine.prompt import prompt
from moorage_chat.engine.toolcalls import PART, rounds_of
from moorage_chat.limits import Limits, estimate, estimate_prompt
from moorage_chat.records import Event, Generation, GenerationStatus, MessageStatus
from moorage_chat.store import generations, tree
from moorage_chat.store.messages import Messages

_SAID = frozenset({DELTA, REASONING, TOOL_CALL})
_KEPT = {GenerationStatus.CANCELED: MessageStatus.CANCELED}


class Recovery:
    """Ends what nobody runs any more."""

    def __init__(self, hub: Hub, messages: Messages, limits: Limits) -> None:
        self._hub, self._messages, self._limits = hub, messages, limits

    async def end(self, generation: Generation, status: GenerationStatus = GenerationStatus.INTERRUPTED) -> bool:
        """End one. False when it had ended. If its server should live after all, it keeps its hands off from now on."""
        events = await _all_events(generation.id)
        text = "".join(event.data["delta"] for event in events if event.type == DELTA)
        usage = await self._usage(generation, events, text)
        ended = replace(generation, status=status, usage=usage, ended_at=datetime.now(UTC))
        admission = self._limits.interrupted(generation.user_id, generation.started_at)
        async with self._hub.db.transaction():
            if not await generations.end(ended):
                return False
            if generation.message_id is not None:
                kept = _KEPT.get(status, MessageStatus.PARTIAL)
                parts = _parts(events)
                message = await self._messages.finish(generation.message_id, text, kept, usage=usage, parts=parts)
                if message is None:
                    ended = replace(ended, message_id=None)
                    await generations.unlink(generation.id)
            # Past all that its followers may have been told and nobody wrote: who comes back has not had the end yet.
            last = (events[-1].seq if events else 0) + MAX_UNWRITTEN
            await generations.write(generations.rows(generation.id, ending(ended, last)))
            if usage is None:
                await admission.release()
            else:
                tokens = usage["prompt_tokens"], usage["completion_tokens"]
                await admission.settle(generation.provider, generation.model, *tokens)
        self._hub.log.warning("an answer was broken off", generation=generation.id, status=status.value)
        return True

    async def _usage(self, generation: Generation, events: Sequence[Event], text: str) -> dict[str, Any] | None:
        """About what it has used; nothing while it waited for its first turn."""
        if generation.status is GenerationStatus.QUEUED and not any(event.type in _SAID for event in events):
            return None
        sent = prompt(await tree.path(self._hub, generation.conversation_id, generation.message_id), None, tools=False)
        asked, said = estimate_prompt(sent), estimate(text)
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said, "estimated": True}


async def _all_events(id: str) -> list[Event]:
    found: list[Event] = []
    while some := await generations.read(id, found[-1].seq if found else 0):
        found += some
    return found


def _parts(events: Sequence[Event]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if rounds := rounds_of((event.type, event.data) for event in events):
        parts[PART] = rounds
    if reasoning := "".join(event.data["reasoning"] for event in events if event.type == REASONING):
        parts["reasoning"] = reasoning
    return parts
