"""The plugin's settings: `[plugins.tmux]`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from moorage.api import PluginConfig
from pydantic import Field, HttpUrl, field_validator, model_validator

from moorage_tmux.filters import Clipboard


class TmuxConfig(PluginConfig):
    """Which tmux, how it is shown, and how claims behave."""

    tmux_binary: str = Field("tmux", description="The tmux program, 3.2 or newer: a name on PATH or a path.")
    socket_name: str | None = Field(
        None, description="tmux's socket by name (tmux -L). Unset, with socket_path unset too: tmux's default server."
    )
    socket_path: Path | None = Field(None, description="tmux's socket by path (tmux -S), instead of socket_name.")
    scrollback_lines: int = Field(
        1000, ge=0, le=50_000, description="Lines of history that somebody who joins is shown above the screen."
    )
    clipboard: Clipboard = Field(
        "deny",
        description='"deny" keeps programs from setting viewers\' clipboards (OSC 52), "write" lets them. '
        "Reading a viewer's clipboard is never let through.",
    )
    ring_bytes: int = Field(
        2 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024, description="Bytes of a pane's stream kept for resuming."
    )
    viewer_bytes: int = Field(
        1024 * 1024,
        ge=64 * 1024,
        le=1024 * 1024,
        description="Bytes that may wait for one viewer. Beyond it they are sent a fresh screen once they caught up.",
    )
    linger_seconds: float = Field(
        30.0, ge=0, le=3600, description="How long a session stays watched after its last viewer left."
    )
    command_timeout: float = Field(5.0, gt=0, le=60, description="Seconds that tmux may take to answer.")
    heartbeat_seconds: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="A client that sends heartbeats and then falls silent for so long is closed with 4000.",
    )
    claim_seconds: float = Field(1800.0, gt=0, le=7 * 86400, description="How long a claim holds unless it is renewed.")
    claim_warning_seconds: float = Field(300.0, ge=0, description="So long before a claim ends its holder is warned.")
    claim_grace_seconds: float = Field(
        30.0, ge=0, le=3600, description="How long a claim outlives its holder's last connection."
    )

    messages_per_second: float = Field(
        200.0,
        gt=0,
        le=100_000,
        description="Messages that one socket may send in the long run; five times as many at once. What is over it is "
        "refused with RATE_LIMITED.",
    )
    input_bytes_per_second: int = Field(
        512 * 1024,
        ge=1024,
        le=1024 * 1024 * 1024,
        description="Bytes that one socket may type in the long run; four times as many at once.",
    )
    chrote_url: HttpUrl | None = Field(
        None,
        description="A CHROTE server whose sessions the capture route shows, instead of those of the tmux here: "
        "http://HOST:8080.",
    )
    chrote_timeout: float = Field(5.0, gt=0, le=60, description="Seconds that the CHROTE server may take to answer.")
    recording: Literal["off", "request", "always"] = Field(
        "request",
        description='"request": who may, starts recordings. "always": every session is recorded from the moment it is '
        'seen. "off": none is.',
    )
    recording_sessions: list[str] = Field(
        [], description='Names of sessions that are always recorded; "*" stands for anything: ["prod-*"].'
    )
    recording_input: bool = Field(
        False, description="Record what is typed as well, passwords that no screen shows included."
    )
    recording_bytes: int = Field(
        256 * 1024 * 1024, ge=64 * 1024, description="Bytes that one recording may have; it ends when it has them."
    )
    recordings_bytes: int = Field(
        4 * 1024 * 1024 * 1024,
        ge=64 * 1024,
        description="Bytes that all recordings may have together. The oldest that have ended make room for new ones.",
    )
    recording_days: float = Field(
        0, ge=0, le=36_500, description="Days after which a recording is deleted; 0 keeps it for ever."
    )

    @field_validator("socket_name")
    @classmethod
    def _plain_name(cls, value: str | None) -> str | None:
        if value is not None and (not value or "/" in value or not value.isprintable()):
            raise ValueError("a socket's name is not empty and has no slash; use socket_path for a path")
        return value

    @model_validator(mode="after")
    def _one_socket(self) -> TmuxConfig:
        if self.socket_name is not None and self.socket_path is not None:
            raise ValueError("give socket_name or socket_path, not both")
        return self
