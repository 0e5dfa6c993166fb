"""The sessions: made, found, started, stopped, upgraded, ended; which of them run, and how they are reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from moorage.api import Actor, Hub, Permission, RuntimeView, Upstream

from moorage_opencode.config import OpenCodeConfig
from moorage_opencode.models import OpenCodeSession

CHANGED = "opencode.session_changed"
"""Topic: {"id": pid, "user_id": int, "status": str, "workspace_path": str, "error": str | None}; also "deleted"."""


@dataclass(slots=True)
class Live:
    """A session as the hot path knows it, without a look into the database.

    upstream: OpenCode's, None while the session does not run. authorization: the header that it takes.
    """

    pid: str
    user_id: int
    status: str
    workspace: Path
    workload: str
    runtime: str
    upstream: Upstream | None = None
    authorization: str = field(default="", repr=False)


class Sessions:
    """All sessions of this server. One object; used from the event loop."""

    def __init__(self, hub: Hub, config: OpenCodeConfig) -> None:
        self.hub, self.config = hub, config

    async def start(self) -> None:
        """Read the table, take up again what runs, bring to an end what a crash left half done."""
        raise NotImplementedError

    async def close(self) -> None:
        """Stop watching; sessions go on."""
        raise NotImplementedError

    def live(self, actor: Actor, pid: str, permission: Permission) -> Live:
        """The session, as far as the actor may do that with it.

        NotFound for one that is not there or of which they may not know, Forbidden where they may see it and not more.
        Never waits: for the hot path.
        """
        raise NotImplementedError

    async def running(self, live: Live, *, resume: bool = True) -> Live:
        """The same once it can be reached: a stopped one is resumed first, one that starts is waited for.

        Unavailable when it cannot be: stopping, failed, or not ready in time.
        """
        raise NotImplementedError

    async def row(self, actor: Actor, pid: str, permission: Permission) -> OpenCodeSession:
        """The session with all that is stored of it. Errors as in `live`."""
        raise NotImplementedError

    async def runtime(self, live: Live) -> RuntimeView:
        """What runs it."""
        raise NotImplementedError

    def touch(self, live: Live) -> None:
        """Somebody used it just now. Cheap; written down from time to time."""
        raise NotImplementedError
