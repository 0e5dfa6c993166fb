"""A Moorage that hears and speaks by its real engines, and what clients of eaRS and kokorox do."""

from __future__ import annotations

import base64
import io
import json
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from harness import Server, merged
from moorage_voice.audio import floats
from speech import frames, silence
from waits import WAIT
from websockets.sync.client import ClientConnection, connect

USERS = {"ann": "operator", "ben": "viewer"}


class VoiceSite:
    """A server with voice, and its users."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._cookies: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def headers(self, name: str = "ann") -> dict[str, str]:
        """What shows a page's sockets to be that user's."""
        if name not in self._cookies:
            self._cookies[name] = self.server.cookie(name)
        return {"Cookie": self._cookies[name]}

    def client(self, name: str = "ann") -> httpx.Client:
        """A program of that user."""
        if name not in self._keys:
            self._keys[name] = self.server.key(name)
        headers = {"Authorization": f"Bearer {self._keys[name]}"}
        return httpx.Client(base_url=self.server.url, timeout=WAIT, headers=headers)

    @contextmanager
    def speaker(self, name: str = "ann") -> Iterator[Speaker]:
        """A connection of a client of kokorox."""
        url = f"{self.server.ws_url}/api/voice/tts"
        with connect(url, additional_headers=self.headers(name), max_size=None, open_timeout=WAIT) as socket:
            yield Speaker(socket)

    def hear(self, sound: bytes, *, engine: str | None = None) -> str:
        """What is heard of a sound (eaRS's floats), all at once: its `final`. engine: another than the configured."""
        url = f"{self.server.ws_url}/api/voice/stt"
        with connect(url, additional_headers=self.headers(), max_size=None, open_timeout=WAIT) as socket:
            if engine is not None:
                socket.send(json.dumps({"type": "setengine", "engine": engine}))
            for frame in frames(sound):
                socket.send(frame)
            socket.send("stop")
            event = json.loads(socket.recv(timeout=WAIT))
            while event["type"] not in ("final", "error"):
                event = json.loads(socket.recv(timeout=WAIT))
        assert event["type"] == "final", event
        return str(event["text"])

    def workers(self, engine: str) -> list[psutil.Process]:
        """The processes of an engine that run."""
        assert self.server.process is not None
        target = f"moorage_voice.engines.models.{engine}:Model"
        return [
            child
            for child in psutil.Process(self.server.process.pid).children(recursive=True)
            if target in child.cmdline()
        ]

    @contextmanager
    def crashing(self, engine: str) -> Iterator[None]:
        """Has the engine's process die in the middle of something, while what is within goes on asking for speech."""
        (worker,) = self.workers(engine)
        worker.suspend()
        # Time for a call to be made that it does not answer.
        timer = threading.Timer(1.0, worker.kill)
        timer.start()
        try:
            yield
        finally:
            timer.join()


class Speaker:
    """One connection, as a client of kokorox has it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def ask(self, command: str, **members: Any) -> None:
        """Send a command."""
        self.socket.send(json.dumps({"command": command, **members}))

    def event(self) -> dict[str, Any]:
        """The next event."""
        found = json.loads(self.socket.recv(timeout=WAIT))
        assert isinstance(found, dict)
        return found

    def answer(self, command: str, **members: Any) -> dict[str, Any]:
        """Send a command that has one answer, which is the next event."""
        self.ask(command, **members)
        return self.event()

    def until(self, *kinds: str) -> list[dict[str, Any]]:
        """The events up to one of these."""
        events = [self.event()]
        while events[-1]["type"] not in kinds:
            events.append(self.event())
        return events

    def say(self, text: str, **members: Any) -> list[bytes]:
        """Have a text said: the WAV files of its sentences."""
        self.ask("synthesize", text=text, **members)
        events = self.until("synthesis_completed", "error")
        assert events[-1]["type"] == "synthesis_completed", events[-1]
        return [chunk_of(event) for event in events if event["type"] == "audio_chunk"]


def chunk_of(event: dict[str, Any]) -> bytes:
    """The WAV file in an event."""
    return base64.b64decode(event["chunk"])


def samples_of(file: bytes) -> bytes:
    """The 16-bit samples of a WAV file of 24 kHz, mono."""
    with wave.open(io.BytesIO(file)) as read:
        assert (read.getnchannels(), read.getsampwidth(), read.getframerate()) == (1, 2, 24_000)
        return read.readframes(read.getnframes())


def sound_of(files: list[bytes]) -> bytes:
    """WAV files one after the other, between short silences, as eaRS is sent sound."""
    pause = silence(0.3)
    return pause + pause.join(floats(samples_of(file)) for file in files) + pause


def seconds_of(file: bytes) -> float:
    """How long it sounds."""
    return len(samples_of(file)) / 2 / 24_000


@contextmanager
def voice_site(folder: Path, config: dict[str, Any] | None = None) -> Iterator[VoiceSite]:
    """A started server, stopped at the end. config: of the plugin."""
    plugins = {"voice": merged({"enabled": True}, config or {})}
    server = Server(folder, {"plugins": plugins, "limits": {"enabled": False}})
    try:
        server.start()
        server.add_users(USERS)
        yield VoiceSite(server)
    finally:
        server.stop()
