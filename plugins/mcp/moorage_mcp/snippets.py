"""What MCP clients are configured with to use a workspace. No key is ever in it: a place for one is.

Sources: the documentation of each client, as of November 2026.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from typing import Any

VARIABLE = "MOORAGE_API_KEY"
"""The environment variable that the clients read the key from."""
INPUT = "moorage-api-key"
MAX_KEY = 40
"""Clients put the name before those of tools, and models take names of 64 characters."""
_UNUSUAL = re.compile(r"[^A-Za-z0-9_-]+")


class Client(enum.StrEnum):
    """A program, and the file that it reads."""

    VSCODE = "vscode"
    """`.vscode/mcp.json`; it asks for the key and keeps it."""
    CLAUDE = "claude"
    """Claude Code: `.mcp.json`."""
    CLAUDE_DESKTOP = "claude-desktop"
    """`claude_desktop_config.json`, by the npm package `mcp-remote`: the file takes programs only."""
    CURSOR = "cursor"
    """`.cursor/mcp.json`."""
    OPENCODE = "opencode"
    """`opencode.json` of OpenCode 1."""
    OPENCODE2 = "opencode2"
    """`opencode.json` of OpenCode 2."""
    GENERIC = "generic"
    """What most others read, with the key to be put in by hand."""


def snippet(client: Client, workspace: str, url: str, *, key: bool) -> dict[str, Any]:
    """The configuration for a workspace at that address. key: with a place for an API key, else the client logs in."""
    return _MAKE[client](server_key(workspace), url, key)


def server_key(workspace: str) -> str:
    """What a client calls the workspace: letters, digits, _ and -."""
    return _UNUSUAL.sub("-", workspace)[:MAX_KEY].strip("-") or "workspace"


def _bearer(place: str) -> Mapping[str, Any]:
    return {"headers": {"Authorization": f"Bearer {place}"}}


def _vscode(name: str, url: str, key: bool) -> dict[str, Any]:
    if not key:
        return {"servers": {name: {"type": "http", "url": url}}}
    asked = {"type": "promptString", "id": INPUT, "description": "API key of Moorage", "password": True}
    return {
        "inputs": [asked],
        "servers": {name: {"type": "http", "url": url, **_bearer(f"${{input:{INPUT}}}")}},
    }


def _claude(name: str, url: str, key: bool) -> dict[str, Any]:
    return {"mcpServers": {name: {"type": "http", "url": url, **(_bearer(f"${{{VARIABLE}}}") if key else {})}}}


def _claude_desktop(name: str, url: str, key: bool) -> dict[str, Any]:
    arguments = ["-y", "mcp-remote", url, *([] if url.startswith("https:") else ["--allow-http"])]
    if not key:
        return {"mcpServers": {name: {"command": "npx", "args": arguments}}}
    # Some versions cut an argument at its blank, so that the whole value is a variable's.
    header = ["--header", "Authorization:${AUTHORIZATION}"]
    env = {"AUTHORIZATION": "Bearer <API key>"}
    return {"mcpServers": {name: {"command": "npx", "args": [*arguments, *header], "env": env}}}


def _cursor(name: str, url: str, key: bool) -> dict[str, Any]:
    return {"mcpServers": {name: {"url": url, **(_bearer(f"${{env:{VARIABLE}}}") if key else {})}}}


def _remote(url: str, key: bool) -> dict[str, Any]:
    # With a key of its own it must not look for another way to log in.
    return {"type": "remote", "url": url, **({**_bearer(f"{{env:{VARIABLE}}}"), "oauth": False} if key else {})}


def _opencode(name: str, url: str, key: bool) -> dict[str, Any]:
    return {"$schema": "https://opencode.ai/config.json", "mcp": {name: {**_remote(url, key), "enabled": True}}}


def _opencode2(name: str, url: str, key: bool) -> dict[str, Any]:
    return {"$schema": "https://opencode.ai/config.json", "mcp": {"servers": {name: _remote(url, key)}}}


def _generic(name: str, url: str, key: bool) -> dict[str, Any]:
    return {"mcpServers": {name: {"type": "http", "url": url, **(_bearer("<API key>") if key else {})}}}


_MAKE: Mapping[Client, Callable[[str, str, bool], dict[str, Any]]] = {
    Client.VSCODE: _vscode,
    Client.CLAUDE: _claude,
    Client.CLAUDE_DESKTOP: _claude_desktop,
    Client.CURSOR: _cursor,
    Client.OPENCODE: _opencode,
    Client.OPENCODE2: _opencode2,
    Client.GENERIC: _generic,
}
