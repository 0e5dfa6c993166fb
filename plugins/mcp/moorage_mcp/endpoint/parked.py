"""Calls of the newer era whose server has asked the client something: they wait for the client to come back.

The client's first request is answered with what is asked (`input_required`) and a `requestState`; the call goes on
waiting here, and the request that brings the answers takes it up. Only who was asked finds it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Coroutine, Mapping
from typing import Any

from moorage.api import TaskSupervisor

from moorage_mcp.gateway.caller import Caller, refused
from moorage_mcp.gateway.retries import bad_state
from moorage_mcp.links.base import Asker, Need
from moorage_mcp.records import WorkspaceInfo
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.jsonrpc import Params
from moorage_mcp.wire.methods import NAMED

PREFIX = "mp1."
MAX_PER_USER = 32
"""Calls of one user that may wait at once."""

Bound = tuple[int, int, int | None, str, Any]


class Call:
    """A request that may be asked something: an `Asker`, that speaks through the one of the request in hand."""

    keeps_state = True

    def __init__(self, asker: Asker) -> None:
        self.capabilities, self.client_info, self.log_level = asker.capabilities, asker.client_info, asker.log_level
        self.asker: Asker | None = asker
        self.needs: Mapping[str, Need] = {}
        self.answers: asyncio.Future[Mapping[str, Params]] | None = None
        self.asked = asyncio.Event()
        self.timeout = 0.0

    async def notify(self, method: str, params: Params) -> None:
        """Through the request in hand; while there is none nobody hears it."""
        if self.asker is not None:
            await self.asker.notify(method, params)

    async def ask(self, needs: Mapping[str, Need]) -> Mapping[str, Params]:
        """Have the request in hand answered with this, and wait for the next one."""
        lacks = {key: need for key, need in needs.items() if need.method.partition("/")[0] not in self.capabilities}
        if lacks and self.asker is not None:
            return await self.asker.ask(lacks)
        if self.answers is not None:
            raise refused(jsonrpc.INTERNAL_ERROR, "broken", "The server asks again before it has the answer")
        self.needs = needs
        answers = self.answers = asyncio.get_running_loop().create_future()
        self.asked.set()
        try:
            async with asyncio.timeout(self.timeout):
                found: Mapping[str, Params] = await answers
                return found
        finally:
            self.answers = None


class Parked:
    """A call with its task. bound: whose it is, and what was asked for."""

    def __init__(self, call: Call, bound: Bound, task: asyncio.Task[dict[str, Any] | Exception]) -> None:
        self.call, self.bound, self.task = call, bound, task
        self.token = ""


class Parking:
    """All calls that wait. ask_timeout: seconds in which the client must have come back."""

    def __init__(self, tasks: TaskSupervisor, ask_timeout: float) -> None:
        self._tasks, self._ask_timeout = tasks, ask_timeout
        self._all: dict[str, Parked] = {}
        self._users: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def find(self, workspace: WorkspaceInfo, who: Caller, method: str, params: Params) -> Parked | None:
        """The call that a request takes up; None if it takes up none of ours. RpcError when it is not here."""
        token = params.get("requestState")
        if not isinstance(token, str) or not token.startswith(PREFIX):
            return None
        parked = self._all.get(token)
        if parked is None or parked.bound != _bound(workspace, who, method, params):
            raise bad_state()
        return parked

    def start(
        self,
        workspace: WorkspaceInfo,
        who: Caller,
        call: Call,
        method: str,
        params: Params,
        work: Coroutine[Any, Any, dict[str, Any]],
    ) -> Parked:
        """Begin a call."""
        call.timeout = self._ask_timeout
        task = self._tasks.spawn(_outcome(work), "call")
        return Parked(call, _bound(workspace, who, method, params), task)

    async def turn(self, parked: Parked, asker: Asker, params: Params) -> dict[str, Any]:
        """Go on with a call until it ends or asks; the result, or what is asked. Cancelled: the call is as well."""
        call = parked.call
        call.asker = asker
        if parked.token and not self._brought(parked, params):
            return self._question(parked)
        self._unpark(parked)
        asked = asyncio.ensure_future(call.asked.wait())
        try:
            await asyncio.wait((parked.task, asked), return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            parked.task.cancel()
            raise
        finally:
            asked.cancel()
            call.asker = None
        if parked.task.done():
            return _said(parked.task)
        return self._park(parked)

    def _brought(self, parked: Parked, params: Params) -> bool:
        """Take the answers that a request brings, if it brings all; False: it is to be asked again."""
        call, brought = parked.call, params.get("inputResponses")
        answers = brought if isinstance(brought, dict) else {}
        if call.answers is None or call.answers.done():
            raise bad_state()
        if any(not isinstance(answers.get(key), dict) for key in call.needs):
            return False
        call.answers.set_result({key: answers[key] for key in call.needs})
        call.asked.clear()
        return True

    def _park(self, parked: Parked) -> dict[str, Any]:
        user = parked.bound[1]
        if self._users[user] >= MAX_PER_USER:
            parked.task.cancel()
            raise refused(jsonrpc.INTERNAL_ERROR, "limited", f"No more than {MAX_PER_USER} calls may wait for answers")
        parked.token = PREFIX + secrets.token_urlsafe(24)
        self._all[parked.token] = parked
        self._users[user] += 1
        parked.task.add_done_callback(lambda _: self._unpark(parked))
        return self._question(parked)

    def _unpark(self, parked: Parked) -> None:
        token, parked.token = parked.token, ""
        if self._all.pop(token, None) is not None:
            user = parked.bound[1]
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]

    def _question(self, parked: Parked) -> dict[str, Any]:
        parked.call.asker = None
        needs = parked.call.needs.items()
        asked = {key: {"method": need.method, "params": need.params} for key, need in needs}
        return {"resultType": "input_required", "inputRequests": asked, "requestState": parked.token}


async def _outcome(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any] | Exception:
    """What came of it; an error is no failure of the task, for nobody may be there to hear it."""
    try:
        return await work
    except Exception as error:
        return error


def _said(task: asyncio.Task[dict[str, Any] | Exception]) -> dict[str, Any]:
    if task.cancelled():
        raise refused(jsonrpc.INTERNAL_ERROR, "closed", "The call was ended")
    found = task.result()
    if isinstance(found, Exception):
        raise found
    return found


def _bound(workspace: WorkspaceInfo, who: Caller, method: str, params: Params) -> Bound:
    return workspace.id, who.user_id, who.api_key_id, method, params.get(NAMED.get(method, ""))
