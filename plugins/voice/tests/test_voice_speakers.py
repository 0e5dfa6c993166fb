"""Engines that speak, of other plugins: well-behaved and not; and clients that do not read."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json

import pytest
import websockets
from moorage.api import Manifest, Plugin, hookimpl
from moorage_voice import speech
from moorage_voice.engines.base import EngineBusy, Speech, TextToSpeech, Voice
from moorage_voice.protocols import saying
from voicesite import samples_of
from waits import WAIT


class Odd(TextToSpeech):
    """Does what the text says."""

    name, label = "odd", "Odd"
    closed = 0

    def lacking(self):
        return ""

    async def voices(self):
        return [
            Voice("odd-one", "One", "en-us"),
            Voice("odd-one", "One again", "de"),
            Voice("odd-two", "Two", "nl", "male"),
        ]

    async def speak(self, text, voice, *, speed=1.0):
        if "raise" in text:
            raise ValueError("what a stranger raises")
        if "busy" in text:
            raise EngineBusy
        if "hang" in text:
            await asyncio.sleep(WAIT)
        if "half" in text:
            return Speech(b"\x00\x01\x02", 24_000)
        if "rate" in text:
            return Speech(bytes(4), 0)
        if "long" in text:
            return Speech(bytes(48_000 * 100), 24_000)
        # A second, at another rate.
        return Speech(b"\x00\x10" * 8_000, 8_000)

    async def close(self):
        type(self).closed += 1


class Mute(Odd):
    """Does not even tell its voices."""

    name = "mute"
    closed = 0

    async def voices(self):
        raise RuntimeError("no voices")


class OddPlugin(Plugin):
    manifest = Manifest(name="odd", version="1", summary="Odd", after=("voice",))

    @hookimpl(optionalhook=True)
    def moorage_voice_tts(self):
        return [Mute(), Odd()]


@pytest.fixture
def tts():
    return {"engine": "odd"}


@pytest.fixture
async def server(moorage_server, tts):
    async with moorage_server("voice", OddPlugin, config={"plugins": {"voice": {"tts": tts}}}) as server:
        yield server


async def events(socket, text, **members):
    """What comes when a text is to be said, to the last."""
    await socket.send(json.dumps({"command": "synthesize", "text": text, **members}))
    found = [json.loads(await asyncio.wait_for(socket.recv(), WAIT))]
    while found[-1]["type"] not in ("synthesis_completed", "error"):
        found.append(json.loads(await asyncio.wait_for(socket.recv(), WAIT)))
    return found


async def test_another_plugins_engine_speaks_at_the_rate_of_all(server):
    ann = await server.as_user()
    before = Odd.closed
    async with ann.connect("/api/voice/tts") as socket:
        await socket.send(json.dumps({"command": "list_voices"}))
        listed = json.loads(await socket.recv())
        assert listed == {"type": "voices", "voices": ["odd-one", "odd-two"], "voice": "odd-one"}
        chunk = (await events(socket, "Hello."))[1]["chunk"]
        assert len(samples_of(base64.b64decode(chunk))) == 48_000
    await server.stop()
    assert Odd.closed == before + 1


async def test_what_an_engine_does_wrong_ends_a_connection_and_no_other(server, monkeypatch):
    monkeypatch.setattr(speech, "ENGINE_SECONDS", 0.2)
    ann = await server.as_user()
    async with ann.connect("/api/voice/tts") as other:
        for fault in ("raise", "hang", "half", "rate"):
            async with ann.connect("/api/voice/tts") as socket:
                told = (await events(socket, f"Please {fault} now."))[-1]
                assert told == {"type": "error", "message": "internal server error"}, fault
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await asyncio.wait_for(socket.recv(), WAIT)
                assert closed.value.rcvd.code == 1011, fault
            ask = {"model": "m", "input": f"Please {fault} now."}
            answer = await ann.post("/v1/audio/speech", json=ask)
            assert (answer.status_code, "stranger" in answer.text) == (503, False), fault
        assert (await events(other, "Hello."))[-1]["type"] == "synthesis_completed"
    async with ann.connect("/api/voice/tts") as socket:
        assert (await events(socket, "So busy."))[-1]["message"].startswith("server busy")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), WAIT)
        assert closed.value.rcvd.code == 1013
    assert (await ann.post("/v1/audio/speech", json={"model": "m", "input": "So busy."})).status_code == 429


@pytest.mark.parametrize("tts", [{}])
async def test_an_engine_without_voices_is_left_out(server, tts):
    ann = await server.as_user()
    voices = (await ann.get("/v1/audio/voices")).json()["voices"]
    assert voices[0] == "pico_en-us"
    assert voices[-2:] == ["odd-one", "odd-two"]


@pytest.mark.parametrize("tts", [{"engine": "mute"}])
async def test_without_any_voice_it_is_told(server, tts):
    ann = await server.as_user()
    assert (await ann.get("/v1/audio/voices")).status_code == 503
    async with ann.connect("/api/voice/tts") as socket:
        assert json.loads(await socket.recv())["type"] == "error"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), WAIT)
        assert closed.value.rcvd.code == 1011


@pytest.mark.parametrize("tts", [{"engine": "odd", "max_sessions": 1}])
async def test_who_does_not_read_loses_the_place(server, monkeypatch):
    monkeypatch.setattr(saying, "SEND_SECONDS", 0.2)
    monkeypatch.setattr("moorage.server.socket.CLOSE_TIMEOUT", 0.2)
    ann = await server.as_user()
    async with ann.connect("/api/voice/tts", max_queue=1, max_size=None, close_timeout=0.1) as socket:
        await socket.send(json.dumps({"command": "synthesize", "text": "So long. " * 20}))
        async with asyncio.timeout(WAIT):
            while not await served(ann):
                await asyncio.sleep(0.05)


async def served(ann):
    """Whether there is a place."""
    async with ann.connect("/api/voice/tts") as socket:
        with contextlib.suppress(websockets.ConnectionClosed):
            return (await events(socket, "Hello."))[-1]["type"] == "synthesis_completed"
        assert socket.close_code == 1013
        return False
