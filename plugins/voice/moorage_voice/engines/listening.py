"""Engines that hear, in worker processes: moonshine and pocketsphinx. What runs there is in `models`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from moorage.api import Hub, TaskSupervisor, WorkerBusy, WorkerError, WorkerReply, WorkerSession, WorkerSpec

from moorage_voice.config import SttConfig
from moorage_voice.engines import packages
from moorage_voice.engines.base import EngineBusy, EngineFailed, Heard, Recognition, SpeechToText, Word
from moorage_voice.engines.pool import WorkerPool

CALL_SECONDS = 30.0
"""In which a second of sound must have been worked in. It takes some tenths of one."""
AGAIN_SECONDS = 0.5
"""After which a process that has too much to do is told again that a recognition was given up."""
WEIGHTS = "assets/tiny-en/encoder_model.ort"


def moonshine(hub: Hub, config: SttConfig) -> SpeechToText:
    """Moonshine tiny: neural, English, the weights in the package."""
    return Listening(hub, config, "moonshine", "Moonshine tiny", moonshine_lacking)


def moonshine_lacking() -> str:
    """As of `SpeechToText`."""
    why = packages.lacking({"numpy": "numpy", "moonshine_voice": "moonshine-voice"}, "voice,voice-moonshine")
    folder = packages.folder_of("moonshine_voice")
    if not why and folder is not None and not (folder / WEIGHTS).is_file():
        return "the moonshine-voice that is installed has no weights: pip install moonshine-voice==0.1.0."
    return why


def pocketsphinx(hub: Hub, config: SttConfig) -> SpeechToText:
    """CMU PocketSphinx: small and old, English, the model in the package."""

    def lacking() -> str:
        needed = {"numpy": "numpy", "soxr": "soxr", "pocketsphinx": "pocketsphinx"}
        return packages.lacking(needed, "voice,voice-pocketsphinx")

    return Listening(hub, config, "pocketsphinx", "CMU PocketSphinx", lacking)


class Listening(SpeechToText):
    """An engine whose model is `models/<name>.py`, which has a `Model` (see `models`)."""

    languages = ("en",)

    def __init__(self, hub: Hub, config: SttConfig, name: str, label: str, lacking: Callable[[], str]) -> None:
        self.name, self.label, self._lacking = name, label, lacking
        spec = WorkerSpec(
            name=f"voice-{name}",
            target=f"moorage_voice.engines.models.{name}:Model",
            environ={"OMP_NUM_THREADS": "1"},
            call_timeout=CALL_SECONDS,
            idle_seconds=config.idle_seconds,
        )
        self.pool = WorkerPool(hub.tasks, spec, config.workers)
        self._tasks, self._numbers = hub.tasks, itertools.count(1)

    def lacking(self) -> str:
        """As of `SpeechToText`."""
        return self._lacking()

    async def open(self, language: str | None = None) -> Recognition:
        """Begin to listen, in the process that has least to do."""
        return await WorkerRecognition.begin(self._tasks, self.pool, next(self._numbers))

    async def close(self) -> None:
        """End the processes."""
        await self.pool.close()


class WorkerRecognition(Recognition):
    """A recognition in a worker process. When that ends, so does it. number: its own among all of the pool."""

    def __init__(self, tasks: TaskSupervisor, stack: AsyncExitStack, session: WorkerSession, number: int) -> None:
        self._tasks, self._stack, self._session, self._number = tasks, stack, session, number
        self._closed = False

    @classmethod
    async def begin(cls, tasks: TaskSupervisor, pool: WorkerPool, number: int) -> WorkerRecognition:
        """Have one begun. EngineBusy, EngineFailed."""
        stack = AsyncExitStack()
        try:
            begun = cls(tasks, stack, await stack.enter_async_context(pool.session()), number)
        except WorkerError as error:
            raise _as_ours(error) from error
        try:
            await begun._call("open")
        except BaseException:
            # Cancelled, it is begun all the same.
            await begun.close()
            raise
        return begun

    async def feed(self, samples: bytes) -> Heard:
        """As of `Recognition`."""
        return _heard(await self._call("feed", samples))

    async def finish(self) -> Heard:
        """As of `Recognition`."""
        return _heard(await self._call("finish"))

    async def close(self) -> None:
        """As of `Recognition`: told to the process in the background, whatever it is at."""
        if self._closed:
            return
        self._closed = True
        try:
            self._tasks.spawn(self._give_up(), "a recognition is given up")
        except RuntimeError:  # The server ends, and with it the process.
            await self._stack.aclose()

    async def _give_up(self) -> None:
        async with self._stack:
            while True:
                try:
                    await self._session.call("close", number=self._number)
                except WorkerBusy:
                    await asyncio.sleep(AGAIN_SECONDS)  # It would keep what it heard for as long as it lives.
                    continue
                except WorkerError:  # It is gone, and all that it held.
                    pass
                return

    async def _call(self, method: str, body: bytes = b"") -> WorkerReply:
        if self._closed:
            raise EngineFailed("it was given up")
        try:
            return await self._session.call(method, body, number=self._number)
        except WorkerError as error:
            raise _as_ours(error) from error


def _as_ours(error: WorkerError) -> EngineBusy | EngineFailed:
    return EngineBusy(str(error)) if isinstance(error, WorkerBusy) else EngineFailed(str(error))


def _heard(reply: WorkerReply) -> Heard:
    data: dict[str, Any] = reply.data
    whole = data.get("whole")
    return Heard(_words(data["words"]), data["pause"], bool(data["speaking"]), None if whole is None else _words(whole))


def _words(given: Sequence[tuple[str, float, float | None]]) -> tuple[Word, ...]:
    return tuple(Word(*one) for one in given)
