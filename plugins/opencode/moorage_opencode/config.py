"""The plugin's settings: `[plugins.opencode]`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moorage.api import PluginConfig
from pydantic import Field


class OpenCodeConfig(PluginConfig):
    """Which projects, which runtime, which OpenCode, and how many of them."""

    roots: list[Path] = Field(
        [],
        description="Folders of this machine in which projects may lie. Each user has a folder of their own besides, "
        "in the data folder.",
        examples=[["/srv/projects"]],
    )
    runtime: str = Field("process", description='What runs sessions: "process", "docker", or a plugin\'s own runtime.')
    other_runtimes: list[str] = Field(
        [],
        description="Runtimes that a request may name instead of `runtime`. Each keeps sessions apart in its own way: "
        "allow none that you would not choose yourself.",
        examples=[["docker"]],
    )
    binary: str = Field(
        "opencode", description="The OpenCode program for the runtime `process`: a name on PATH or a path."
    )
    image: str | None = Field(
        None, description="The image for the runtime `docker`; it must have OpenCode in it.", examples=["opencode:1"]
    )
    other_images: list[str] = Field(
        [], description="Images that a request may name instead of `image`.", examples=[["opencode:edge"]]
    )
    offline: bool = Field(
        True,
        description="Keep OpenCode from fetching anything by itself: updates, model lists, language servers, plugins.",
    )
    opencode_config: dict[str, Any] = Field(
        {}, description="OpenCode's own settings for every session (its opencode.json): providers, models, permissions."
    )
    pass_env: list[str] = Field(
        [],
        description="Variables of the server's environment that sessions are given: keys of LLM providers, for one.",
        examples=[["ANTHROPIC_API_KEY"]],
    )
    page_host: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,200}[A-Za-z0-9])?(:[0-9]{1,5})?$",
        description="OpenCode's own page is at a name below this one, `<session>.<page_host>`, so that it cannot act "
        "for whoever opens it. All those names must lead here (a wildcard in the DNS, and in the certificate), and "
        "nothing else may be there. Unset: below `opencode.localhost`, for browsers on the server's own machine.",
        examples=["code.example.org"],
    )
    max_running: int = Field(32, ge=1, le=10_000, description="Sessions that may run at once, all users together.")
    max_running_per_user: int = Field(3, ge=1, le=10_000, description="Sessions of one user that may run at once.")
    max_sessions_per_user: int = Field(100, ge=1, le=100_000, description="Sessions of one user, stopped ones too.")
    idle_seconds: float = Field(
        1800.0, ge=0, description="A session that nobody used for so long may be stopped to make room for another."
    )
    stop_idle_seconds: float = Field(
        0, ge=0, description="A session that nobody used for so long is stopped in any case; 0: never."
    )
    start_timeout: float = Field(60.0, gt=0, le=600, description="Seconds in which a session must have become ready.")
    memory_bytes: int | None = Field(
        4 * 1024 * 1024 * 1024, ge=64 * 1024 * 1024, description="Memory that one session may use."
    )
    cpus: float | None = Field(None, gt=0, description="Cores that one session may use, where the runtime can hold it.")
    processes: int | None = Field(512, ge=16, description="Processes that one session may have.")
    log_bytes: int = Field(8 * 1024 * 1024, ge=64 * 1024, description="Bytes of a session's log that are kept.")
    shell: str = Field("bash", description="What a session's terminal runs; `sh` where it is not there.")
    terminals: int = Field(8, ge=1, le=256, description="Terminals that one session may have open at once.")
    max_file_bytes: int = Field(
        100 * 1024 * 1024, ge=1024, description="The largest file that can be written, or read as a whole."
    )
    max_tree_entries: int = Field(
        20_000, ge=100, le=1_000_000, description="Files and folders that one answer with a session's tree may hold."
    )
