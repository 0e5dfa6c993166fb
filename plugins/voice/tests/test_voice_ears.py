"""eaRS's protocol at /api/voice/stt, from outside, with the real engines."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import struct
from collections.abc import Iterator

import psutil
import pytest
import websockets
from earsclient import PATH, ears, words
from harness import Server, running
from speech import CLEAR, RATE, THANKS, errors, frames, plain, said, silence

BUSY = "server busy - maximum concurrent sessions reached"
USERS = ("ann", "bob")


class Site:
    """A server and its users' cookies."""

    def __init__(self, server: Server) -> None:
        self.server, self.ws_url = server, server.ws_url
        server.add_users(dict.fromkeys(USERS, "viewer"))
        self.cookies = {name: server.cookie(name) for name in USERS}

    def ears(self, who: str = "ann"):
        return ears(self.ws_url, self.cookies[who])

    def workers(self) -> list[psutil.Process]:
        """The engines' processes."""
        process = self.server.process
        assert process is not None
        found = psutil.Process(process.pid).children(recursive=True)
        return [one for one in found if any("engines.models" in part for part in one.cmdline())]


def site_of(folder, **stt) -> Iterator[Site]:
    with running(folder, {"plugins": {"voice": {"enabled": True, "stt": stt}}}) as server:
        yield Site(server)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    yield from site_of(tmp_path_factory.mktemp("ears"), max_sessions=3, max_sessions_per_user=2)


@pytest.fixture(scope="module")
def quick(tmp_path_factory) -> Iterator[Site]:
    """A server that ends what it listens to by itself."""
    yield from site_of(tmp_path_factory.mktemp("quick"), vad=True, vad_timeout=0.8, silent_seconds=0.5, max_seconds=6.0)


def text_of(events) -> str:
    assert events[-1]["type"] == "final", events
    return events[-1]["text"]


# -- what is said -----------------------------------------------------------------------------------------------


async def test_a_sentence_is_told_word_by_word_and_then_whole(site: Site) -> None:
    async with site.ears() as ann:
        sound = said(CLEAR)
        await ann.say(sound)
        await ann.tell("stop")
        events = await ann.rest()
    assert events[0] == {"type": "enginechanged", "engine": "kyutai"}
    assert {one["type"] for one in events[1:-1]} == {"word"}
    assert plain(text_of(events)) == plain(CLEAR)
    assert ann.code == 1000
    told = words(events)
    assert plain(" ".join(one["word"] for one in told)) == plain(CLEAR)
    times = [time for one in told for time in (one["start_time"], one["end_time"])]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= len(sound) / 4 / RATE + 0.5
    assert set(told[0]) == {"type", "word", "start_time", "end_time"}
    assert [set(one) for one in events[-1]["words"]] == [{"word", "start_time", "end_time"}] * len(plain(CLEAR))
    assert events[-1]["text"] == " ".join(one["word"] for one in events[-1]["words"])


async def test_words_come_while_somebody_speaks(site: Site) -> None:
    async with site.ears() as ann:
        await ann.say(said(CLEAR) + said(THANKS))
        events = await ann.until("word")
        assert plain(events[-1]["word"]) == ["stop"]
        await ann.tell("stop")
        assert plain(text_of(await ann.rest())) == plain(f"{CLEAR} {THANKS}")


async def test_another_engine_is_chosen_by_its_name(site: Site) -> None:
    async with site.ears() as ann:
        await ann.tell("setengine", engine="pocketsphinx")
        events = await ann.until("enginechanged") + await ann.until("enginechanged")
        assert [one["engine"] for one in events] == ["kyutai", "pocketsphinx"]
        await ann.say(said(CLEAR))
        await ann.tell("stop")
        events = await ann.rest()
    assert errors(CLEAR, text_of(events)) <= 1, text_of(events)
    assert all(one["start_time"] < one["end_time"] for one in events[-1]["words"])


async def test_silence_and_noise_are_no_words(site: Site) -> None:
    chance = random.Random(8)
    noise = b"".join(struct.pack("<f", chance.gauss(0, 0.02)) for _ in range(3 * RATE))
    async with site.ears() as ann:
        await ann.say(silence(3) + noise)
        await ann.connection.send("stop")
        assert await ann.rest() == [
            {"type": "enginechanged", "engine": "kyutai"},
            {"type": "final", "text": "", "words": []},
        ]
        assert ann.code == 1000


@pytest.mark.parametrize("stop", ["stop", " stop\n", '{"type":"stop"}'])
async def test_stop_alone_ends_it(site: Site, stop: str) -> None:
    async with site.ears() as ann:
        await ann.connection.send(stop)
        assert (await ann.rest())[-1] == {"type": "final", "text": "", "words": []}


async def test_restart_begins_anew(site: Site) -> None:
    async with site.ears() as ann:
        await ann.say(said(CLEAR) + silence(1))
        await ann.tell("restart")
        await ann.tell("getstatus")
        before = await ann.until("status")
        assert words(before)
        await ann.say(said(THANKS))
        await ann.tell("stop")
        events = await ann.rest()
    assert plain(text_of(events)) == plain(THANKS)
    assert events[-1]["words"][0]["start_time"] < 1.5


# -- commands ---------------------------------------------------------------------------------------------------


async def test_commands_are_answered_in_order_and_what_is_unknown_is_ignored(site: Site) -> None:
    async with site.ears() as ann:
        for type, fields in (
            ("getstatus", {}),
            ("pause", {}),
            ("resume", {}),
            ("setvadtimeout", {"seconds": 3}),
            ("dance", {"how": "well"}),
            ("setlanguage", {"lang": "en-GB"}),
            ("setlanguage", {"lang": "tlh"}),
            ("setlanguage", {"lang": 7}),
            ("setengine", {"engine": "parakeet"}),
            ("setengine", {"engine": "nosuch"}),
            ("setengine", {"engine": ["kyutai"]}),
        ):
            await ann.tell(type, **fields)
        for odd in ("", "hello", "{", "[]", '"stop"', '{"type":1}', "null", "{}", "STOP", "é" * 1000):
            await ann.connection.send(odd)
        await ann.tell("getstatus")
        await ann.connection.send("stop")
        events = await ann.rest()
    status = {"type": "status", "paused": False, "vad": False, "timestamps": True, "vad_timeout": None}
    no_language, no_engine = (
        {"type": "error", "message": "language not available: en"},
        {"type": "error", "message": "unknown engine"},
    )
    assert events == [
        {"type": "enginechanged", "engine": "kyutai"},
        status | {"lang": "en", "engine": "kyutai"},
        {"type": "languagechanged", "lang": "en-GB"},
        no_language,
        no_language,
        {"type": "enginechanged", "engine": "parakeet"},
        no_engine,
        no_engine,
        status | {"lang": "en-GB", "engine": "parakeet"},
        {"type": "final", "text": "", "words": []},
    ]


async def test_the_second_way_tells_of_pauses_and_stays(site: Site) -> None:
    async with site.ears() as ann:
        await ann.tell("setengine", engine="parakeet")
        await ann.say(said(CLEAR) + silence(1.5))
        events = await ann.until("pause")
        assert plain(" ".join(one["word"] for one in words(events))) == plain(CLEAR)
        assert events[-1]["timestamp"] == pytest.approx(len(said(CLEAR)) / 4 / RATE, abs=1.0)
        await ann.say(said(THANKS))
        await ann.tell("stop")
        assert plain(text_of(await ann.rest())) == plain(f"{CLEAR} {THANKS}")


# -- odd sound --------------------------------------------------------------------------------------------------


async def test_bytes_beyond_the_last_sample_of_a_frame_are_dropped(site: Site) -> None:
    async with site.ears() as ann:
        for frame, more in zip(frames(said(CLEAR)), itertools.cycle(range(4)), strict=False):
            await ann.connection.send(frame + b"\xff" * more)
        for more in range(4):
            await ann.connection.send(b"\x7f" * more)
        await ann.tell("stop")
        assert plain(text_of(await ann.rest())) == plain(CLEAR)


async def test_samples_that_are_no_numbers_or_too_large_do_no_harm(site: Site) -> None:
    odd = (math.nan, math.inf, -math.inf, 1e30, -1e30, -0.0, 1e-42)
    junk = struct.pack("<7f", *odd) * 1000
    loud = said(CLEAR)
    loud = struct.pack(f"<{len(loud) // 4}f", *(4 * one for (one,) in struct.iter_unpack("<f", loud)))
    assert max(one for (one,) in struct.iter_unpack("<f", loud)) > 1.5
    async with site.ears() as ann:
        await ann.say(junk + loud[: 4 * RATE] + silence(1) + said(THANKS))
        await ann.tell("stop")
        heard = plain(text_of(await ann.rest()))
    assert heard[-len(plain(THANKS)) :] == plain(THANKS)
    assert ann.code == 1000


async def test_one_frame_may_hold_much(site: Site) -> None:
    async with site.ears() as ann:
        await ann.connection.send(said(CLEAR) + silence(1) + said(THANKS))
        await ann.tell("stop")
        assert plain(text_of(await ann.rest())) == plain(f"{CLEAR} {THANKS}")


# -- places -----------------------------------------------------------------------------------------------------


async def test_who_finds_no_place_is_told_and_gets_one_later(site: Site) -> None:
    async with site.ears() as one, site.ears() as two, site.ears() as three:
        for ear in (one, two):
            await ear.tell("getstatus")
            await ear.until("status")
        await three.say(silence(0.1))
        assert await three.rest() == [{"type": "error", "message": BUSY}]
        assert three.code == 1013
        async with site.ears("bob") as bob, site.ears("bob") as more:
            await bob.tell("getstatus")
            await bob.until("status")
            await more.tell("getstatus")
            assert await more.rest() == [{"type": "error", "message": BUSY}]
            await bob.tell("stop")
            await bob.rest()
        await one.tell("stop")
        await one.rest()
        async with site.ears() as again:
            await again.tell("getstatus")
            await again.until("status")


async def test_who_leaves_makes_room(site: Site) -> None:
    for _ in range(2):
        async with site.ears() as one, site.ears() as two:
            for ear in (one, two):
                await ear.tell("getstatus")
                assert (await ear.until("status"))[-1]["type"] == "status"
            await one.say(said(CLEAR))
            two.connection.transport.abort()
        await _no_streams(site)


async def _no_streams(site: Site) -> None:
    """Wait until the server has noticed that nobody speaks any more."""
    async with site.ears() as ann:
        while True:
            await ann.tell("liststreams")
            if not (await ann.next())["stream_ids"]:
                return


# -- listeners --------------------------------------------------------------------------------------------------


async def test_a_listener_follows_streams_of_its_own_user(site: Site) -> None:
    await _no_streams(site)
    async with site.ears() as speaker, site.ears() as listener, site.ears("bob") as bob:
        await speaker.tell("getstatus")
        await speaker.until("status")
        await listener.tell("authenticate", token="whatever")
        assert await listener.next() == {"type": "authenticated", "success": True}
        await listener.tell("liststreams")
        (number,) = (await listener.next())["stream_ids"]
        await bob.tell("liststreams")
        assert await bob.next() == {"type": "streams", "stream_ids": []}
        for wrong in (number, number + 1, None, True, "1", [number]):
            await bob.tell("subscribe", stream_id=wrong)
            assert await bob.next() == {"type": "error", "message": "stream not found"}
        await bob.tell("authenticate")
        assert await bob.next() == {"type": "error", "message": "invalid token"}
        await bob.connection.send(b"\0" * 4096)
        await listener.tell("subscribe", stream_id=number)
        assert await listener.next() == {"type": "subscribed", "stream_id": number}
        await speaker.say(said(CLEAR))
        await speaker.tell("stop")
        told = await speaker.rest()
        heard = await listener.until("final")
        assert heard == told
        assert plain(text_of(heard)) == plain(CLEAR)
        await listener.tell("liststreams")
        assert await listener.next() == {"type": "streams", "stream_ids": []}


# -- faults -----------------------------------------------------------------------------------------------------


async def test_a_crash_of_the_engine_is_told_once_and_the_next_is_served(site: Site) -> None:
    async with site.ears() as ann, site.ears("bob") as bob:
        for ear in (ann, bob):
            await ear.tell("getstatus")
            await ear.until("status")
        for worker in site.workers():
            worker.kill()
        for ear in (ann, bob):
            await ear.say(said(CLEAR))
            assert await ear.rest() == [{"type": "error", "message": "internal server error"}]
            assert ear.code == 1011
    async with site.ears() as ann:
        await ann.say(said(CLEAR))
        await ann.tell("stop")
        assert plain(text_of(await ann.rest())) == plain(CLEAR)
    assert "an engine of speech failed" in site.server.stderr
    assert "container" not in site.server.stderr


async def test_who_is_not_signed_in_is_refused(site: Site) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(site.ws_url + PATH):
            pass
    assert refused.value.response.status_code == 401


# -- what ends by itself ----------------------------------------------------------------------------------------


async def test_a_silence_ends_an_utterance(quick: Site) -> None:
    async with quick.ears() as ann:
        await ann.tell("getstatus")
        status = (await ann.until("status"))[-1]
        assert (status["vad"], status["vad_timeout"]) == (True, 0.8)
        await ann.say(said(CLEAR) + silence(2))
        assert plain(text_of(await ann.rest())) == plain(CLEAR)
        assert ann.code == 1000


async def test_who_sends_nothing_has_finished(quick: Site) -> None:
    async with quick.ears() as ann:
        await ann.say(said(CLEAR)[: -4 * RATE // 4])
        assert plain(text_of(await ann.rest())) == plain(CLEAR)


async def test_nobody_is_listened_to_for_ever(quick: Site) -> None:
    async with quick.ears() as ann:
        await ann.tell("setengine", engine="parakeet")

        async def speak() -> None:
            while True:
                await ann.say(said(CLEAR))

        speaking = asyncio.create_task(speak())
        text = text_of(await ann.rest())
        await asyncio.gather(speaking, return_exceptions=True)
    assert 1 <= text.lower().count("container") <= 3, text
