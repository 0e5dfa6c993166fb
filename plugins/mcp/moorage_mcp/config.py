"""The plugin's settings: `[plugins.mcp]`."""

from __future__ import annotations

from typing import Literal

from moorage.api import PluginConfig
from pydantic import Field, field_validator

from moorage_mcp.links.targets import Targets


class McpConfig(PluginConfig):
    """Which runtime, which servers may be reached, and the bounds."""

    runtime: str = Field("process", description='What runs MCP servers: "process", "docker", or a plugin\'s own.')
    image: str | None = Field(
        None, description="The image for the runtime `docker`; it must have the servers in it.", examples=["mcp:1"]
    )
    programs: list[str] = Field(
        [],
        description="Folders of this machine with programs that are MCP servers, shown to workspaces (read-only) "
        "beside /usr and /opt; they and their `bin` are in the search path.",
        examples=[["/srv/node"]],
    )
    provided: bool = Field(
        True, description="Give every new workspace tools for files and git in a folder of its own, without any setup."
    )
    targets: list[str] = Field(
        [],
        description="MCP servers by address that anybody may connect a workspace with: beginnings of URLs. Who holds "
        "mcp:upstream:remote may name any public address besides.",
        examples=[["https://mcp.example.org/", "http://127.0.0.1:9000/mcp"]],
    )
    max_workspaces_per_user: int = Field(50, ge=1, le=10_000, description="Workspaces of one user.")
    max_upstreams: int = Field(16, ge=1, le=100, description="MCP servers in one workspace.")
    max_running: int = Field(64, ge=1, le=10_000, description="MCP servers that may run at once, all users together.")
    idle_seconds: float = Field(600.0, gt=0, description="An MCP server that nobody used for so long is stopped.")
    start_timeout: float = Field(30.0, gt=0, le=600, description="Seconds in which an MCP server must have answered.")
    call_timeout: float = Field(
        120.0, gt=0, le=86_400, description="Seconds in which a call must show a sign of life, an answer or progress."
    )
    ask_timeout: float = Field(
        300.0, gt=0, le=86_400, description="Seconds in which a client must answer what a server asks it."
    )
    max_message_bytes: int = Field(
        4 * 1024 * 1024, ge=16 * 1024, description="The largest message of a client to an MCP server."
    )
    max_answer_bytes: int = Field(
        16 * 1024 * 1024, ge=16 * 1024, description="The largest message of an MCP server to a client."
    )
    session_idle_seconds: float = Field(
        1800.0, gt=0, description="A client's session (of the older era) that is not used for so long has ended."
    )
    max_sessions_per_user: int = Field(200, ge=1, description="Sessions of the older era that one user may have.")
    keep_arguments: Literal["hash", "full", "none"] = Field(
        "hash", description="What is kept of a call's arguments in the list of calls: a digest, all, or nothing."
    )
    keep_calls_days: int = Field(30, ge=1, le=3650, description="Days for which calls are kept.")
    calls_per_minute: int = Field(600, ge=0, description="Tool calls of one user in a minute; 0: no limit.")
    purge_hours: float = Field(24.0, ge=0, description="Hours between the deletion of a workspace and of its folder.")
    memory_bytes: int | None = Field(
        1024 * 1024 * 1024, ge=64 * 1024 * 1024, description="Memory that the servers of one workspace may use."
    )
    processes: int | None = Field(128, ge=16, description="Processes that one workspace may have.")

    @field_validator("targets")
    @classmethod
    def check_targets(cls, value: list[str]) -> list[str]:
        """Beginnings of URLs that can be compared part by part."""
        for url in value:
            try:
                Targets([url])
            except ValueError as error:
                raise ValueError(f"{url!r}: {error}") from None
        return value
