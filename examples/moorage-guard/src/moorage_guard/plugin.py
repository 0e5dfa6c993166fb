"""The plugin: the hooks of shared terminals in which it takes part."""

from __future__ import annotations

import re
from collections.abc import Iterable

from moorage.api import Actor, Hub, Manifest, Plugin, Route, hookimpl
from moorage_tmux.claims import Claim
from moorage_tmux.hooks import OutputFilter
from moorage_tmux.sessions import SessionInfo

from moorage_guard import __version__
from moorage_guard.config import GuardConfig
from moorage_guard.masking import Mask

MAX_LINE = 1000
"""Characters of a line that are kept in mind while it is typed."""


class GuardPlugin(Plugin):
    """Masks secrets, keeps commands out, notes who is in control."""

    manifest = Manifest(
        name="guard",
        version=__version__,
        summary="Masks secrets in shared terminals, and keeps commands out",
        config=GuardConfig,
        requires=("tmux",),
    )

    config: GuardConfig
    hub: Hub

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """No routes; what the hooks need."""
        assert isinstance(hub.config, GuardConfig)
        self.hub, self.config = hub, hub.config
        self._forbidden = [re.compile(pattern) for pattern in hub.config.forbidden]
        self._lines: dict[str, dict[str, str]] = {}
        self._refused = hub.metrics.counter("refused_lines_total", "Lines that were not sent off.")
        return ()

    @hookimpl
    def tmux_output_filter(self) -> OutputFilter | None:
        """A mask for each pane."""
        return Mask(self.config.secrets) if self.config.secrets else None

    @hookimpl
    def tmux_input(self, actor: Actor, session: SessionInfo, pane: str, keys: str) -> str | None:
        """Refuse the Enter at the end of a forbidden line. Keys come one by one, or as a whole text that is pasted."""
        if not self._forbidden:
            return None
        lines = self._lines.setdefault(session.key, {})
        *complete, rest = _typed(lines.get(pane, ""), keys)
        for line in complete:
            if any(pattern.search(line) for pattern in self._forbidden):
                self._refused.inc()
                user = actor.user.username if actor.user else None
                self.hub.log.warning("line refused", user=user, session=session.name, pane=pane)
                return "This command is not allowed here"
        lines[pane] = rest[-MAX_LINE:]
        return None

    @hookimpl
    async def tmux_session_destroyed(self, session: SessionInfo) -> None:
        """Forget what was being typed."""
        self._lines.pop(session.key, None)

    @hookimpl
    async def tmux_claim_changed(self, session_name: str, claim: Claim | None, reason: str) -> None:
        """Note it in the log."""
        holder = claim.user.username if claim is not None else None
        self.hub.log.info("control changed", session=session_name, holder=holder, reason=reason)


def _typed(before: str, keys: str) -> list[str]:
    """The lines that are complete with these keys, and the one that is not, as a simple line editor has them."""
    lines = [before]
    for key in keys:
        if key in "\r\n":
            lines.append("")
        elif key in "\x03\x15":  # Ctrl-C, Ctrl-U
            lines[-1] = ""
        elif key in "\x08\x7f":
            lines[-1] = lines[-1][:-1]
        elif key.isprintable():
            lines[-1] += key
    return lines
