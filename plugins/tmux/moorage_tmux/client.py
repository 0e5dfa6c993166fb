"""One tmux control client: a process, its commands and what it tells.

The reader is a callback of the event loop that never waits: it parses, hands events on, and returns. Replies
are handed over inside it as well, so that whoever asked for a screen knows exactly which output came before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from moorage_tmux.protocol import Event, Notice, Output, Parser, ProtocolError, Reply
from moorage_tmux.tmux import Tmux, TmuxError, TmuxGone, TmuxRefused, TmuxSilent

MAX_QUEUE = 4096
MAX_BUFFER = 8 * 1024 * 1024
FAULT = "this server could not take what tmux told"


Callback = Callable[[list[Reply] | TmuxError], None]


RowsOfNext = Callable[[list[Reply]], int]


@dataclass(slots=True)
class _Pending:
    callback: Callback
    blocks: int
    deadline: float
    rows: RowsOfNext | None
    replies: list[Reply] = field(default_factory=list)
    expired: bool = False


class _Pipes(asyncio.SubprocessProtocol):
    """Carries the process's events to the client."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        self._client.received(fd, cast(bytes, data))

    def process_exited(self) -> None:
        # What it wrote last may still be in the pipe: that ends with `connection_lost`, unless tmux itself hangs.
        asyncio.get_running_loop().call_later(0.5, self._client.exited)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.exited()


class ControlClient:
    """`tmux -C attach-session` as a process of ours.

    target: a session's id (`$3`), or None for the one that was used last. flags: as in `attach-session -f`.
    on_event is called with each Output and Notice, on_batch after each chunk, on_exit once when the client ends,
    with the reason that tmux gave. None of them may wait. What raises is logged, and ends the client: events behind it
    are lost, and a reply that is missed would shift all that follow.
    """

    def __init__(
        self,
        tmux: Tmux,
        *,
        target: str | None = None,
        flags: str = "ignore-size",
        timeout: float = 5.0,
        on_event: Callable[[Event], None],
        on_batch: Callable[[], None] | None = None,
        on_exit: Callable[[str], None] | None = None,
    ) -> None:
        self.tmux = tmux
        self.parser = Parser()
        self.timeout = timeout
        self._arguments = ["-N", "-C", "attach-session", "-E", "-f", flags, *(("-t", target) if target else ())]
        self._on_event, self._on_batch, self._on_exit = on_event, on_batch, on_exit
        self._queue: deque[_Pending] = deque()
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._stderr = b""
        self._reason = ""
        self._given_up = False
        self._ended = asyncio.Event()
        self._ready: asyncio.Future[None] | None = None

    @property
    def alive(self) -> bool:
        """True from a successful start until the process ends, is told to, or takes no more commands."""
        # The pipe closes first: uvloop refuses to write into it before the end of the process is known.
        if self._stdin is None or self._stdin.is_closing():
            return False
        return not self._given_up and not self._ended.is_set()

    @property
    def pid(self) -> int | None:
        """The client's process id, as `list-clients` shows it."""
        return self._transport.get_pid() if self._transport else None

    async def start(self) -> None:
        """Start the process and wait until it is attached. Raises TmuxGone when there is nothing to attach to."""
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        try:
            transport, _ = await loop.subprocess_exec(
                lambda: _Pipes(self),
                *self.tmux.argv(*self._arguments),
                env=self.tmux.environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise TmuxError(f"cannot run {self.tmux.binary}: {error.strerror}") from error
        self._transport = transport
        self._stdin = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
        try:
            async with asyncio.timeout(self.timeout):
                await self._ready
        except TimeoutError as error:
            await self.stop()
            raise TmuxSilent from error
        except BaseException:
            await self.stop()
            raise

    def submit(self, command: str, callback: Callback, *, blocks: int = 1, rows: RowsOfNext | None = None) -> None:
        """Send one command line; `callback` is called once, from the reader, with `blocks` replies or an error.

        A line of `a ; b` has as many blocks as commands; at the first error tmux drops the rest. The line must
        hold ids and constants only. rows: tells from the replies so far how many lines the next one has at least.
        Raises TmuxError at once when the client has ended or too much is waiting.
        """
        if not self.alive or self._stdin is None:
            raise TmuxGone(self._reason or "the tmux client has ended")
        if len(self._queue) >= MAX_QUEUE or self._stdin.get_write_buffer_size() > MAX_BUFFER:
            raise TmuxError("tmux does not keep up with its commands")
        loop = asyncio.get_running_loop()
        self._queue.append(_Pending(callback, blocks, loop.time() + self.timeout, rows))
        self._stdin.write(command.encode() + b"\n")
        if self._watchdog is None:
            self._watchdog = loop.call_later(self.timeout, self._check_deadlines)

    async def call(
        self,
        command: str,
        *,
        blocks: int = 1,
        seen: Callable[[list[Reply]], None] | None = None,
        rows: RowsOfNext | None = None,
    ) -> list[Reply]:
        """Send one command line and wait for its replies; `seen` gets them in their place in the stream. TmuxError.

        blocks, rows: as for `submit`. What shows a screen needs `rows`.
        """
        future: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()

        def settle(result: list[Reply] | TmuxError) -> None:
            if isinstance(result, TmuxError):
                if not future.done():
                    future.set_exception(result)
                return
            try:
                if seen is not None:
                    seen(result)
            except Exception:
                if not future.done():
                    future.set_exception(TmuxError(FAULT))
                raise
            if not future.done():
                future.set_result(result)

        self.submit(command, settle, blocks=blocks, rows=rows)
        return await future

    async def stop(self) -> None:
        """Detach and reap the process: end of input, then SIGTERM, then SIGKILL. Safe to call twice."""
        transport = self._transport
        if transport is None:
            return
        if self._stdin is not None:
            self._stdin.close()
            self._stdin = None
        if not await self._ends_within(1.0):
            transport.terminate()
            if not await self._ends_within(1.0):
                transport.kill()
                await self._ends_within(1.0)
        transport.close()
        self._end("stopped")

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    # Called by the process's protocol.

    def received(self, fd: int, data: bytes) -> None:
        """Take what the process wrote."""
        if fd == 2:
            self._stderr = (self._stderr + data)[:4096]
            return
        if self._given_up:
            return
        try:
            for event in self.parser.feed(data):
                if isinstance(event, Output):
                    self._on_event(event)
                elif isinstance(event, Reply):
                    self._replied(event)
                else:
                    self._noticed(event)
            if self._on_batch is not None:
                self._on_batch()
        except ProtocolError as error:
            self._abort(f"tmux spoke nonsense: {error}")
        except Exception as error:
            told = {"message": "A tmux client is given up: what it told could not be taken", "exception": error}
            asyncio.get_running_loop().call_exception_handler(told)
            self._abort(FAULT)

    def exited(self) -> None:
        """The process ended. Called more than once."""
        if self._ended.is_set():
            return
        errors = self._stderr.decode("utf-8", "replace").strip()
        self._ended.set()
        if self._transport is not None:
            self._transport.close()
        self._end(self._reason or errors or "the tmux client has ended")

    def _noticed(self, notice: Notice) -> None:
        if notice.name == "exit":
            self._reason = self._reason or notice.text
        self._on_event(notice)

    def _replied(self, reply: Reply) -> None:
        if not reply.ours:
            # The answer to the attach itself, which is not one of our commands.
            if self._ready is not None and not self._ready.done():
                if reply.ok:
                    self._ready.set_result(None)
                else:
                    self._ready.set_exception(TmuxGone(reply.text() or "tmux refused to attach"))
            return
        if not self._queue:
            self._abort("tmux answered a question that nobody asked")
            return
        pending = self._queue[0]
        pending.replies.append(reply)
        if reply.ok and len(pending.replies) < pending.blocks:
            if pending.rows is not None:
                self.parser.minimum = pending.rows(pending.replies)
            return
        self._queue.popleft()
        if not pending.expired:
            pending.callback(pending.replies if reply.ok else TmuxRefused(reply.text() or "tmux refused"))

    def _check_deadlines(self) -> None:
        self._watchdog = None
        now = asyncio.get_running_loop().time()
        for pending in self._queue:
            if pending.deadline > now:
                break
            if not pending.expired:
                pending.expired = True
                pending.callback(TmuxSilent())
        if not self._queue:
            return
        oldest = self._queue[0]
        if oldest.deadline + self.timeout <= now:
            self._abort("tmux has stopped answering")
            return
        waiting = [pending.deadline for pending in self._queue if not pending.expired]
        due = min(waiting) if waiting else oldest.deadline + self.timeout
        self._watchdog = asyncio.get_running_loop().call_at(due + 0.001, self._check_deadlines)

    def _abort(self, reason: str) -> None:
        """Give the client up: its owner is told by `on_exit` once the process is dead."""
        self._given_up = True
        self._reason = reason
        if self._transport is not None and not self._ended.is_set():
            try:
                self._transport.kill()
            except ProcessLookupError:
                return

    def _end(self, reason: str) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if self._ready is not None and not self._ready.done():
            # Whoever may not use the socket must hear so; all else means that there is nothing to attach to.
            self._ready.set_exception((TmuxError if "ermission denied" in reason else TmuxGone)(reason))
        queue, self._queue = self._queue, deque()
        for pending in queue:
            if not pending.expired:
                pending.callback(TmuxGone(reason))
        on_exit, self._on_exit = self._on_exit, None
        if on_exit is not None:
            on_exit(reason)


def is_id(text: str) -> bool:
    """True for a tmux id (`$3`, `@1`, `%12`): the only kind of target that is ever put into a command."""
    return len(text) > 1 and text[0] in "$@%" and text[1:].isascii() and text[1:].isdigit()


def shown(replies: Sequence[Reply], index: int = 0) -> list[str]:
    """The lines of one reply as text."""
    return [line.decode("utf-8", "replace") for line in replies[index].lines]
