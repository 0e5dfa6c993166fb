"""What becomes of a plugin: its states and the record that the manager keeps of it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.config import PluginSection
from moorage.foreign import sendable
from moorage.observe.redact import redact_text
from moorage.plugin import Manifest, Plugin, PluginConfig
from moorage.routes import Route

if TYPE_CHECKING:
    from moorage.hub import Hub
    from moorage.runtimes import Runtime


REASON_LONGEST = 4000
"""Characters of a reason that are kept."""


class State(enum.StrEnum):
    """Where a plugin is in its life."""

    DISCOVERED = "discovered"
    DISABLED = "disabled"
    BLOCKED = "blocked"
    LOADED = "loaded"
    STARTED = "started"
    DEGRADED = "degraded"
    FAILED = "failed"


class PluginFailed(Exception):
    """A plugin cannot go on. `phase` is where it broke, `reason` may be shown to operators.

    An exception's text is often the address that could not be reached, with its password: what looks like a secret is
    masked here, before anything keeps or shows it.
    """

    def __init__(self, plugin: str, phase: str, reason: str, state: State = State.FAILED) -> None:
        reason = redact_text(sendable(reason[:REASON_LONGEST]))
        self.plugin, self.phase, self.reason, self.state = plugin, phase, reason, state
        super().__init__(f"plugin {plugin}: {phase}: {reason}")


class HookLate(PluginFailed):
    """A hook took longer than it may."""


@dataclass(slots=True, eq=False)
class Record:
    """One plugin in one generation."""

    name: str
    section: PluginSection
    state: State = State.DISCOVERED
    reason: str = ""
    distribution: str = ""
    version: str = ""
    plugin: Plugin | None = None
    manifest: Manifest | None = None
    config: PluginConfig | None = None
    hub: Hub | None = None
    routes: Sequence[Route] | None = None
    order: int = 0
    started: bool = False
    """True once `moorage_startup` succeeded: what was never started is not shut down."""
    runtimes: Sequence[Runtime] = ()
    kept: bool = False
    """True when a reload wanted other settings, and they did not do: it goes on with its old ones."""

    @property
    def running(self) -> bool:
        """True while it answers requests."""
        return self.state in (State.STARTED, State.DEGRADED)

    @property
    def mounts(self) -> tuple[str, ...]:
        """Where it is served: the operator's word, else the manifest's, else the root."""
        if self.section.mount is not None:
            return tuple(self.section.mount)
        return self.manifest.mounts if self.manifest else ("/",)

    def fail(self, failure: PluginFailed) -> None:
        """Note why it does not run."""
        self.state, self.reason = failure.state, f"{failure.phase}: {failure.reason}"
