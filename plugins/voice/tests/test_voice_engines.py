"""Engines that hear: another plugin's, those that lack something, and workers that serve many, for long, or die."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from importlib.machinery import ModuleSpec

import psutil
import pytest
import websockets
from moorage.api import Manifest, Plugin, TaskSupervisor, WorkerBusy, WorkerSpec, hookimpl
from moorage_voice.engines import listening, packages
from moorage_voice.engines.base import EngineBusy, EngineFailed, Heard, Recognition, SpeechToText, Word
from moorage_voice.engines.listening import WorkerRecognition
from moorage_voice.engines.pool import WorkerPool
from moorage_voice.protocols import earspeaker
from speech import CLEAR, RATE, THANKS, frames, plain, said, silence
from waits import WAIT

BUSY = "server busy - maximum concurrent sessions reached"


class Counting(Recognition):
    """Hears a word in each second. Fails on what is loud."""

    def __init__(self) -> None:
        self.fed, self.told = 0.0, 0

    async def feed(self, samples: bytes) -> Heard:
        values = array.array("f", samples)
        if min(values) == -1.0:
            raise ValueError("what a stranger raises")
        if min(values) == -0.5:
            await asyncio.sleep(WAIT)
        assert all(-1.0 <= one <= 1.0 for one in values)
        if max(values) == 1.0:
            raise EngineFailed("too loud")
        self.fed += len(values) / RATE
        new = range(self.told + 1, int(self.fed) + 1)
        self.told = int(self.fed)
        return Heard(tuple(Word(str(number), float(number)) for number in new))

    async def finish(self) -> Heard:
        return Heard((Word("end", self.fed),), whole=(Word("all", 0.0), Word("of it", 1.0, 2.0)))

    async def close(self) -> None:
        Counter.open_ones -= 1


class Counter(SpeechToText):
    name, label, languages = "counter", "Counter", ("en", "de")
    open_ones = closed = 0

    def lacking(self) -> str:
        return ""

    async def open(self, language: str | None = None) -> Recognition:
        if Counter.open_ones:
            raise EngineBusy
        Counter.open_ones += 1
        return Counting()

    async def close(self) -> None:
        Counter.closed += 1


class Lame(Counter):
    name = "lame"

    def lacking(self) -> str:
        return "a leg is missing."


class Thief(Counter):
    name = "moonshine"


class Guest(Plugin):
    manifest = Manifest(name="guest", version="1", summary="Engines", after=("voice",))

    @hookimpl(optionalhook=True)
    def moorage_voice_stt(self):
        return [Counter(), Lame(), Thief()]


async def all_of(socket) -> list[dict]:
    """The events until the server closes."""
    events = []
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            events.append(json.loads(await socket.recv()))
    return events


async def test_another_plugins_engine(moorage_server) -> None:
    Counter.open_ones = Counter.closed = 0
    config = {"plugins": {"voice": {"stt": {"engine": "counter", "max_sessions_per_user": 4}}}}
    async with moorage_server("voice", Guest, config=config) as server:
        ann = await server.as_user()
        async with ann.connect("/api/voice/stt") as socket, ann.connect("/api/voice/stt") as other:
            await socket.send(silence(2.5))
            for command in ({"type": "setlanguage", "lang": "de-AT"}, {"type": "setengine", "engine": "lame"}):
                await socket.send(json.dumps(command))
            events = [json.loads(await socket.recv()) for _ in range(5)]
            assert events[1] == {"type": "word", "word": "1", "start_time": 1.0, "end_time": None}
            assert events[3:] == [
                {"type": "languagechanged", "lang": "de-AT"},
                {"type": "error", "message": "engine not available"},
            ]
            await other.send("hello")
            assert await all_of(other) == [{"type": "error", "message": BUSY}]
            assert other.close_code == 1013
            await socket.send("stop")
            last = (await all_of(socket))[-1]
            assert (last["text"], last["words"][0]["end_time"]) == ("all of it", None)
        async with ann.connect("/api/voice/stt") as socket:
            await socket.send(b"\0\0\x80\x7f" * RATE)  # Infinity, which is brought down to 1.
            assert [one["type"] for one in await all_of(socket)] == ["enginechanged", "error"]
            assert socket.close_code == 1011
        assert (await ann.get("/health")).status_code == 200
        assert Counter.open_ones == 0
    # The one whose name was taken was never used, and so is not closed.
    assert Counter.closed == 2


@pytest.mark.parametrize("level", [-1.0, -0.5])
async def test_what_a_strangers_engine_does_wrong_is_told(moorage_server, monkeypatch, level) -> None:
    monkeypatch.setattr(earspeaker, "ENGINE_SECONDS", 0.2)
    Counter.open_ones = 0
    config = {"plugins": {"voice": {"stt": {"engine": "counter"}}}}
    async with moorage_server("voice", Guest, config=config) as server:
        ann = await server.as_user()
        async with ann.connect("/api/voice/stt") as socket:
            await socket.send(array.array("f", [level] * RATE).tobytes())
            events = await asyncio.wait_for(all_of(socket), WAIT)
            assert events[-1] == {"type": "error", "message": "internal server error"}
            assert socket.close_code == 1011
        assert Counter.open_ones == 0
        async with ann.connect("/api/voice/stt") as socket:
            await socket.send("stop")
            assert (await all_of(socket))[-1]["type"] == "final"


def test_what_an_engine_lacks_is_said_with_its_mend(monkeypatch, tmp_path) -> None:
    assert packages.lacking({"json": "json"}, "voice") == ""
    said = packages.lacking({"json": "json", "no_such.module": "no-such", "no_such": "nor-this"}, "voice,voice-x")
    assert said == 'not installed: no-such, nor-this (pip install "moorage[voice,voice-x]").'
    monkeypatch.setattr(packages, "find_spec", lambda name: ModuleSpec(name, None, origin=str(tmp_path / "x.py")))
    assert listening.moonshine_lacking() == (
        "the moonshine-voice that is installed has no weights: pip install moonshine-voice==0.1.0."
    )


# -- workers ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def tasks() -> AsyncIterator[TaskSupervisor]:
    made = TaskSupervisor("test")
    yield made
    await made.stop()


@pytest.fixture
async def pool(tasks: TaskSupervisor) -> AsyncIterator[WorkerPool]:
    spec = WorkerSpec("voice-test", "moorage_voice.engines.models.moonshine:Model")
    made = WorkerPool(tasks, spec, 2)
    yield made
    await made.close()


async def hear(one: WorkerRecognition, sound: bytes) -> str:
    """Feed it all; the text."""
    told: list[Word] = []
    for frame in frames(sound, RATE // 2):
        told += (await one.feed(frame)).words
    last = await one.finish()
    return " ".join(word.word for word in (last.whole or [*told, *last.words]))


async def test_workers_share_the_work_and_one_that_dies_takes_only_its_own(tasks, pool) -> None:
    first = await WorkerRecognition.begin(tasks, pool, 1)
    second = await WorkerRecognition.begin(tasks, pool, 2)
    third = await WorkerRecognition.begin(tasks, pool, 3)
    assert len(pool.pids) == 2
    psutil.Process(pool.pids[0]).kill()
    results = [await _heard(one) for one in (first, second, third)]
    assert sorted(results) == ["failed", "failed", "heard"] or sorted(results) == ["failed", "heard", "heard"]
    for one in (first, second, third):
        await one.close()
        await one.close()
    again = await WorkerRecognition.begin(tasks, pool, 4)
    assert plain(await hear(again, said(THANKS))) == plain(THANKS)
    await again.close()


async def _heard(one: WorkerRecognition) -> str:
    try:
        await one.feed(silence(0.5))
    except EngineFailed:
        return "failed"
    return "heard"


async def test_a_recognition_that_is_closed_or_unknown_is_no_crash(tasks, pool) -> None:
    one = await WorkerRecognition.begin(tasks, pool, 1)
    await one.close()
    with pytest.raises(EngineFailed):
        await one.feed(silence(0.1))
    other = await WorkerRecognition.begin(tasks, pool, 2)
    await other.feed(silence(0.1))
    await other.close()


async def test_a_process_with_too_much_to_do_is_told_later_what_was_given_up(tasks, monkeypatch) -> None:
    monkeypatch.setattr(listening, "AGAIN_SECONDS", 0.0)
    answers: list[Exception | None] = [WorkerBusy("256 wait"), WorkerBusy("256 wait"), None]
    told = asyncio.Event()

    class Session:
        async def call(self, method: str, **params: object) -> None:
            assert (method, params) == ("close", {"number": 7})
            answer = answers.pop(0)
            if answer is not None:
                raise answer
            told.set()

    await WorkerRecognition(tasks, contextlib.AsyncExitStack(), Session(), 7).close()
    await asyncio.wait_for(told.wait(), WAIT)
    assert answers == []


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["moonshine", "pocketsphinx"])
async def test_an_hour_needs_no_more_memory_than_its_beginning(tasks, engine) -> None:
    """Silence, and in each ten minutes noise and a sentence; the memory after a tenth of it, and at the end."""
    pool = WorkerPool(tasks, WorkerSpec("voice-test", f"moorage_voice.engines.models.{engine}:Model"), 1)
    chance = random.Random(3)
    noise = array.array("f", [chance.gauss(0, 0.003) for _ in range(30 * RATE)]).tobytes()
    busy = noise + silence(30) + said(CLEAR)
    one = await WorkerRecognition.begin(tasks, pool, 1)
    (pid,) = pool.pids
    sizes, told = [], []
    for number in range(60):
        sound = busy if number % 10 == 0 else silence(60)
        for frame in frames(sound, RATE):
            told += (await one.feed(frame)).words
        sizes.append(psutil.Process(pid).memory_info().rss / 2**20)
    last = await one.finish()
    await one.close()
    await pool.close()
    assert sizes[-1] - sizes[5] < 30, sizes
    whole = list(last.whole or [*told, *last.words])
    assert max(word.start_time for word in whole) > 3000
    if engine == "moonshine":
        assert plain(" ".join(word.word for word in whole)) == plain(CLEAR) * 6
