"""Clients of voice that want to do harm, or cannot do better: nobody else notices, and nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import struct
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest
import websockets
from harness import Server, running
from waits import WAIT
from websockets.exceptions import ConnectionClosed

STT, TTS = "/api/voice/stt", "/api/voice/tts"
BUSY = "server busy - maximum concurrent sessions reached"
NOISE = b"".join(struct.pack("<f", random.Random(7).uniform(-0.5, 0.5)) for _ in range(24_000))


@dataclass
class Site:
    server: Server
    cookies: dict[str, str]

    def connect(self, path: str, who: str = "eve", **options: Any) -> websockets.connect:
        headers = {"Cookie": self.cookies[who]}
        return websockets.connect(
            f"{self.server.ws_url}{path}", additional_headers=headers, open_timeout=WAIT, **options
        )

    def rss(self) -> float:
        """Megabytes of the server's own process."""
        assert self.server.process is not None
        return psutil.Process(self.server.process.pid).memory_info().rss / 1e6

    async def health(self) -> float:
        """Seconds until it says that it is well."""
        began = time.monotonic()
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{self.server.url}/health", timeout=WAIT)).status_code == 200
        return time.monotonic() - began


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    stt = {"max_sessions": 4, "max_sessions_per_user": 2}
    tts = {"max_sessions": 8, "max_sessions_per_user": 2}
    config = {"plugins": {"voice": {"enabled": True, "stt": stt, "tts": tts}}, "limits": {"enabled": False}}
    with running(tmp_path_factory.mktemp("attacked"), config) as server:
        server.add_users({"ann": "viewer", "eve": "viewer"})
        yield Site(server, {name: server.cookie(name) for name in ("ann", "eve")})
        assert "Traceback" not in server.stderr


async def rest(link: websockets.ClientConnection) -> list[dict[str, Any]]:
    said = []
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(WAIT):
            while True:
                said.append(json.loads(await link.recv()))
    return said


async def is_heard(site: Site, who: str) -> None:
    """Somebody's utterance is taken and answered; as soon as there is a place."""
    async with asyncio.timeout(WAIT):
        while True:
            async with site.connect(STT, who) as link:
                await link.send(bytes(24_000))
                await link.send("stop")
                said = await rest(link)
            if said[0].get("message") != BUSY:
                break
            await asyncio.sleep(0.05)
    assert said[-1]["type"] == "final"


async def is_said(site: Site, who: str) -> None:
    async with asyncio.timeout(WAIT):
        while True:
            async with site.connect(TTS, who) as link:
                await link.send(json.dumps({"command": "synthesize", "text": "So it is."}))
                said = [json.loads(await link.recv())]
                while said[-1]["type"] not in ("synthesis_completed", "error"):
                    said.append(json.loads(await link.recv()))
            if said[0].get("message") != BUSY:
                break
            await asyncio.sleep(0.05)
    assert [one["type"] for one in said] == ["synthesis_started", "audio_chunk", "synthesis_completed"]


HOSTILE = [
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"command":"stream_start","type":"setlanguage","lang":"en-\\ud800","stream_id":"\\ud800"}',
    '{"command":"set_speed","type":"setvadtimeout","speed":1e999,"seconds":1e999}',
    '{"command":"set_speed","type":"getstatu","speed":' + "9" * 5000 + "}",
    '{"command":["set_voice"],"type":{"stop":1}}',
    '{"command":"set_voice","type":"setengine","voice":"' + "+".join(["af_sky.4"] * 5000) + '","engine":["x"]}',
    '{"command":"set_language","type":"setengine","language":"' + "a-" * 5000 + '","engine":"__class__"}',
    '{"command":"__init__","type":"__init__"}',
    '{"command":"stream_cancel","type":"subscribe","stream_id":-1}',
    "null",
    "\0",
    "",
]


async def test_hostile_commands_are_refused_and_the_connection_goes_on(site: Site) -> None:
    async with site.connect(TTS) as link:
        for text in HOSTILE:
            await link.send(text)
            assert json.loads(await link.recv())["type"] == "error", text[:80]
        await link.send(b"\0" * 1000)
        assert json.loads(await link.recv())["type"] == "error"
        await link.send('{"command":"list_voices"}')
        assert json.loads(await link.recv())["type"] == "voices"
    async with site.connect(STT) as link:
        await link.send(b"\0\0\0\0")
        for text in HOSTILE:
            await link.send(text)
        await link.send("stop")
        said = await rest(link)
    assert {one["type"] for one in said} <= {"enginechanged", "languagechanged", "error", "final"}
    assert said[-1]["type"] == "final"


@pytest.mark.parametrize("path", [STT, TTS])
async def test_a_message_without_end_closes(site: Site, path: str) -> None:
    async with site.connect(path, max_size=None) as link:
        with contextlib.suppress(ConnectionClosed):
            await link.send(b"\0" * (32 << 20) if path == STT else "x" * (32 << 20))
        await rest(link)
    assert link.close_code in (1009, 1006)  # 1006: it was cut off while it still sent.
    assert await site.health() < 5


async def test_of_a_crowd_as_many_are_served_as_may_be(site: Site) -> None:
    async def one() -> str:
        async with site.connect(STT) as link:
            await link.send(bytes(4096))
            first = json.loads(await link.recv())
            if first["type"] == "enginechanged":
                await link.send("stop")
                await rest(link)
                return "served"
            assert first["message"] == BUSY
            await rest(link)
            assert link.close_code == 1013
            return "busy"

    async with asyncio.timeout(2 * WAIT):
        crowd, _ = await asyncio.gather(asyncio.gather(*(one() for _ in range(40))), is_heard(site, "ann"))
    found = Counter(crowd)
    assert found["served"] >= 2
    assert found["busy"] >= 1
    await is_heard(site, "eve")


async def test_who_vanishes_at_whatever_time_leaves_no_place_taken(site: Site) -> None:
    for path, first in ((STT, bytes(4096)), (TTS, '{"command":"synthesize","text":"Not so. But so."}')):
        for number in range(12):
            link = await site.connect(path)
            await link.send(first)
            if number % 3 == 1:
                await link.recv()
            link.transport.abort()
    await is_heard(site, "eve")
    await is_said(site, "eve")


async def test_speech_that_nobody_reads_is_not_made_in_advance(site: Site) -> None:
    await is_said(site, "eve")
    before = site.rss()
    text = json.dumps({"command": "synthesize", "text": "This is one sentence of very many of them. " * 1400})
    async with site.connect(TTS, max_queue=1) as deaf, site.connect(TTS, max_queue=1) as mute:
        await deaf.send(text)
        for _ in range(20_000):
            await mute.send('{"command":"list_voices"}')
        await is_said(site, "ann")
        assert await site.health() < 5
        assert site.rss() - before < 60, "what is not read is not kept"
        deaf.transport.abort()
        mute.transport.abort()
    await is_said(site, "eve")


async def test_who_floods_with_sound_waits_and_others_are_heard(site: Site) -> None:
    await is_heard(site, "eve")
    before, sent = site.rss(), 0

    async def flood() -> None:
        nonlocal sent
        async with site.connect(STT) as link:
            reading = asyncio.create_task(rest(link))
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await link.send(NOISE)
                    sent += 1
            await reading

    floods = [asyncio.create_task(flood()) for _ in range(2)]
    try:
        async with asyncio.timeout(WAIT):
            while sent < 10:
                await asyncio.sleep(0.02)
        await is_heard(site, "ann")
        assert await site.health() < 5
        assert site.rss() - before < 60
    finally:
        for each in floods:
            each.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
    await is_heard(site, "eve")
