"""A watched session: its control client, the feeds of its panes, its layout and size."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from moorage.api import PreparedText

from moorage_tmux import describe, messages
from moorage_tmux.background import Background
from moorage_tmux.client import ControlClient, shown
from moorage_tmux.feed import Feed
from moorage_tmux.filters import Clipboard
from moorage_tmux.guards import PaneFilter, titled
from moorage_tmux.protocol import Event, Notice, Output, Reply, unescape
from moorage_tmux.sessions import (
    PaneInfo,
    SessionInfo,
    active_pane,
    layout_sizes,
    list_panes,
    parse_panes,
    server_version,
    window_size,
)
from moorage_tmux.subscription import Subscription
from moorage_tmux.tmux import Tmux, TmuxError, TmuxGone
from moorage_tmux.unread import Typing

LAYOUT_INTERVAL = 0.05
"""Seconds between two looks at a layout that keeps changing; the first change is looked at at once."""
RESIZE_INTERVAL = 0.1
"""Seconds between two sizes that tmux is told while somebody drags the edge of a window."""
MANY = 25
"""Viewers from whose number on the two intervals grow with it, up to MAX_INTERVAL: each is drawn a screen."""
MAX_INTERVAL = 1.0
ATTEMPTS = (0.05, 0.5, 2.0)
"""Seconds before each try to attach again to a session that lives on."""
CALM = 10.0
"""Seconds after which a client that ends is no sign that the next one would end as well."""
_LAYOUT = frozenset(
    (
        "layout-change",
        "window-add",
        "window-close",
        "unlinked-window-close",
        "window-pane-changed",
        "session-window-changed",
        "window-renamed",
    )
)


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How sessions are watched; see the plugin's configuration."""

    timeout: float = 5.0
    linger: float = 30.0
    lines: int = 1000
    ring_bytes: int = 2 * 1024 * 1024
    clipboard: Clipboard = "deny"
    guard: Callable[[SessionInfo, str], PaneFilter | None] = lambda session, pane: None


class SessionWatch:
    """One session's control client and the feeds of its panes.

    typists: called with (pane, text) for all that is typed through this server, before tmux has it.
    """

    def __init__(
        self,
        tmux: Tmux,
        session: SessionInfo,
        settings: WatchSettings,
        *,
        background: Background,
        lives: Callable[[SessionInfo], Awaitable[bool]],
        on_idle: Callable[[SessionWatch], None],
        on_end: Callable[[SessionWatch], None],
    ) -> None:
        self.session = session
        self.subscriptions: set[Subscription] = set()
        self.typists: set[Callable[[str, str], None]] = set()
        self.ended = False
        self.version = (0, 0)
        self._tmux, self._settings, self._background = tmux, settings, background
        self._lives, self._on_idle, self._on_end = lives, on_idle, on_end
        self._client = self._new_client()
        self._attached = False
        self._questions = 0
        self._revived = -CALM
        self._feeds: dict[str, Feed] = {}
        self._busy: set[Feed] = set()
        self._typing: dict[str, Typing] = {}
        self.layout: list[PaneInfo] = []
        self._redraw: set[str] = set()
        self._looking = False
        self._look_again = False
        self._looks: asyncio.TimerHandle | None = None
        self._size: tuple[int, int] | None = None
        self._size_told = True
        self._resizes: asyncio.TimerHandle | None = None

    def _new_client(self) -> ControlClient:
        return ControlClient(
            self._tmux,
            target=self.session.id,
            flags="ignore-size,pause-after=5",
            timeout=self._settings.timeout,
            on_event=self._event,
            on_batch=self._batch,
            on_exit=self._exited,
        )

    @property
    def name(self) -> str:
        """The session's name."""
        return self.session.name

    @property
    def client(self) -> ControlClient:
        """The control client of the moment."""
        return self._client

    @property
    def in_use(self) -> bool:
        """Whether somebody without a subscription is at it: asks for the panes so as to subscribe, or types."""
        return self._questions > 0 or any(typing.locked() for typing in self._typing.values())

    async def start(self) -> None:
        """Attach. TmuxError when that fails, or the id is another session's by now."""
        await self._client.start()
        server, created, _ = self.session.key.split(":")
        question = f"display-message -p -t '{self.session.id}' '#{{pid}}:#{{session_created}} #{{version}}'"
        who, _, version = "".join(shown(await self._client.call(question))).partition(" ")
        self.version = server_version(version)
        if who != f"{server}:{created}":
            await self._client.stop()
            raise TmuxGone("the session has ended")
        if not self._client.alive:
            # It ended behind its answer. Nobody is told of that any more, so nobody would attach again.
            await self._client.stop()
            raise TmuxGone("the tmux client has ended")
        self._attached = True

    async def stop(self, reason: str = "Session ended") -> None:
        """Detach; whoever still watches is told."""
        self._end(reason)
        await self._client.stop()

    async def panes(self) -> list[PaneInfo]:
        """All panes now. TmuxError."""
        command = list_panes(self.session.id)
        self._questions += 1
        try:
            replies = await self._client.call(command, seen=lambda replies: self._arrange(parse_panes(replies)))
        finally:
            self._questions -= 1
        return parse_panes(replies)

    def layout_message(self) -> str:
        """Where the windows and panes are, as far as was told."""
        return describe.layout_message(self.name, self.layout)

    def resize(self, cols: int, rows: int) -> None:
        """Ask tmux for windows of this size, of a burst only for the last. Terminals that are attached outrank it."""
        self._size, self._size_told = (cols, rows), False
        if self._resizes is None:
            self._resize()

    def _resize(self) -> None:
        self._resizes = None
        if self._size is None or self._size_told or self.ended:
            return
        cols, rows = self._size
        try:
            self._client.submit(f"refresh-client -C {cols}x{rows}", lambda _: None)
        except TmuxError:
            return  # The client is gone: the next one is told.
        self._size_told = True
        self._resizes = self._background.later(self._spaced(RESIZE_INTERVAL), self._resize)

    def feed(self, pane: str) -> Feed:
        """The feed of a pane, made when first asked for."""
        feed = self._feeds.get(pane)
        if feed is None:
            feed = self._feeds[pane] = Feed(
                pane,
                client=lambda: self._client,
                session=lambda: self.name,
                lines=self._settings.lines,
                ring_bytes=self._settings.ring_bytes,
                clipboard=self._settings.clipboard,
                guard=lambda: self._settings.guard(self.session, pane),
            )
        return feed

    def filter_anew(self) -> None:
        """Other plugins filter the panes from now on, or filter them differently."""
        for feed in self._feeds.values():
            feed.filter_anew(forgive=True)

    def renamed(self, session: SessionInfo) -> None:
        """The session has another name: filters that go by it may be others now."""
        self.session = session
        for feed in self._feeds.values():
            feed.filter_anew(forgive=False)

    def typing(self, pane: str) -> Typing:
        """Held by whoever types into a pane."""
        return self._typing.setdefault(pane, Typing())

    def tell_typists(self, pane: str, text: str) -> None:
        """This is typed into a pane now."""
        for typist in self.typists:
            typist(pane, text)

    def add(self, subscription: Subscription) -> None:
        """Count a subscription in; `show` it next."""
        self.subscriptions.add(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Count a subscription out. Harmless for one that is not here."""
        feed = self._feeds.get(subscription.pane)
        if feed is not None:
            feed.leave(subscription)
        if subscription in self.subscriptions:
            self.subscriptions.discard(subscription)
            if not self.subscriptions and not self.ended:
                self._on_idle(self)

    # What the client tells.

    def _event(self, event: Event) -> None:
        if isinstance(event, Output):
            feed = self._feeds.get(event.pane)
            if feed is not None:
                feed.stream.append(unescape(event.raw))
                self._busy.add(feed)
        elif isinstance(event, Notice):
            if event.name == "layout-change":
                self._resized(event.text)
            if event.name in _LAYOUT:
                self._look_around()
            elif event.name == "pause":
                self._paused(event.text)
            elif event.name == "session-changed" and event.text.partition(" ")[0] != self.session.id:
                # Our session was destroyed and tmux moved the client to another one (detach-on-destroy off).
                self._background.spawn(self.stop(), "watch-end")

    def _batch(self) -> None:
        for feed in self._busy:
            feed.stream.settle()
        self._busy.clear()

    def _paused(self, pane: str) -> None:
        """tmux gave up waiting for us: what came meanwhile is lost, so everybody gets a snapshot."""
        try:
            self._client.submit(f"refresh-client -A '{pane}:continue'", lambda _: None)
        except TmuxError:
            return  # The client is gone, which `_exited` deals with.
        feed = self._feeds.get(pane)
        if feed is not None:
            feed.stream.skip()
            feed.refresh()

    def _resized(self, text: str) -> None:
        """A layout changed. By the next look a size may be the old one again, and yet what was drawn not be right."""
        for pane_id, size in layout_sizes(text).items():
            feed = self._feeds.get(pane_id)
            if feed is not None and feed.size != size:
                self._redraw.add(pane_id)

    def _spaced(self, interval: float) -> float:
        return min(MAX_INTERVAL, interval * max(1.0, len(self.subscriptions) / MANY))

    def _look_around(self) -> None:
        """Learn the layout anew: sizes, panes that are gone, the active pane."""
        if self._looking or self._looks is not None:
            self._look_again = True
            return
        try:
            self._client.submit(list_panes(self.session.id), self._looked)
        except TmuxError:
            return  # As above.
        self._looking = True

    def _looked(self, result: list[Reply] | TmuxError) -> None:
        self._looking = False
        if self.ended:
            return
        self._looks = self._background.later(self._spaced(LAYOUT_INTERVAL), self._look_if_changed)
        if not isinstance(result, TmuxError):
            self._arrange(parse_panes(result))

    def _look_if_changed(self) -> None:
        self._looks = None
        if self._look_again:
            self._look_again = False
            self._look_around()

    def _arrange(self, panes: list[PaneInfo]) -> None:
        panes = titled(self._settings.guard, self.session, panes)
        there = {pane.id: pane for pane in panes}
        active = active_pane(panes)
        self._tell(panes)
        if active is not None:
            for subscription in list(self.subscriptions):
                if subscription.follow and subscription.pane != active.id:
                    subscription.move(active)
        for pane_id, feed in list(self._feeds.items()):
            if pane_id in there:
                feed.resized(there[pane_id].cols, there[pane_id].rows, again=pane_id in self._redraw)
            else:
                del self._feeds[pane_id]
                feed.close("Pane closed")
        self._redraw.clear()
        for pane_id in self._typing.keys() - there.keys():
            del self._typing[pane_id]

    def _tell(self, panes: list[PaneInfo]) -> None:
        """Tell those who watch what changed, before they see it."""
        before, self.layout = self.layout, panes
        if panes == before:
            return
        texts = [PreparedText(self.layout_message())]
        size = window_size(panes)
        if size is not None and size != window_size(before):
            cols, rows = size
            resize = {"type": "resize", "sessionId": self.name, "cols": cols, "rows": rows}
            texts.insert(0, PreparedText(messages.encode(resize)))
        for viewer in {subscription.viewer for subscription in self.subscriptions}:
            for text in texts:
                viewer.post(text)

    def _exited(self, reason: str) -> None:
        attached, self._attached = self._attached, False
        if attached and not self.ended:
            self._background.spawn(self._revive(), "watch-revive")

    async def _revive(self) -> None:
        """Our client ended. If the session did not, attach again and show everything anew.

        A tmux that hangs is no end: as long as somebody watches, it is tried again.
        """
        loop = asyncio.get_running_loop()
        # One that ends time and again, as by an error of ours, is not started time and again at once.
        at_once = ATTEMPTS if loop.time() >= self._revived + CALM else ()
        delays = itertools.chain(at_once, itertools.repeat(ATTEMPTS[-1]))
        refused = 0
        for delay in delays:
            await asyncio.sleep(delay)
            try:
                if self.ended or not await self._lives(self.session):
                    break
                self._client = self._new_client()
                await self.start()
            except TmuxGone:
                refused += 1
                if refused >= len(ATTEMPTS):
                    break
                continue
            except TmuxError:
                if not self.subscriptions:
                    break
                continue
            if self.ended:
                break
            self._revived = loop.time()
            if self._size is not None:
                self.resize(*self._size)  # New windows are made in the client's size.
            for feed in self._feeds.values():
                feed.stream.skip()
                feed.refresh()
            self._look_around()
            return
        self._end("Session ended")
        await self._client.stop()

    def _end(self, reason: str) -> None:
        if self.ended:
            return
        self.ended = True
        for timer in (self._looks, self._resizes):
            if timer is not None:
                timer.cancel()
        feeds, self._feeds = self._feeds, {}
        for feed in feeds.values():
            feed.close(reason)
        for subscription in list(self.subscriptions):
            subscription.lost(reason)
        self._on_end(self)
