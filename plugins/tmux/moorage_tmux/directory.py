"""What sessions there are: asked when needed, and told of changes while somebody wants to know."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable

from moorage_tmux.background import Background
from moorage_tmux.client import ControlClient, RowsOfNext
from moorage_tmux.protocol import Event, Notice, Reply
from moorage_tmux.sessions import LIST_SESSIONS, SessionInfo, find, parse_sessions
from moorage_tmux.tmux import Tmux, TmuxError, TmuxGone

POLL_SECONDS = 2.0
"""How often a tmux server is looked for while there is none and somebody waits for one."""
DEBOUNCE_SECONDS = 0.03
_CHANGES = frozenset(
    (
        "sessions-changed",
        "session-renamed",
        "session-changed",
        "client-session-changed",
        "client-detached",
        "window-add",
        "window-close",
        "unlinked-window-add",
        "unlinked-window-close",
    )
)


class Directory:
    """One control client without output, for lists, questions and events of the whole tmux server.

    It is there only while someone holds the directory, and `linger` seconds after a question.
    on_change is called with the new list whenever it differs from the last one, while the directory is held.
    """

    def __init__(
        self,
        tmux: Tmux,
        *,
        background: Background,
        timeout: float,
        linger: float,
        own_pids: Callable[[], set[int]],
        on_change: Callable[[list[SessionInfo]], None],
    ) -> None:
        self._tmux, self._background = tmux, background
        self._timeout, self._linger = timeout, linger
        self._own_pids, self._on_change = own_pids, on_change
        self._client: ControlClient | None = None
        self._ending: weakref.WeakSet[ControlClient] = weakref.WeakSet()
        self._quiet = asyncio.Lock()
        self._connecting: asyncio.Task[ControlClient] | None = None
        self._holders: set[object] = set()
        self._known: list[SessionInfo] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keeping = False
        self._wake = asyncio.Event()
        self._relist: asyncio.TimerHandle | None = None
        self._closed = False

    async def sessions(self) -> list[SessionInfo]:
        """All sessions now; none when there is no tmux server. TmuxError when tmux cannot be run or asked."""
        try:
            replies = await self.call(LIST_SESSIONS, blocks=2)
        except TmuxGone:
            self._learn([])
            return []
        sessions = parse_sessions(replies, self._pids())
        self._learn(sessions)
        return sessions

    async def find(self, name: str) -> SessionInfo | None:
        """The session of that name now, or None."""
        return find(await self.sessions(), name)

    async def call(self, command: str, *, blocks: int = 1, rows: RowsOfNext | None = None) -> list[Reply]:
        """Ask tmux; see `ControlClient.call`. Tried a second time when the client's session ended meanwhile."""
        for attempt in (1, 2):
            client = await self._connected()
            try:
                return await client.call(command, blocks=blocks, rows=rows)
            except TmuxGone:
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    @contextlib.asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Meanwhile it does not connect to tmux: see `Tmux.has_sessions`. Ask it nothing inside."""
        async with self._quiet:
            yield

    def hold(self, who: object) -> None:
        """Keep watching for `who` until `drop`."""
        self._holders.add(who)
        self._cancel_timer()
        if not self._keeping and not self._closed:
            self._keeping = True
            self._background.spawn(self._keep(), "directory")

    def drop(self, who: object) -> None:
        """`who` does not need it any more."""
        self._holders.discard(who)
        self._release()

    async def close(self) -> None:
        """End the client."""
        self._closed = True
        self._cancel_timer()
        if self._relist is not None:
            self._relist.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait((self._connecting,))
        client, self._client = self._client, None
        if client is not None:
            self._ending.add(client)
        await asyncio.gather(*(client.stop() for client in self._ending))

    def _pids(self) -> set[int]:
        own = self._own_pids()
        if self._client is not None and self._client.pid is not None:
            own = own | {self._client.pid}
        return own

    async def _connected(self) -> ControlClient:
        if self._closed:
            raise TmuxGone("the server is stopping")
        client = self._client
        if client is None or not client.alive:
            if self._connecting is None:
                self._connecting = self._background.start(self._connect())
                self._connecting.add_done_callback(self._tried)
            # All who ask wait for the one attempt: where tmux hangs, each of their own would wait after the others.
            attempt = self._connecting
            try:
                client = await asyncio.shield(attempt)
            except asyncio.CancelledError:
                if attempt.cancelled():
                    raise TmuxGone("the server is stopping") from None
                raise
        self._release()
        return client

    async def _connect(self) -> ControlClient:
        async with self._quiet:
            self._client = None
            if not await self._tmux.has_sessions(self._timeout):
                raise TmuxGone("no tmux session runs")
            client = ControlClient(
                self._tmux,
                flags="no-output,ignore-size",
                timeout=self._timeout,
                on_event=self._event,
                on_exit=self._exited,
            )
            await client.start()
            self._client = client
            return client

    def _tried(self, task: asyncio.Task[ControlClient]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # Whoever waits has it.

    async def _keep(self) -> None:
        """Be connected while held; look for a server while there is none."""
        try:
            while self._holders and not self._closed:
                self._wake.clear()
                try:
                    await self.sessions()
                except TmuxError:
                    pass  # Known to whoever asks; here it only means that there is nothing to tell.
                connected = self._client is not None and self._client.alive
                try:
                    await asyncio.wait_for(self._wake.wait(), None if connected else POLL_SECONDS)
                except TimeoutError:
                    continue
        finally:
            self._keeping = False

    def _exited(self, reason: str) -> None:
        # One that never got connected wakes nobody: the next look comes with the next poll, not at once.
        if self._client is not None:
            self._wake.set()

    def _event(self, event: Event) -> None:
        if isinstance(event, Notice) and event.name in _CHANGES and self._relist is None:
            self._relist = self._background.later(DEBOUNCE_SECONDS, self._list_again)

    def _list_again(self) -> None:
        self._relist = None
        client = self._client
        if client is None or not client.alive:
            return

        def learn(result: list[Reply] | TmuxError) -> None:
            if not isinstance(result, TmuxError):
                self._learn(parse_sessions(result, self._pids()))

        try:
            client.submit(LIST_SESSIONS, learn, blocks=2)
        except TmuxError:
            self._wake.set()

    def _learn(self, sessions: list[SessionInfo]) -> None:
        if sessions != self._known:
            self._known = sessions
            self._on_change(sessions)

    def _release(self) -> None:
        """With nobody holding it, the client ends after a while."""
        self._cancel_timer()
        if self._holders or self._closed:
            return
        self._wake.set()
        if self._client is not None:
            self._timer = self._background.later(self._linger, self._let_go)

    def _let_go(self) -> None:
        client, self._client = self._client, None
        self._known = None
        if client is not None:
            self._ending.add(client)
            self._background.spawn(client.stop(), "directory-end")

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
