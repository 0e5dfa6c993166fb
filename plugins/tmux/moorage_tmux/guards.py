"""What other plugins may change or forbid: filters of output, vetoes of input."""

from __future__ import annotations

from moorage.api import Actor, Hub

from moorage_tmux.sessions import SessionInfo


class Guards:
    """Asks the hooks of `hooks.Specs`. Without a plugin that has them it costs next to nothing."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def whole(self, session: SessionInfo, pane: str, text: str) -> str:
        """A complete text of a pane (a capture, history) as it may be shown."""
        return text

    def veto(self, actor: Actor, session: SessionInfo, pane: str, keys: str) -> str | None:
        """Why these keys may not be typed; None when they may."""
        return None
