"""One request to one server: in its era's words, by a connection of its own or a shared one, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moorage_mcp.config import McpConfig
from moorage_mcp.gateway import translate
from moorage_mcp.gateway.asking import Bridged
from moorage_mcp.gateway.caller import Caller, refused
from moorage_mcp.gateway.reach import Reach, Seat, gone
from moorage_mcp.gateway.retries import Retries, bad_state
from moorage_mcp.gateway.routing import Routed
from moorage_mcp.links.base import Asker, LinkClosed, ServerInfo
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import Params, RpcError
from moorage_mcp.wire.methods import NAMED


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a client made it. era: the client's."""

    at: Seat
    caller: Caller
    era: Era
    method: str
    params: Params
    asker: Asker


class Asking:
    """Asks servers for clients."""

    def __init__(self, reach: Reach, retries: Retries, config: McpConfig) -> None:
        self._reach, self._retries, self._config = reach, retries, config

    async def ask(self, asked: Asked, params: Params, place: Routed) -> dict[str, Any]:
        """Have a server answer. params: with the server's own names. RpcError in the client's era."""
        method, era = asked.method, asked.era
        params = self._retried(asked, params, place)
        async with self._reach.lease(asked.at, place.upstream, asking=True) as link:
            server = link.server.era
            if server is Era.LEGACY and "requestState" in params:
                raise bad_state("it is not of this server, or too old")
            own = translate.params(method, params, client=era, server=server)
            bridged = Bridged(asked.asker, client=era, server=server)
            try:
                found = await link.request(method, own, bridged, timeout=self._config.call_timeout)
            except RpcError as error:
                visit = self._visit(asked, place, error)
                if visit is None:
                    raise translate.error(method, error, own, server=server, client=era) from error
                return visit
            except (LinkClosed, TimeoutError) as error:
                raise gone(place.upstream, error) from error
        return self._said(asked, place, link.server, found)

    def _said(self, asked: Asked, place: Routed, server: ServerInfo, found: dict[str, Any]) -> dict[str, Any]:
        """A server's result for the client."""
        if found.get("resultType") == translate.INPUT_REQUIRED and asked.era is Era.MODERN and server.era is asked.era:
            if len(asked.at.upstreams) == 1:
                return found
            state = found.get("requestState")
            return {**found, "requestState": self._close(asked, place, state=state if isinstance(state, str) else None)}
        made = translate.result(asked.method, found, server=server.era, client=asked.era)
        return translate.stamped(made, server.info) if asked.era is Era.MODERN else made

    def _retried(self, asked: Asked, params: Params, place: Routed) -> Params:
        """What the server is to see of a request that is made again with answers."""
        at = asked.at
        retry = self._retries.open(at.workspace, asked.caller, asked.method, asked.params)
        if retry is None:
            if "requestState" in params and len(at.upstreams) > 1:
                raise bad_state("it is not of this workspace")
            return params
        if retry.upstream != place.upstream.pid:
            raise bad_state("it is of another server")
        made = {key: value for key, value in params.items() if key != "requestState"}
        if retry.visit:
            _check_visited(made.pop("inputResponses", None))
        elif retry.state is not None:
            made["requestState"] = retry.state
        return made

    def _visit(self, asked: Asked, place: Routed, error: RpcError) -> dict[str, Any] | None:
        """A legacy server wants a page visited first: for a modern client that can, a question; else None."""
        able = asked.asker.capabilities.get("elicitation")
        if asked.era is Era.LEGACY or not asked.asker.keeps_state or not isinstance(able, Mapping) or "url" not in able:
            return None
        needs = translate.url_needs(error)
        if not needs or asked.method not in NAMED:
            return None
        shown = {key: translate.need(need, server=Era.LEGACY, client=Era.MODERN) for key, need in needs.items()}
        return {
            "resultType": translate.INPUT_REQUIRED,
            "inputRequests": {key: {"method": need.method, "params": need.params} for key, need in shown.items()},
            "requestState": self._close(asked, place, visit=True),
        }

    def _close(self, asked: Asked, place: Routed, *, state: str | None = None, visit: bool = False) -> str:
        return self._retries.close(
            asked.at.workspace, asked.caller, place.upstream, asked.method, asked.params, state=state, visit=visit
        )


def _check_visited(answers: Any) -> None:
    """Whether the person went to the page that the server wants visited. RpcError if they would not."""
    for answer in answers.values() if isinstance(answers, Mapping) else ():
        if isinstance(answer, Mapping) and answer.get("action") not in (None, "accept"):
            raise refused(jsonrpc.INVALID_REQUEST, "declined", "The page that the server needs visited was not")
