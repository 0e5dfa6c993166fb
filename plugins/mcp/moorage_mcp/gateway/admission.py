"""Whether a caller may do it now, and the one line that is kept of each call. The hot path: no await, no database."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from moorage.api import Hub

from moorage_mcp.calls import CallRecord, Calls, Outcome
from moorage_mcp.config import McpConfig
from moorage_mcp.gateway import rules
from moorage_mcp.gateway.caller import Caller, denied, refused
from moorage_mcp.gateway.windows import Check, Windows
from moorage_mcp.records import Status, UpstreamInfo, WorkspaceInfo
from moorage_mcp.rights import USE
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.jsonrpc import Params, RpcError
from moorage_mcp.wire.methods import NAMED

LIMITED = -32000
"""Of the codes that JSON-RPC leaves to servers."""


class Admitted:
    """A request that may go on. `finish` writes its line, once; without it nothing is written."""

    __slots__ = ("_began", "_caller", "_calls", "_method", "_params", "_texts", "_workspace", "upstream")

    def __init__(
        self, calls: Calls, workspace: WorkspaceInfo, caller: Caller, method: str, params: Params, *, texts: bool
    ) -> None:
        self._calls: Calls | None = calls if method in NAMED else None
        self._workspace, self._caller, self._method, self._params = workspace, caller, method, params
        self._texts = texts
        self._began = perf_counter()
        self.upstream: str | None = None
        """The name of the server that it went to."""

    def finish(self, outcome: Outcome, error: str | None = None) -> None:
        """It has ended. error: a line for people."""
        calls, self._calls = self._calls, None
        if calls is None:
            return
        name = self._params.get(NAMED[self._method])
        arguments = self._params.get("arguments")
        calls.record(
            CallRecord(
                workspace_id=self._workspace.id,
                user_id=self._caller.user_id,
                credential=self._caller.credential,
                method=self._method,
                tool=name if isinstance(name, str) else None,
                upstream=self.upstream,
                client=self._caller.client or None,
                arguments=arguments if isinstance(arguments, Mapping) else None,
                outcome=outcome,
                error=error,
                duration_ms=(perf_counter() - self._began) * 1000,
                request_id=self._caller.request_id or None,
            )
        )

    def answered(self, result: Mapping[str, Any]) -> None:
        """It has ended with a result."""
        if result.get("resultType") == "input_required":
            self.finish(Outcome.INPUT_REQUIRED)
        elif result.get("isError") is True:
            # What a tool says may quote its arguments: kept as they are.
            self.finish(Outcome.TOOL_ERROR, first_text(result) if self._texts else None)
        else:
            self.finish(Outcome.OK)

    def failed(self, problem: RpcError) -> None:
        """It has ended with an error."""
        data = problem.data
        reason = data.get("reason") if problem.gateway and isinstance(data, Mapping) else None
        self.finish(_OUTCOMES.get(reason or "", Outcome.ERROR), problem.message)


_OUTCOMES = {
    "denied": Outcome.DENIED,
    "limited": Outcome.DENIED,
    "bad_params": Outcome.DENIED,
    "bad_state": Outcome.DENIED,
    "unknown_tool": Outcome.DENIED,
    "timeout": Outcome.TIMEOUT,
}


class Admission:
    """Rights, rules and limits."""

    def __init__(self, hub: Hub, config: McpConfig, calls: Calls, windows: Windows | None = None) -> None:
        self._access, self._config, self._calls = hub.access, config, calls
        self._texts = config.keep_arguments == "full"
        forgotten = hub.metrics.counter(
            "limits_forgotten_total", "Callers whose tool calls were not counted on, there being too many callers"
        )
        self._windows = windows or Windows(forgotten=forgotten.inc)

    def admit(self, workspace: WorkspaceInfo, caller: Caller, method: str, params: Params) -> Admitted:
        """Let a request in. RpcError (gateway) if not, and then its line is written already."""
        admitted = Admitted(self._calls, workspace, caller, method, params, texts=self._texts)
        try:
            self.check_right(workspace, caller)
            if method == "tools/call":
                self._check_call(workspace, caller, params)
        except RpcError as error:
            admitted.failed(error)
            raise
        return admitted

    def check_right(self, workspace: WorkspaceInfo, caller: Caller) -> None:
        """Whether the caller may use the workspace at all, now. RpcError."""
        if workspace.status is not Status.ACTIVE:
            raise denied("The workspace is not active")
        if not self._access.can(caller.actor, USE.name, owner_id=workspace.user_id):
            raise denied("Not authorized to use this workspace", required=USE.name)

    def _check_call(self, workspace: WorkspaceInfo, caller: Caller, params: Params) -> None:
        name = params.get("name")
        if not isinstance(name, str):
            raise refused(jsonrpc.INVALID_PARAMS, "bad_params", "Invalid params: `name` is the name of a tool")
        enabled = [upstream for upstream in workspace.upstreams if upstream.enabled]
        if len(enabled) == 1:  # Else it is not known yet whose tool that is.
            upstream = enabled[0]
            check_tool(workspace, caller, upstream, name, name.removeprefix(upstream.prefix))
        checks: list[Check] = []
        if self._config.calls_per_minute:
            checks.append((caller.user_id, self._config.calls_per_minute))
        if workspace.call_limits:
            for pattern, most in rules.limits(workspace, name).items():
                checks.append(((workspace.id, caller.user_id, pattern), most))
        if checks and (seconds := self._windows.hit(checks)):
            raise refused(LIMITED, "limited", f"Too many calls: try again in {seconds} seconds", retryAfter=seconds)


def check_tool(workspace: WorkspaceInfo, caller: Caller, upstream: UpstreamInfo, shown: str, own: str) -> None:
    """Whether the rules let the caller use a tool. RpcError."""
    if not rules.visible(workspace, upstream, caller, shown, own):
        raise denied(f"The tool {shown} is not allowed here", tool=shown)


def first_text(result: Mapping[str, Any]) -> str | None:
    """The first text of a tool's answer, for the list of calls."""
    content = result.get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, Mapping) and isinstance(text := block.get("text"), str):
            return text[:512]
    return None
