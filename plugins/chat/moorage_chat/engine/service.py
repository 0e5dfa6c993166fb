"""Generations: started, found, followed and cancelled from anywhere, and looked after until they are over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from time import monotonic
from uuid import UUID, uuid4

from moorage.api import Actor, BadRequest, Conflict, Hub, NotFound, Unauthorized, Unavailable

from moorage_chat.config import ChatConfig
from moorage_chat.engine.closing import Closing
from moorage_chat.engine.course import Course
from moorage_chat.engine.following import Follower, LocalFollower, StoredFollower
from moorage_chat.engine.journal import Journal
from moorage_chat.engine.live import FIRST_WATCHER, Live, Stop, Wish
from moorage_chat.engine.others import Others
from moorage_chat.engine.recovery import Recovery
from moorage_chat.engine.running import Running
from moorage_chat.engine.titles import Titles
from moorage_chat.engine.toolbox import Toolbox
from moorage_chat.engine.toolchoice import ToolChoice
from moorage_chat.engine.upkeep import Upkeep
from moorage_chat.figures import CONVERSATION, Figures
from moorage_chat.limits import Limits
from moorage_chat.providers.registry import Choice, Providers
from moorage_chat.records import Conversation, Generation, GenerationStatus, Message, MessageStatus, Role, Space
from moorage_chat.rights import GENERATE, VIEW, WRITE
from moorage_chat.store import generations, tree
from moorage_chat.store.conversations import Conversations, locked
from moorage_chat.store.messages import Messages

__all__ = ["Engine", "Wish"]
STOP_SECONDS = 5.0
"""Seconds that are waited for a generation that was told to stop."""
TELL_SECONDS = 1.0
"""Seconds in which those who follow have heard of the end of the server."""
LOOK_EVERY = 0.1
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
        self._conversations, self._messages, self._providers = conversations, messages, providers
        self._limits, self._tool_choice = limits, tool_choice
        self.running = Running()
        self._journal = Journal(hub)
        self._figures = Figures(hub)
        closing = Closing(hub, messages, self._journal)
        self._course = Course(hub, config, messages, providers, toolbox, closing, self._figures)
        self._titles = Titles(hub, config, conversations, providers, limits)
        self._recovery = Recovery(hub, messages, limits)
        self._others = Others(hub, self.running)
        self._server = ""
        self._upkeep: Upkeep | None = None
        self._ending = False
        conversations.on_delete(self._deleted)

    async def start_up(self) -> None:
        """In the plugin's start: end what a crash left, and begin to listen."""
        # Of this engine alone: while a reload replaces the plugin, there are two of them on the server.
        self._server = self._hub.server_id() + token_hex(4)
        self._journal.start()
        self._others.start()
        self._upkeep = Upkeep(self._hub, self._config, self.running, self._recovery, self._server)
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

    async def start(self, actor: Actor, conversation: Conversation, wish: Wish) -> Generation:
        """Let a model answer the head of the branch that is shown. It goes on whatever becomes of who asked.

        Await it by `leash.through`: who leaves in this moment must not leave half of it. What is not wished is as the
        conversation has it. Errors: Unauthorized, Forbidden; BadRequest (PROVIDER_NOT_FOUND, MODEL_NOT_FOUND,
        TOOLS_NOT_FOUND, NO_USER_MESSAGE), NotFound (CONVERSATION_NOT_FOUND), Conflict (GENERATION_IN_PROGRESS with
        details {"generation_id"}; CONVERSATION_FULL), TooManyRequests (RATE_LIMITED, QUOTA_EXCEEDED), Unavailable.
        """
        self._require(actor, conversation)
        if self._ending:
            raise Unavailable("Server shutting down", headers={"Retry-After": "5"})
        wish = _with_settings(wish, conversation)
        choice = await self._providers.choose(wish.provider_id, wish.model, last=_last(conversation))
        self._providers.admit(choice)
        tool_sets = await self._tool_choice.for_answer(actor, conversation, wish.tool_sets)
        await self._answered(conversation)
        async with self.running.turn(conversation.id):
            await self._make_room(conversation)
            admission = await self._limits.admit(actor)
            try:
                async with self._hub.db.transaction():
                    answered = await self._answered(conversation)
                    await self._refuse_second(conversation)
                    generation = await self._reserve(actor, conversation, answered, choice, wish)
            except BaseException:
                admission.undone()
                await admission.release()
                raise
            live = Live(
                generation, conversation, actor, wish, answered.id, tool_sets, admission, self._journal.note, self._left
            )
            self.running.add(live)
            self._hub.tasks.spawn(self._run(live), f"generation {live.id}")
        asyncio.get_running_loop().call_later(FIRST_WATCHER + 0.1, live.look)
        return generation

    async def _answered(self, conversation: Conversation) -> Message:
        """The message that is to be answered. In a transaction, nobody else changes the conversation meanwhile.

        The head; but where that is an answer that broke off, or is about to, what it was to answer.
        """
        row = await locked(conversation.id)
        at = row.head_id
        while at is not None:
            message = await tree.find(self._hub, row.id, at)
            if message.role is not Role.ASSISTANT or message.status is MessageStatus.COMPLETE:
                if message.role in (Role.USER, Role.TOOL):
                    return message
                break
            at = message.parent_id
        raise BadRequest("There is no message of the user to answer", code="NO_USER_MESSAGE")

    async def _make_room(self, conversation: Conversation) -> None:
        """One answer at a time: one that somebody watches stays, another is stopped, and its text kept."""
        live = self.running.of_conversation(conversation.id)
        if live is not None:
            if live.watched and live.why is None:
                raise _in_progress(live.id)
            live.stop(Stop.CANCELED)
            await _wait([live.ended], STOP_SECONDS)
            return
        for generation in await generations.of_conversation(conversation.id, active=True, limit=1):
            with self._others.asked(generation.id) as kept:
                if await self._ends(generation.id, kept):
                    continue
                if kept.is_set():
                    raise _in_progress(generation.id)
                await self._recovery.end(generation)

    async def _refuse_second(self, conversation: Conversation) -> None:
        for generation in await generations.of_conversation(conversation.id, active=True, limit=1):
            raise _in_progress(generation.id)

    async def _reserve(
        self, actor: Actor, conversation: Conversation, answered: Message, choice: Choice, wish: Wish
    ) -> Generation:
        assert actor.user is not None
        id = str(uuid4())
        message = await self._messages.reserve(conversation, answered.id, id, choice.provider, choice.model)
        generation = Generation(
            id=id,
            conversation_id=conversation.id,
            user_id=actor.user.id,
            message_id=message.id,
            provider=choice.provider,
            model=choice.model,
            status=GenerationStatus.RUNNING,
            started_at=datetime.now(UTC),
        )
        await generations.create(generation, self._server, wish.stored())
        return generation

    async def _run(self, live: Live) -> None:
        self._figures.began(CONVERSATION)
        try:
            await self._course.run(live)
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
        watcher = self._others.watcher(generation_id)
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
            await _wait([live.ended], STOP_SECONDS)
            return
        self._others.stop(generation_id)
        if not await self._ends(generation_id):
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

    async def plan_retry(self, actor: Actor, conversation: Conversation, wish: Wish) -> Choice | None:
        """See to it that what is wished for a retry can be, before anything is written. Errors as of `start`."""
        self._require(actor, conversation)
        if wish.tool_sets is not None:
            await self._tool_choice.for_answer(actor, conversation, wish.tool_sets)
        if wish.provider_id is None and wish.model is None:
            return None
        return await self._providers.choose(wish.provider_id, wish.model, last=_last(conversation))

    async def retry(self, actor: Actor, conversation: Conversation, wish: Wish, choice: Choice | None) -> Message:
        """Append a copy of the last message of the user, beside it; what is wished holds for the next answer.

        choice: of `plan_retry`. BadRequest (NO_USER_MESSAGE).
        """
        async with self._hub.db.transaction():
            last = await self._messages.last_user(conversation)
            if last is None:
                raise BadRequest("There is no message of the user to answer again", code="NO_USER_MESSAGE")
            if choice is not None:
                await self._conversations.prefer(conversation.id, choice.provider, choice.model)
            if settings := wish.stored():
                await self._conversations.change(actor, conversation.id, settings=settings)
            return await self._messages.append(
                conversation,
                Role.USER,
                last.content,
                parent_id=last.parent_id,
                retry_of=last.retry_of or last.id,
                parts=last.parts,
            )

    # -- how ----------------------------------------------------------------------------------------------------

    def _require(self, actor: Actor, conversation: Conversation) -> None:
        if actor.user is None:
            raise Unauthorized
        self._hub.access.require(actor, GENERATE.name)
        self._hub.access.require(actor, WRITE.name, owner_id=conversation.user_id)

    async def _ends(self, generation_id: str, kept: asyncio.Event | None = None) -> bool:
        """Wait for the end of one of another server; False when it does not come, or its server says that it goes on.

        A server that says nothing is gone.
        """
        for _ in range(int(STOP_SECONDS / LOOK_EVERY)):
            if await generations.server_of(generation_id) is None:
                return True
            if kept is not None and kept.is_set():
                return False
            await asyncio.sleep(LOOK_EVERY)
        return False

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
            await _wait([live.ended], STOP_SECONDS)
        else:
            for generation in await generations.of_conversation(conversation_id, active=True, limit=1):
                self._others.stop(generation.id)
                await self._ends(generation.id)
        self.running.forget(conversation_id)


def _stop_unwatched(live: Live) -> None:
    if not live.watched:
        live.stop(Stop.CANCELED)


def _with_settings(wish: Wish, conversation: Conversation) -> Wish:
    """What is not wished is as the conversation has it; tools are looked up apart."""
    kept = conversation.settings
    names = [name for name in ("temperature", "top_p", "max_tokens") if getattr(wish, name) is None]
    return replace(wish, **{name: kept[name] for name in names if isinstance(kept.get(name), int | float)})


def _last(conversation: Conversation) -> Choice | None:
    if conversation.provider is None or conversation.model is None:
        return None
    return Choice(conversation.provider, conversation.model)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _gone() -> NotFound:
    return NotFound("Generation not found", code="GENERATION_NOT_FOUND")


def _in_progress(id: str) -> Conflict:
    return Conflict(
        "An answer is being made in this conversation", code="GENERATION_IN_PROGRESS", details={"generation_id": id}
    )


async def _wait(events: Iterable[asyncio.Event], timeout: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            for event in events:
                await event.wait()
