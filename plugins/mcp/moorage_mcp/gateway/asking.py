"""A client as a server's era sees it: what the server tells and asks on the way, in the client's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage_mcp.gateway import translate
from moorage_mcp.gateway.caller import refused
from moorage_mcp.links import exchange
from moorage_mcp.links.base import Asker, Need
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import Params


class Bridged:
    """An `Asker` for a link of one era before a client of maybe the other."""

    def __init__(self, asker: Asker, *, client: Era, server: Era) -> None:
        self._asker, self._client, self._server = asker, client, server
        self.capabilities: Mapping[str, Any] = translate.client_capabilities(asker.capabilities)
        self.client_info: Mapping[str, Any] = asker.client_info
        self.log_level: str | None = asker.log_level
        self.keeps_state: bool = asker.keeps_state and server is Era.MODERN
        self._silent = client is Era.MODERN and asker.log_level is None

    async def notify(self, method: str, params: Params) -> None:
        """Tell the client, if its era has words for it and it wants to know."""
        if method == "notifications/message" and self._silent:
            return
        told = translate.notification(method, params, server=self._server, client=self._client)
        if told is not None:
            await self._asker.notify(*told)

    async def ask(self, needs: Mapping[str, Need]) -> Mapping[str, Params]:
        """Ask the client."""
        server, client = self._server, self._client
        wanted = {key: translate.need(need, server=server, client=client) for key, need in needs.items()}
        try:
            answers = await self._asker.ask(wanted)
        except TimeoutError:
            raise refused(jsonrpc.INTERNAL_ERROR, "no_answer", "The client did not answer in time") from None
        return {key: translate.answer(value, server=server, client=client) for key, value in answers.items()}


class Nobody(exchange.Nobody):
    """An asker without a client: for what the gateway wants to know itself, and for REST, where nobody can be asked.

    capabilities, client_info: of who it is asked for; a server may show its client what that one can use.
    """

    def __init__(
        self, capabilities: Mapping[str, Any] | None = None, client_info: Mapping[str, Any] | None = None
    ) -> None:
        self.capabilities: Mapping[str, Any] = capabilities or {}
        self.client_info: Mapping[str, Any] = client_info or {}

    async def ask(self, needs: Mapping[str, Need]) -> Mapping[str, Params]:
        """A clear refusal."""
        asked = ", ".join(sorted({need.method for need in needs.values()}))
        raise refused(
            jsonrpc.METHOD_NOT_FOUND,
            "not_supported",
            f"The server asks its client something ({asked}), which cannot be answered here: use the MCP endpoint "
            "with a client that can",
        )
