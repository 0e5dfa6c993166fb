"""How an answer begins: who may, which model, what is answered, one at a time; and saying something once more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from moorage.api import Actor, BadRequest, Conflict, Hub, ToolSet, Unauthorized

from moorage_chat.engine.live import GenerationOptions, Start, Stop
from moorage_chat.engine.peers import STOP_SECONDS, Peers
from moorage_chat.engine.recovery import Recovery
from moorage_chat.engine.running import RunningGenerations
from moorage_chat.engine.toolchoice import ToolChoice
from moorage_chat.limits import Limits
from moorage_chat.providers.registry import Choice, Providers
from moorage_chat.records import Conversation, Generation, GenerationStatus, Message, MessageStatus, Role
from moorage_chat.rights import GENERATE, WRITE
from moorage_chat.store import generations, tree
from moorage_chat.store.conversations import Conversations, locked
from moorage_chat.store.messages import Messages

Begin = Callable[[Start], None]

Also = Callable[[Generation], Awaitable[None]]
"""What is written in the transaction in which a generation begins."""


class _Elsewhere(Exception):
    """The conversation has an answer that does not run here."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation


class Starting:
    """Begins generations. begin: lets one run that has its place in the database."""

    def __init__(
        self,
        hub: Hub,
        *,
        conversations: Conversations,
        messages: Messages,
        providers: Providers,
        limits: Limits,
        tool_choice: ToolChoice,
        running: RunningGenerations,
        peers: Peers,
        recovery: Recovery,
        begin: Begin,
    ) -> None:
        self._hub, self._conversations, self._messages, self._providers = hub, conversations, messages, providers
        self._limits, self._tool_choice = limits, tool_choice
        self._running, self._peers, self._recovery, self._begin = running, peers, recovery, begin
        self.server = ""
        """Where generations run that are begun here."""

    async def start(
        self, actor: Actor, conversation: Conversation, options: GenerationOptions, also: Also | None
    ) -> Generation:
        """See `Engine.start`."""
        self._require(actor, conversation)
        options = _with_settings(options, conversation)
        choice = await self._providers.choose(options.provider_id, options.model, last=_last(conversation))
        self._providers.admit(choice)
        tool_sets = await self._tool_choice.for_answer(actor, conversation, options.tool_sets)
        async with self._running.turn(conversation.id):
            await self._make_room(conversation)
            try:
                return await self._admitted(actor, conversation, choice, options, tool_sets, also)
            except _Elsewhere as other:
                await self._make_room_elsewhere(other.generation)
            try:
                return await self._admitted(actor, conversation, choice, options, tool_sets, also)
            except _Elsewhere as other:
                raise _in_progress(other.generation.id) from None

    async def _admitted(
        self,
        actor: Actor,
        conversation: Conversation,
        choice: Choice,
        options: GenerationOptions,
        tool_sets: list[ToolSet],
        also: Also | None,
    ) -> Generation:
        """Count it, give it its place, and let it run. _Elsewhere when another one has it."""
        admission = await self._limits.admit(actor)
        try:
            async with self._hub.db.transaction():
                answered = await self._answered(conversation)
                for other in await generations.of_conversation(conversation.id, active=True, limit=1):
                    raise _Elsewhere(other)
                generation = await self._reserve(actor, conversation, answered, choice, options)
                if also is not None:
                    await also(generation)
        except BaseException:
            await admission.release()
            raise
        self._begin(Start(generation, conversation, actor, options, answered.id, tool_sets, admission))
        return generation

    async def _answered(self, conversation: Conversation) -> Message:
        """The message that is to be answered. In a transaction, nobody else changes the conversation meanwhile.

        The head; but where that is an answer that broke off, or is about to, what it was to answer.
        """
        row = await locked(conversation.id)
        async for id, role, status in tree.upwards(row.id, row.head_id):
            if role in (Role.USER, Role.TOOL):
                return await tree.find(self._hub, row.id, id)
            if role is not Role.ASSISTANT or status is MessageStatus.COMPLETE:
                break
        raise BadRequest("There is no message to answer: say something first, or retry", code="NO_USER_MESSAGE")

    async def _make_room(self, conversation: Conversation) -> None:
        """One answer at a time: one that somebody watches stays, another is stopped, and its text kept."""
        live = self._running.of_conversation(conversation.id)
        if live is not None:
            if live.watched and live.why is None:
                raise _in_progress(live.id)
            await self._answered(conversation)  # Nothing is stopped for what cannot be.
            live.stop(Stop.CANCELED)
            await live.over(STOP_SECONDS)

    async def _make_room_elsewhere(self, generation: Generation) -> None:
        """The same for one of another server. One whose server says nothing is nobody's any more."""
        with self._peers.asked(generation.id) as kept:
            if not await self._peers.end_of(generation.id, kept):
                if kept.is_set():
                    raise _in_progress(generation.id)
                await self._recovery.end(generation)

    async def _reserve(
        self, actor: Actor, conversation: Conversation, answered: Message, choice: Choice, options: GenerationOptions
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
        await generations.create(generation, self.server, options.stored())
        return generation

    # -- once more ----------------------------------------------------------------------------------------------

    async def plan_retry(self, actor: Actor, conversation: Conversation, options: GenerationOptions) -> Choice | None:
        """See `Engine.plan_retry`."""
        self._require(actor, conversation)
        if options.tool_sets is not None:
            await self._tool_choice.for_answer(actor, conversation, options.tool_sets)
        if options.provider_id is None and options.model is None:
            return None
        return await self._providers.choose(options.provider_id, options.model, last=_last(conversation))

    async def retry(
        self, actor: Actor, conversation: Conversation, options: GenerationOptions, choice: Choice | None
    ) -> Message:
        """See `Engine.retry`."""
        async with self._hub.db.transaction():
            row = await locked(conversation.id)
            last = await self._messages.last_user(replace(conversation, head_id=row.head_id))
            if last is None:
                raise BadRequest("There is no message to answer again: say something first", code="NO_USER_MESSAGE")
            if choice is not None:
                await self._conversations.prefer(conversation.id, choice.provider, choice.model)
            if settings := options.stored():
                await self._conversations.change(actor, conversation.id, settings=settings)
            return await self._messages.append(
                conversation,
                Role.USER,
                last.content,
                parent_id=last.parent_id,
                retry_of=last.retry_of or last.id,
                parts=last.parts,
            )

    def _require(self, actor: Actor, conversation: Conversation) -> None:
        if actor.user is None:
            raise Unauthorized
        self._hub.access.require(actor, GENERATE.name)
        self._hub.access.require(actor, WRITE.name, owner_id=conversation.user_id)


def _with_settings(options: GenerationOptions, conversation: Conversation) -> GenerationOptions:
    """What is not said is as the conversation has it; tools are looked up apart."""
    kept = conversation.settings
    names = [name for name in ("temperature", "top_p", "max_tokens") if getattr(options, name) is None]
    return replace(options, **{name: kept[name] for name in names if isinstance(kept.get(name), int | float)})


def _last(conversation: Conversation) -> Choice | None:
    if conversation.provider is None or conversation.model is None:
        return None
    return Choice(conversation.provider, conversation.model)


def _in_progress(id: str) -> Conflict:
    return Conflict(
        "An answer is being made in this conversation", code="GENERATION_IN_PROGRESS", details={"generation_id": id}
    )
