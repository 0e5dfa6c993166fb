"""The end of a generation: message, tokens and the last events in one transaction, and only then told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic

from moorage.api import Hub, MoorageError
from tortoise.exceptions import IntegrityError

from moorage_chat.engine.following import ending
from moorage_chat.engine.journal import Journal
from moorage_chat.engine.live import Live
from moorage_chat.providers.base import ErrorCode
from moorage_chat.reasons import reason_of
from moorage_chat.records import Event, Generation, GenerationStatus, MessageStatus
from moorage_chat.store import generations
from moorage_chat.store.messages import Messages

TELL_SECONDS = 30.0
"""Seconds after which followers are told of an end that cannot be stored; it is still tried."""
NOT_STORED = "The answer could not be written down yet."
RETRIES = (0.1, 0.3, 1.0, 3.0)
"""Seconds between two tries; the last again and again."""
MAX_REFUSED = 6
"""Tries that a database which is there may refuse. Then `Recovery` is left to end it, from what was written before."""
LOG_EVERY = 10
"""Tries that share a line in the log."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an answer is not whole, as clients are told. free: nothing was used if nothing had been said."""

    code: str
    message: str
    free: bool = False


class Closing:
    """Ends generations of this server."""

    def __init__(self, hub: Hub, messages: Messages, journal: Journal) -> None:
        self._hub, self._messages, self._journal = hub, messages, journal

    async def close(self, live: Live, status: GenerationStatus, kept: MessageStatus, fault: Fault | None) -> None:
        """Store how it ended, then tell it. A database that is away is tried again until it is back."""
        ended = replace(
            live.generation,
            status=status,
            error_code=None if fault is None else str(fault.code),
            error_message=None if fault is None else fault.message,
            usage=live.answer.usage(),
            ended_at=datetime.now(UTC),
        )
        await self._journal.seal(live.id)
        try:
            # Until it is stored nobody may find that it has ended.
            live.generation = await self._store(live, ended, kept)
        finally:
            self._journal.forget(live.id)

    async def _store(self, live: Live, ended: Generation, kept: MessageStatus) -> Generation:
        """What is stored of it at last; where nothing can be, what is told instead."""
        began, tried, refused = monotonic(), 0, 0
        while True:
            try:
                if tried:
                    # Of an earlier try, the journal's too, it is not known whether it was committed.
                    live.log.wrote((await generations.last_written([live.id]))[live.id])
                async with self._hub.db.transaction():
                    stored, tail = await self._write(live, ended, kept)
            except MoorageError as error:
                reason = reason_of(error)
            except Exception as error:
                reason, refused = reason_of(error), refused + 1
                # Its events may be there already, once. Else something of it cannot be stored: the text shall be.
                live.log.unwritable |= refused > 1 or not isinstance(error, IntegrityError)
            else:
                _tell(live, tail)
                live.log.wrote(live.log.last)
                return stored
            live.admission.undone()
            given_up = refused >= MAX_REFUSED
            if given_up:
                self._hub.log.error("an answer's end is given up", generation=live.id, reason=reason)
            elif not tried % LOG_EVERY:
                self._hub.log.error("an answer's end cannot be written down now", generation=live.id, reason=reason)
            if given_up or monotonic() - began > TELL_SECONDS:
                unstored = _unstored(ended)
                _tell(live, [] if live.log.ended else ending(unstored, live.log.last))
                if given_up:
                    live.admission.drop()
                    return unstored
            await asyncio.sleep(RETRIES[min(tried, len(RETRIES) - 1)])
            tried += 1

    async def _write(self, live: Live, generation: Generation, kept: MessageStatus) -> tuple[Generation, list[Event]]:
        """All of it, in the caller's transaction. As what it is stored, and what is still to be told of that."""
        admission = live.admission
        there = await generations.end(generation)
        if not there and (stored := await generations.find(generation.id)) is not None:
            # Committed by an earlier try that seemed to fail, or ended by another server: counted, too.
            admission.drop()
            return stored, [] if live.log.ended else ending(stored, live.log.last)
        usage = generation.usage
        if usage is None:
            await admission.release()
        else:
            tokens = usage["prompt_tokens"], usage["completion_tokens"]
            await admission.settle(generation.provider, generation.model, *tokens)
        message = None
        if generation.message_id is not None:
            message = await self._messages.finish(
                generation.message_id,
                live.answer.content.text(),
                kept,
                usage=usage,
                parts={} if live.log.unwritable else live.parts(),
                provider=generation.provider,
                model=generation.model,
            )
        if message is None:  # Nothing had been said, or the conversation is gone.
            generation = replace(generation, message_id=None)
            await generations.unlink(generation.id)
        tail = [] if live.log.ended else ending(generation, live.log.last)
        if live.log.unwritable:
            # With a gap they would tell half of the text: without them it is told from the message.
            await generations.forget_events([generation.id])
        elif there:
            await generations.write(generations.rows(live.id, [*live.log.unwritten(), *tail]))
        return generation, tail


def _unstored(ended: Generation) -> Generation:
    """What is told of an end that cannot be stored."""
    return replace(
        ended,
        message_id=None,
        status=GenerationStatus.ERROR,
        error_code=ErrorCode.ERROR.value,
        error_message=NOT_STORED,
    )


def _tell(live: Live, events: list[Event]) -> None:
    for event in events:
        live.log.add(event.type, event.data)
