"""A request under way, and what carries it to a server and brings back what belongs to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from moorage_mcp.links.base import Asker, LinkClosed, Need, refusal
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import PROGRESS_TOKEN
from moorage_mcp.wire.jsonrpc import METHOD_NOT_FOUND, Id, Message, Notification, Params, Request, RpcError
from moorage_mcp.wire.methods import QUESTIONS

MAX_WAITING = 256
"""Notifications of one request that wait for its client; more are dropped, and the request goes on."""
MAX_ASKS = 16
"""Questions of a server that one request may have open at once."""
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]
Handle = Callable[[Message], Coroutine[Any, Any, None]]
Strays = Callable[[Message], None]
"""Told what belongs to no request. Must not block."""
Reply = Callable[[Mapping[str, Any]], Coroutine[Any, Any, None]]


class Call:
    """A request under way. `handle` takes what the server sends before its answer; `put` and `next` are a queue."""

    __slots__ = (
        *("_arrived", "_asks", "_clock", "_failure", "_held", "_seconds", "_waiting"),
        *("asker", "dropped", "id", "token"),
    )

    def __init__(self, id: int, asker: Asker, token: Id | None, seconds: float) -> None:
        self.id, self.asker, self.token = id, asker, token
        self.dropped: Callable[[], None] = _nothing
        self._seconds = seconds
        self._clock: asyncio.Timeout | None = None
        self._held = 0
        self._waiting: deque[Message] = deque()
        self._arrived: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._asks: dict[Id, asyncio.Task[None]] = {}

    # -- time ---------------------------------------------------------------------------------------------------

    def begin(self) -> asyncio.Timeout:
        """The context in which it runs: TimeoutError once nothing has come for too long."""
        self._clock = asyncio.timeout(self._seconds)
        return self._clock

    def touch(self) -> None:
        """The server has shown a sign of life."""
        if self._clock is not None and not self._held and not self._clock.expired():
            self._clock.reschedule(asyncio.get_running_loop().time() + self._seconds)

    def hold(self) -> None:
        """It is the client's turn: the server's time stands still."""
        self._held += 1
        if self._clock is not None and not self._clock.expired():
            self._clock.reschedule(None)

    def release(self) -> None:
        """It goes on."""
        self._held -= 1
        self.touch()

    # -- a queue, for transports on which all requests share one stream ------------------------------------------

    def put(self, message: Message) -> None:
        """Queue what belongs to it. A notification is dropped when the client does not keep up; `dropped` is told."""
        if isinstance(message, Notification) and len(self._waiting) >= MAX_WAITING:
            self.dropped()
            return
        self._waiting.append(message)
        self._wake()

    def fail(self, error: BaseException) -> None:
        """`next` raises it, once what came before has been taken."""
        self._failure = self._failure or error
        self._wake()

    async def next(self) -> Message:
        """What came next."""
        while not self._waiting:
            if self._failure is not None:
                raise self._failure
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        return self._waiting.popleft()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    # -- what the server asks ------------------------------------------------------------------------------------

    def ask(self, asked: Request, reply: Reply, spawn: Spawn) -> None:
        """Have its client answer the server's question, in the background; `reply` sends the answer."""
        if len(self._asks) >= MAX_ASKS or asked.id in self._asks:
            spawn(reply(jsonrpc.error(asked.id, refusal("too_many", "The server asks too much at once"))), "refuse")
            return
        self.hold()
        task = self._asks[asked.id] = spawn(answer(self.asker, asked, reply), "ask the client")
        task.add_done_callback(lambda _: self._asked(asked.id))

    def withdraw(self, id: Any) -> None:
        """The server does not want to know any more."""
        if isinstance(id, str | int) and (task := self._asks.get(id)) is not None:
            task.cancel()

    def end(self) -> None:
        """It is over: nobody is asked anything more, and no clock runs."""
        self._clock = None
        for task in list(self._asks.values()):
            task.cancel()

    def _asked(self, id: Id) -> None:
        self._asks.pop(id, None)
        self.release()


def _nothing() -> None:
    """For who need not be told."""


class SessionLost(Exception):
    """The server does not know the session any more; nothing of the request was carried out."""


class Transport(Protocol):
    """Carries JSON-RPC to a server and back.

    cancels: whether a request whose `exchange` is cancelled is so for the server too. closed: set once it has ended;
    why: for what reason. strays: told what belongs to no request, as far as it knows.
    """

    cancels: bool
    closed: asyncio.Event
    why: str
    strays: Strays

    async def exchange(self, call: Call, message: Mapping[str, Any], handle: Handle) -> jsonrpc.Response:
        """Send a request, hand what belongs to it to `handle`, return its answer. LinkClosed.

        Cancelled: nothing more of it is read.
        """
        ...

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Send what wants no answer. LinkClosed."""
        ...

    async def close(self) -> None:
        """End it. Safe to repeat."""
        ...


class Nobody:
    """Who asks what we ask for ourselves."""

    capabilities: Mapping[str, Any] = {}
    client_info: Mapping[str, Any] = {}
    log_level: str | None = None
    keeps_state = False

    async def notify(self, method: str, params: Params) -> None:
        """Nobody hears it."""

    async def ask(self, needs: Mapping[str, Need]) -> Mapping[str, Params]:
        """Nobody answers."""
        raise refusal("no_client", "No client is there that could be asked")


async def answer(asker: Asker | None, asked: Request, reply: Reply) -> None:
    """Answer what a server asks: by its client, if there is one that can."""
    try:
        found = jsonrpc.result(asked.id, await _answered(asker, asked))
    except RpcError as error:
        found = jsonrpc.error(asked.id, error)
    except TimeoutError:
        found = jsonrpc.error(asked.id, refusal("no_answer", "The client did not answer in time"))
    try:
        await reply(found)
    except LinkClosed:
        pass  # Whoever waits for the server's answer is told so.


async def _answered(asker: Asker | None, asked: Request) -> Mapping[str, Any]:
    if asked.method == "ping":
        return {}
    capability = QUESTIONS.get(asked.method)
    if capability is None:
        raise refusal("unknown_method", f"Method not found: {asked.method}", METHOD_NOT_FOUND)
    if asker is None:
        raise refusal("no_client", f"{asked.method}: no client is there that could be asked")
    if capability not in asker.capabilities:
        raise refusal("no_capability", f"{asked.method}: the client cannot do this", METHOD_NOT_FOUND)
    return (await asker.ask({"ask": Need(asked.method, asked.params)}))["ask"]


def own_token(params: Params, id: int) -> tuple[Params, Id | None]:
    """The params with the request's own id in the place of the client's progress token, and the client's token."""
    meta = params.get("_meta")
    token = meta.get(PROGRESS_TOKEN) if isinstance(meta, dict) else None
    if not isinstance(meta, dict) or token is None:
        return params, None
    return {**params, "_meta": {**meta, PROGRESS_TOKEN: id}}, token


async def hand_on(call: Call, message: Notification) -> None:
    """Give its client what belongs to a request: progress with the client's own token, and log messages it wants."""
    params = message.params
    if message.method == "notifications/progress":
        if call.token is None:
            return
        params = {**params, PROGRESS_TOKEN: call.token}
    elif message.method == "notifications/message" and not grave_enough(params.get("level"), call.asker.log_level):
        return
    await call.asker.notify(message.method, params)


def rank(level: Any) -> int:
    """How grave a log level is; an unknown one is as debug."""
    return LEVELS.index(level) if level in LEVELS else 0


def grave_enough(level: Any, least: str | None) -> bool:
    """Whether a log message is grave enough. least: None wants what the server chose to send."""
    return least is None or rank(level) >= rank(least)
