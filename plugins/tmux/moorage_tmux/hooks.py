"""The hooks that this plugin offers to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from moorage.api import Actor, hookspec

if TYPE_CHECKING:
    from moorage_tmux.claims import Claim
    from moorage_tmux.sessions import SessionInfo


class OutputFilter(Protocol):
    """One pane's filter. It lives as long as the pane is watched, and may keep what it needs between two calls.

    It must leave escape sequences whole: `text` is never cut within one, and what follows depends on it.
    """

    def feed(self, text: str) -> str:
        """The part of a pane's stream, cut anywhere, that may be shown. It may hold text back for the next call."""
        ...

    def flush(self) -> str:
        """What it holds back, as it may be shown; nothing is held back then.

        Called when the pane has been quiet for 50 ms, and before a screen is drawn for somebody who joins: that
        screen shows what was held back. Text may be going on with the next `feed`.
        """
        ...

    def whole(self, text: str) -> str:
        """The same for a text that is complete in itself: a screen drawn anew, a capture, a piece of history.

        Rows are separated by line ends, also where the terminal only wrapped a longer line. It does not take part
        in the stream: what it is given was, or will be, fed as well.
        """
        ...


class Specs:
    """Hooks of shared terminals."""

    @hookspec
    def tmux_output_filter(self, session: SessionInfo, pane: str) -> OutputFilter | None:
        """Change what of a pane is shown and recorded (sync, on the hot path: be quick).

        Called once for each pane that somebody begins to watch; again when output was lost, the session was renamed or
        a reload changed such a plugin; and for each text that is asked for in one piece (a capture, history, a title).
        Filters are applied in plugin order, each is given what the one before it let through. An error, here or in the
        filter, shows nothing of the pane any more: what was to be hidden must not appear by accident.

        :param session: the session; `name`, `id` and `key` are texts.
        :param pane: tmux's id of the pane, `%3`.
        :returns: an object with `feed(text)`, `flush()` and `whole(text)` (see `moorage_tmux.hooks.OutputFilter`),
            or None to stand aside.

        .. versionadded:: 0.1
        """

    @hookspec
    def tmux_input(self, actor: Actor, session: SessionInfo, pane: str, keys: str) -> str | None:
        """Veto what somebody types (sync, on the hot path: be quick).

        Called for each message with keys, after rights and claims allowed it. An error counts as a veto.

        :param actor: who types.
        :param session: the session.
        :param pane: tmux's id of the pane, `%3`.
        :param keys: what would be typed, Enter as `\\r`.
        :returns: the public reason for the veto, or None to stand aside.

        .. versionadded:: 0.1
        """

    @hookspec
    async def tmux_session_created(self, session: SessionInfo) -> None:
        """A session is there that was not before (async, off the way, limit 5 s).

        Called as well for each session that is there when your plugin starts. What happens to sessions and claims is
        told in its order; one who is slow is told of the newest 1000 changes. An error is logged.

        :param session: the session.

        .. versionadded:: 0.1
        """

    @hookspec
    async def tmux_session_destroyed(self, session: SessionInfo) -> None:
        """A session ended (async, off the way, limit 5 s). An error is logged.

        :param session: the session as it was last seen.

        .. versionadded:: 0.1
        """

    @hookspec
    async def tmux_claim_changed(self, session_name: str, claim: Claim | None, reason: str) -> None:
        """A session was claimed, or its claim renewed, handed over or ended (async, off the way, limit 5 s).

        Called in the order of the changes. An error is logged.

        :param session_name: the session's name.
        :param claim: who holds it now (`user`, `claimed_at`, `expires_at`), or None.
        :param reason: "claimed", "renewed", "handed_over", or why it ended: "released", "expired", "overridden",
            "disconnected", "withdrawn", "destroyed".

        .. versionadded:: 0.1
        """
