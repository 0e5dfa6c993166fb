"""Generations: started, found, followed and cancelled from anywhere, and looked after until they are over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from secrets import token_hex
from time import monotonic
from uuid import UUID

from moorage.api import Actor, Hub, NotFound, Unavailable

from moorage_chat.config import ChatConfig
from moorage_chat.engine.closing import Closing
from moorage_chat.engine.following import Follower, LocalFollower, StoredFollower
from moorage_chat.engine.journal import Journal
from moorage_chat.engine.live import FIRST_WATCHER, GenerationOptions, Live, Start, Stop
from moorage_chat.engine.peers import STOP_SECONDS, Peers
from moorage_chat.engine.recovery import Recovery
from moorage_chat.engine.runner import Runner
from moorage_chat.engine.running import RunningGenerations
from moorage_chat.engine.starting import Also, Starting
from moorage_chat.engine.titles import Titles
from moorage_chat.engine.toolbox import Toolbox
from moorage_chat.engine.toolchoice import ToolChoice
from moorage_chat.engine.upkeep import Upkeep
from moorage_chat.figures import CONVERSATION, Figures
from moorage_chat.limits import Limits
from moorage_chat.providers.registry import Choice, Providers
from moorage_chat.records import Conversation, Generation, GenerationStatus, Message, Space
from moorage_chat.rights import VIEW, WRITE
from moorage_chat.store import generations
from moorage_chat.store.conversations import Conversations
from moorage_chat.store.messages import Messages

__all__ = ["Engine", "GenerationOptions"]
TELL_SECONDS = 1.0
"""Seconds in which those who follow have heard of the end of the server."""
MAX_LISTED = 100


class Engine:
    """All generations. One object; used from the event loop."""

    def __init__(
        self,
        hub: Hub,
        config: ChatConfig,
        *,
        conversations: Conversations,
        messages: Messages,
        providers: Providers,
        limits: Limits,
        toolbox: Toolbox,
        tool_choice: ToolChoice,
    ) -> None:
        self._hub, self._config = hub, config
        self._conversations = conversations
        self.running = RunningGenerations()
        self._journal = Journal(hub)
        self._figures = Figures(hub)
        closing = Closing(hub, messages, self._journal)
        self._runner = Runner(hub, config, messages, providers, toolbox, closing, self._figures)
        self._titles = Titles(hub, config, conversations, providers, limits)
        self._recovery = Recovery(hub, messages, limits)
        self._peers = Peers(hub, self.running)
        self._starting = Starting(
            hub,
            conversations=conversations,
            messages=messages,
            providers=providers,
            limits=limits,
            tool_choice=tool_choice,
            running=self.running,
            peers=self._peers,
            recovery=self._recovery,
            begin=self._begin,
        )
        self._upkeep: Upkeep | None = None
        self._ending = False
        conversations.on_delete(self._deleted)

    async def start_up(self) -> None:
        """In the plugin's start: end what a crash left, and begin to listen."""
        # Of this engine alone: while a reload replaces the plugin, there are two of them on the server.
        server = self._starting.server = self._hub.server_id() + token_hex(4)
        self._journal.start()
        self._peers.start()
        self._upkeep = Upkeep(self._hub, self._config, self.running, self._recovery, server)
        await self._upkeep.start()

    async def drain(self) -> None:
        """The plugin ends: nothing new begins, and what runs is stored as interrupted and told so."""
        self._ending = True
        lives = list(self.running)
        for live in lives:
            live.stop(Stop.ENDING)
        await _wait([live.ended for live in lives], STOP_SECONDS)
        # Their streams are cut right after this: until then they have had the end.
        await _wait([live.alone for live in lives], TELL_SECONDS)

    def close(self) -> None:
        """All is over."""
        if self._upkeep is not None:
            self._upkeep.close()

    # -- starting -----------------------------------------------------------------------------------------------

    async def start(
        self,
        actor: Actor,
        conversation: Conversation,
        options: GenerationOptions,
        *,
        also: Also | None = None,
    ) -> Generation:
        """Let a model answer the head of the branch that is shown. It goes on whatever becomes of who asked.

        Await it by `bounded.run_to_end`: who leaves in this moment must not leave half of it. What is not said is
        as the conversation has it. also: writes more in the transaction that makes it, and not if there is none.

        Errors: Unauthorized, Forbidden; BadRequest (PROVIDER_NOT_FOUND, MODEL_NOT_FOUND,
        TOOLS_NOT_FOUND, NO_USER_MESSAGE), NotFound (CONVERSATION_NOT_FOUND), Conflict (GENERATION_IN_PROGRESS with
        details {"generation_id"}; CONVERSATION_FULL), TooManyRequests (RATE_LIMITED, QUOTA_EXCEEDED), Unavailable.
        """
        if self._ending:
            raise Unavailable("Server shutting down", headers={"Retry-After": "5"})
        return await self._starting.start(actor, conversation, options, also)

    def _begin(self, start: Start) -> None:
        """It is reserved, so it runs."""
        live = Live(start, self._journal.note, self._left)
        self.running.add(live)
        self._hub.tasks.spawn(self._run(live), f"generation {live.id}")
        asyncio.get_running_loop().call_later(FIRST_WATCHER + 0.1, live.look)

    async def _run(self, live: Live) -> None:
        self._figures.began(CONVERSATION)
        try:
            await self._runner.run(live)
            self._titles.think(live)
        finally:
            self.running.over(live)
            live.ended.set()
            self._count(live)

    def _count(self, live: Live) -> None:
        found = live.generation
        used = found.usage or {"prompt_tokens": 0, "completion_tokens": 0}
        self._figures.ended(
            CONVERSATION,
            found.provider,
            found.status.value,
            monotonic() - live.begun,
            error=found.error_code or "",
            tokens=(used["prompt_tokens"], used["completion_tokens"]),
        )

    # -- finding, following, stopping ---------------------------------------------------------------------------

    async def find(self, actor: Actor, generation_id: str, *, space: Space | None = None) -> Generation:
        """A generation of a conversation that the actor may see. space: as of `Conversations.get`.

        NotFound (GENERATION_NOT_FOUND).
        """
        live = self.running.find(generation_id)
        if live is not None:
            found: Generation | None = live.generation
        else:
            found = await generations.find(generation_id) if _is_uuid(generation_id) else None
        if found is None:
            raise _gone()
        try:
            await self._conversations.get(actor, found.conversation_id, VIEW, space=space)
        except NotFound:
            raise _gone() from None
        return found

    @asynccontextmanager
    async def follow(self, generation_id: str, after: int = 0) -> AsyncIterator[Follower]:
        """Its events after that number: those that there are, then those that come; ends after `done`.

        Whoever follows it watches it. Rights are checked by `find`.
        """
        live = self.running.known(generation_id)
        if live is not None:
            live.watch()
            try:
                yield LocalFollower(live, after)
            finally:
                live.unwatch()
            return
        watcher = self._peers.watcher(generation_id)
        try:
            yield StoredFollower(generation_id, after, watcher.here)
        finally:
            watcher.left()

    async def told_all(self, generation_id: str, after: int) -> bool:
        """Whether that number is `done`'s: there is nothing more to follow."""
        live = self.running.known(generation_id)
        if live is not None:
            return live.log.ended and after >= live.log.last
        if await generations.server_of(generation_id) is not None:
            return False
        last = (await generations.last_written([generation_id]))[generation_id]
        return 0 < last <= after

    async def cancel(self, actor: Actor, generation_id: str, *, space: Space | None = None) -> None:
        """Stop it, and keep its text. Once more while it stops changes nothing. NotFound when it is over."""
        generation = await self.find(actor, generation_id, space=space)
        if not self._hub.access.can(actor, WRITE.name, owner_id=generation.user_id) or not generation.status.active:
            raise _gone()
        live = self.running.find(generation_id)
        if live is not None:
            live.stop(Stop.CANCELED)
            await live.over(STOP_SECONDS)
            return
        self._peers.stop(generation_id)
        if not await self._peers.end_of(generation_id):
            # Its server does not answer. Whoever asks is to have an end; if it lives, it learns of it at its own.
            await self._recovery.end(generation, GenerationStatus.CANCELED)

    async def active(self, conversation_id: int) -> Generation | None:
        """The one that is being made for a conversation."""
        live = self.running.of_conversation(conversation_id)
        if live is not None:
            return live.generation
        found = await generations.of_conversation(conversation_id, active=True, limit=1)
        return found[0] if found else None

    async def listed(self, conversation: Conversation, *, active: bool) -> list[Generation]:
        """Those of a conversation that `Conversations.get` gave, the newest first; active: only what is not over."""
        return await generations.of_conversation(conversation.id, active=active, limit=MAX_LISTED)

    async def plan_retry(self, actor: Actor, conversation: Conversation, options: GenerationOptions) -> Choice | None:
        """See to it that what a retry asks for can be, before anything is written. Errors as of `start`."""
        return await self._starting.plan_retry(actor, conversation, options)

    async def retry(
        self, actor: Actor, conversation: Conversation, options: GenerationOptions, choice: Choice | None
    ) -> Message:
        """Append a copy of the last message of the user, beside it; the options hold for the next answer.

        choice: of `plan_retry`. BadRequest (NO_USER_MESSAGE).
        """
        return await self._starting.retry(actor, conversation, options, choice)

    # -- how ----------------------------------------------------------------------------------------------------

    def _left(self, live: Live) -> None:
        """Nobody watches it any more: the settings say what then."""
        how = self._config.on_disconnect
        if how == "cancel":
            live.stop(Stop.CANCELED)
        elif how.startswith("grace:"):
            asyncio.get_running_loop().call_later(float(how.removeprefix("grace:")), _stop_unwatched, live)

    async def _deleted(self, conversation_id: int) -> None:
        """Its conversation goes: so does it, and that is waited for, so that nothing is written after."""
        live = self.running.of_conversation(conversation_id)
        if live is not None:
            live.stop(Stop.CANCELED)
            await live.over(STOP_SECONDS)
        else:
            for generation in await generations.of_conversation(conversation_id, active=True, limit=1):
                self._peers.stop(generation.id)
                await self._peers.end_of(generation.id)
        self.running.forget(conversation_id)


def _stop_unwatched(live: Live) -> None:
    if not live.watched:
        live.stop(Stop.CANCELED)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _gone() -> NotFound:
    return NotFound("Generation not found", code="GENERATION_NOT_FOUND")


async def _wait(events: Iterable[asyncio.Event], timeout: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            for event in events:
                await event.wait()
