"""A link with a server of the older era: `initialize`, then requests both ways. Source: MCP 2025-11-25 and before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from moorage_mcp.links.base import Asker, LinkClosed, Listener, ServerInfo
from moorage_mcp.links.calling import Calling
from moorage_mcp.links.exchange import Call, Nobody, SessionLost, Spawn, Transport, answer, hand_on, rank
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import LATEST_LEGACY, LEGACY_VERSIONS, Era
from moorage_mcp.wire.jsonrpc import Message, Notification, Params, Request, RpcError
from moorage_mcp.wire.methods import LIST_CHANGED, UPDATED

SUBSCRIBE_SECONDS = 10.0
RENEW_SECONDS = 30.0


class LegacyTransport(Transport, Protocol):
    """A transport with what the older era alone has. lost: told that the session was lost, between requests."""

    lost: Callable[[], None]

    def begun(self, version: str) -> None:
        """`initialize` has been answered."""
        ...

    def hear(self) -> None:
        """Somebody listens to what belongs to no request: have the server send it, if that takes anything."""
        ...

    def renew(self) -> None:
        """The session was lost: the next request begins another."""
        ...


class LegacyLink(Calling[LegacyTransport]):
    """As `Link`. Begin with `open`.

    identity: what `initialize` says of us: capabilities and clientInfo. alone: it serves one client, which is asked
    whatever the server asks while any of its requests is under way.
    """

    def __init__(
        self,
        transport: LegacyTransport,
        identity: Mapping[str, Any],
        spawn: Spawn,
        *,
        alone: bool = False,
    ) -> None:
        super().__init__(transport, spawn, 1)
        self._identity = identity
        self._alone = alone
        self._listeners: dict[object, tuple[Mapping[str, Any], Listener]] = {}
        self._subscribed: dict[str, int] = {}
        self._level: int | None = None
        self._age = 0
        self._renewing, self._subscribing, self._leveling = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
        transport.strays, transport.lost = self._stray, self._lost

    async def open(self, timeout: float) -> None:
        """`initialize`. LinkClosed, RpcError, TimeoutError."""
        params = {"protocolVersion": LATEST_LEGACY, **self._identity}
        found = await self._exchange("initialize", params, Nobody(), timeout)
        version = found.get("protocolVersion")
        if version not in LEGACY_VERSIONS:
            raise LinkClosed(f"the server speaks {str(version)[:32]!r}, which is no version of MCP that we know")
        capabilities, info = found.get("capabilities"), found.get("serverInfo")
        known = ("protocolVersion", "capabilities", "serverInfo", "instructions")
        self.server = ServerInfo(
            era=Era.LEGACY,
            version=version,
            info=info if isinstance(info, dict) else {},
            capabilities=capabilities if isinstance(capabilities, dict) else {},
            instructions=found["instructions"] if isinstance(found.get("instructions"), str) else None,
            extra={key: value for key, value in found.items() if key not in known},
        )
        self._transport.begun(version)
        async with asyncio.timeout(timeout):
            await self._transport.tell(jsonrpc.notification("notifications/initialized"))
        self._level = None
        if self._alone or self._listeners:
            self._transport.hear()

    # -- requests ------------------------------------------------------------------------------------------------

    async def request(self, method: str, params: Params, asker: Asker, *, timeout: float) -> dict[str, Any]:
        """As `Link`. A session that was lost is begun anew, once."""
        self._check_room()
        await self._set_level(asker.log_level, timeout)
        if self._renewing.locked():
            async with self._renewing:
                pass
        age = self._age
        try:
            return await self._exchange(method, params, asker, timeout)
        except SessionLost:
            pass
        try:
            await self._renew(age, timeout)
            return await self._exchange(method, params, asker, timeout)
        except SessionLost:
            raise LinkClosed("the server forgets its sessions at once") from None

    async def tell(self, method: str, params: Params) -> None:
        """As `Link`."""
        await self._tell(jsonrpc.notification(method, params or None))

    async def _renew(self, age: int, timeout: float) -> None:
        """Begin another session, once however many requests found the last one lost."""
        async with self._renewing:
            if self._age != age:
                return
            self._transport.renew()
            await self.open(timeout)
            self._age += 1
            for uri in self._subscribed:
                try:
                    await self._exchange("resources/subscribe", {"uri": uri}, Nobody(), timeout)
                except RpcError:
                    continue

    def _lost(self) -> None:
        """Who listens must not wait for the next request to hear of changes again."""
        if not self._ended.is_set():
            self._tasks(self._renew_quietly(self._age), "begin a session anew")

    async def _renew_quietly(self, age: int) -> None:
        try:
            await self._renew(age, RENEW_SECONDS)
        except (LinkClosed, RpcError, SessionLost, TimeoutError):
            pass  # The next request tries again, and says so.

    async def _set_level(self, level: str | None, timeout: float) -> None:
        """Log messages as its client wants them; when there are several clients, as who wants the most of them."""
        if level is None or "logging" not in self.server.capabilities:
            return
        if self._level == rank(level) or (not self._alone and self._level is not None and self._level < rank(level)):
            return
        async with self._leveling:
            try:
                await self._exchange("logging/setLevel", {"level": level}, Nobody(), timeout)
            except RpcError:
                pass  # It has its reasons; messages are looked at anyway.
            self._level = rank(level)

    # -- what the server sends -----------------------------------------------------------------------------------

    async def _handle(self, call: Call, message: Message) -> None:
        """What belongs to a request."""
        call.touch()
        if isinstance(message, Request):
            call.ask(message, self._reply, self._tasks)
        elif isinstance(message, Notification):
            if message.method in ("notifications/progress", "notifications/message"):
                await hand_on(call, message)
            elif message.method == "notifications/cancelled":
                call.withdraw(message.params.get("requestId"))
            else:
                self._announce(message)

    def _stray(self, message: Message) -> None:
        """What is not said to belong to a request: it does if there is but one, or all are one client's."""
        call = self._sole()
        if isinstance(message, Request):
            if call is not None and not self._ended.is_set():
                call.ask(message, self._reply, self._tasks)
            else:
                self._tasks(answer(None, message, self._reply), "refuse")
        elif isinstance(message, Notification):
            if message.method == "notifications/cancelled":
                for one in self._calls.values():
                    one.withdraw(message.params.get("requestId"))
            elif message.method == "notifications/message" and call is not None:
                call.put(message)
            else:
                self._announce(message)

    def _sole(self) -> Call | None:
        clients = [call for call in self._calls.values() if not isinstance(call.asker, Nobody)]
        return clients[-1] if clients and (self._alone or len(clients) == 1) else None

    def _announce(self, message: Notification) -> None:
        for wanted, listener in list(self._listeners.values()):
            if message.method == UPDATED:
                if not _covers(wanted.get("resourceSubscriptions"), message.params.get("uri")):
                    continue
            elif (key := LIST_CHANGED.get(message.method)) is not None and not wanted.get(key):
                continue
            listener(message.method, message.params)

    async def _reply(self, message: Mapping[str, Any]) -> None:
        await self._tell(message)

    # -- listening -----------------------------------------------------------------------------------------------

    async def listen(self, wanted: Mapping[str, Any], listener: Listener) -> Callable[[], None]:
        """As `Link`. RpcError when the server refuses a subscription."""
        key = object()
        self._listeners[key] = (wanted, listener)
        self._transport.hear()
        held: list[str] = []

        def end() -> None:
            if self._listeners.pop(key, None) is not None and held and not self._ended.is_set():
                self._tasks(self._unsubscribe(held), "unsubscribe")

        try:
            for uri in dict.fromkeys(wanted.get("resourceSubscriptions") or ()):
                await self._subscribe(uri)
                held.append(uri)
        except BaseException:
            end()
            raise
        return end

    async def _subscribe(self, uri: str) -> None:
        async with self._subscribing:
            if not self._subscribed.get(uri):
                await self._patiently("resources/subscribe", uri)
            self._subscribed[uri] = self._subscribed.get(uri, 0) + 1

    async def _unsubscribe(self, uris: list[str]) -> None:
        for uri in uris:
            async with self._subscribing:
                left = self._subscribed.pop(uri, 1) - 1
                if left > 0:
                    self._subscribed[uri] = left
                    continue
                try:
                    await self._patiently("resources/unsubscribe", uri)
                except (RpcError, LinkClosed, TimeoutError):
                    continue

    async def _patiently(self, method: str, uri: str) -> None:
        await self.request(method, {"uri": uri}, Nobody(), timeout=SUBSCRIBE_SECONDS)


def _covers(subscribed: Any, uri: Any) -> bool:
    """Whether somebody subscribed to a resource, or to one that has it as a part."""
    if not isinstance(uri, str) or not isinstance(subscribed, list | tuple):
        return False
    return any(uri == one or uri.startswith(one.rstrip("/") + "/") for one in subscribed)
