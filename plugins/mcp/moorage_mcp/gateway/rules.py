"""Which tools a caller may see and use: the rules of the workspace, of the upstream and of the API key together."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from moorage_mcp.gateway.caller import Caller
from moorage_mcp.records import ToolRules, UpstreamInfo, WorkspaceInfo

_FREE = ToolRules()


def matches(pattern: str, *names: str) -> bool:
    """Whether a pattern (`*`, `?`, `[…]`, case counts) fits one of the names."""
    return any(fnmatchcase(name, pattern) for name in names)


def allows(rules: ToolRules, *names: str) -> bool:
    """Whether rules let a tool through that has these names. deny goes before allow; an empty allow allows all."""
    if any(matches(pattern, *names) for pattern in rules.deny):
        return False
    return not rules.allow or any(matches(pattern, *names) for pattern in rules.allow)


def visible(workspace: WorkspaceInfo, upstream: UpstreamInfo, caller: Caller, shown: str, own: str) -> bool:
    """Whether the caller has this tool: every one of the three sets of rules must let it through.

    shown: its name as clients see it, which the workspace's and the key's rules are about. own: the server's name for
    it; an upstream's rules may say either.
    """
    return (
        allows(workspace.tools, shown)
        and allows(upstream.tools, own, shown)
        and allows(_of_key(workspace, caller), shown)
    )


def restricted(workspace: WorkspaceInfo, upstream: UpstreamInfo, caller: Caller) -> bool:
    """Whether there is any rule for the caller at all."""
    return workspace.tools != _FREE or upstream.tools != _FREE or _of_key(workspace, caller) != _FREE


def limits(workspace: WorkspaceInfo, shown: str) -> Mapping[str, int]:
    """Calls per minute that are allowed of this tool, by the pattern that says so."""
    return {pattern: most for pattern, most in workspace.call_limits.items() if matches(pattern, shown)}


def annotated(upstream: UpstreamInfo, shown: str, own: str, tool: dict[str, Any]) -> None:
    """Put the upstream's annotations over what the server says of a tool."""
    found = upstream.annotations.get(own) or upstream.annotations.get(shown)
    if found:
        said = tool.get("annotations")
        tool["annotations"] = {**(said if isinstance(said, dict) else {}), **found}


def hide_fixed(upstream: UpstreamInfo, tool: dict[str, Any]) -> None:
    """Take the arguments that the gateway fills in out of what a client is shown of a tool."""
    schema = tool.get("inputSchema")
    if not (taken := fixed_of(upstream, tool)) or not isinstance(schema, dict):
        return
    shown = {**schema, "properties": {key: value for key, value in schema["properties"].items() if key not in taken}}
    required = schema.get("required")
    if isinstance(required, list):
        shown["required"] = [key for key in required if not isinstance(key, str) or key not in taken]
        if not shown["required"]:
            del shown["required"]
    tool["inputSchema"] = shown


def fixed_of(upstream: UpstreamInfo, tool: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that the gateway fills in for a tool: those of the upstream's that its schema names."""
    if not upstream.fixed:
        return {}
    schema = tool.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return {}
    return {key: value for key, value in upstream.fixed.items() if key in properties}


def _of_key(workspace: WorkspaceInfo, caller: Caller) -> ToolRules:
    if caller.api_key_id is None or not workspace.key_tools:
        return _FREE
    return workspace.key_tools.get(caller.api_key_id, _FREE)
