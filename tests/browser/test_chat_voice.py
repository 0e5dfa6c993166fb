"""Chat by voice: what a microphone hears becomes what is typed, and answers are read aloud as they come.

The browser's microphone plays a file. What it plays is recorded where it is handed to the machine's loudspeaker.
"""

from __future__ import annotations

import base64
import json
import re
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import Server
from playwright.sync_api import Page, WebSocketRoute, expect
from realparts.llm import Hang, Llm, Say
from waits import PAGE

RATE = 24_000
PHONE = {"width": 360, "height": 640}
SENTENCE = "Stop the running container and delete the session."
# What is played, as the page hands it over.
LOUDSPEAKER = """
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (at) {
  const samples = Array.from(this.buffer.getChannelData(0), (sample) => Math.round(sample * 32767));
  played.push({ at, rate: this.buffer.sampleRate, samples: JSON.stringify(samples) });
  start.call(this, at);
};
"""


def tone(seconds: float, hertz: float, rate: int = RATE) -> np.ndarray[Any, np.dtype[np.int16]]:
    return (np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * hertz / rate) * 16_000).astype("<i2")


def wav(samples: np.ndarray[Any, np.dtype[np.int16]], path: Path, rate: int = RATE) -> bytes:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path.read_bytes()


class Microphone:
    """What the browser's microphone hears from now on, again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hears(np.zeros(RATE, "<i2"))

    def hears(self, samples: np.ndarray[Any, np.dtype[np.int16]], rate: int = RATE) -> None:
        wav(samples, self.path, rate)


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Microphone:
    return Microphone(tmp_path_factory.mktemp("microphone") / "said.wav")


@pytest.fixture(scope="module")
def browser_arguments(microphone: Microphone) -> list[str]:
    """A microphone that plays a file, read anew each time that it is opened. Whether a page may have it is asked."""
    return ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone.path}"]


@pytest.fixture(scope="module")
def llm() -> Iterator[Llm]:
    provider = Llm()
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, llm: Llm) -> Iterator[Server]:
    chat = {"enabled": True, "providers": {"scripted": {"base_url": llm.url, "name": "Scripted"}}}
    config = {"plugins": {"chat": chat, "voice": {"enabled": True, "mount": "/voice"}}, "limits": {"enabled": False}}
    server = Server(tmp_path_factory.mktemp("voice"), config)
    server.add_users({"ann": "operator"})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def server(place: Server, llm: Llm) -> Server:
    llm.clear()
    return place


class Listener:
    """Stands in for the server that hears: takes the sound, and says what it is told to."""

    def __init__(self, page: Page) -> None:
        self.sound = bytearray()
        self.frames: list[int] = []
        self.texts: list[Any] = []
        self.sockets: list[WebSocketRoute] = []
        self.at_stop: Callable[[], None] = lambda: self.final("")
        page.route_web_socket(re.compile("/voice/api/voice/stt$"), self._open)

    def _open(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        socket.on_message(self._take)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.frames.append(len(message))
            self.sound += message
            return
        self.texts.append(json.loads(message))
        if self.texts[-1] == {"type": "stop"}:
            self.at_stop()

    def say(self, type: str, **fields: Any) -> None:
        self.sockets[-1].send(json.dumps({"type": type, **fields}))

    def word(self, *words: str) -> None:
        for word in words:
            self.say("word", word=word, start_time=0.0, end_time=None)

    def final(self, text: str) -> None:
        self.say("final", text=text, words=[])
        self.sockets[-1].close(code=1000)

    def samples(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.frombuffer(bytes(self.sound), "<f4")


@pytest.fixture
def ann(sign_in, server: Server) -> Callable[..., Page]:
    """`ann(path, **options)`: her page, with the microphone allowed."""

    def open_one(path: str = "/console/chat/new", *, allowed: bool = True, **options: Any) -> Page:
        page = sign_in("ann", "/", **options)
        page.add_init_script(LOUDSPEAKER)
        if allowed:
            page.context.grant_permissions(["microphone"])
        page.goto(server.url + path)
        return page

    return open_one


def message(page: Page):
    return page.get_by_label("Message", exact=True)


def speak(page: Page):
    return page.get_by_role("button", name="Speak", exact=True)


def until(page: Page, condition: Callable[[], Any]) -> None:
    """Let the page's events come until it holds."""
    for _ in range(PAGE // 50):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not come about")


def test_the_microphone_is_heard_as_it_is(ann, microphone: Microphone, faults) -> None:
    microphone.hears(tone(1, 1000, 44_100), 44_100)
    page = ann()
    listener = Listener(page)
    speak(page).click()
    until(page, lambda: len(listener.frames) > 60)
    page.get_by_role("button", name="Stop listening").click()
    expect(speak(page)).to_be_visible()
    assert set(listener.frames) == {4096}
    assert listener.texts == [{"type": "stop"}]
    heard = listener.samples()
    print(len(heard), heard.min(), heard.max())
    spectrum = np.abs(np.fft.rfft(heard[RATE // 2 : RATE // 2 + RATE]))
    print(spectrum.argmax())
    assert faults == []
