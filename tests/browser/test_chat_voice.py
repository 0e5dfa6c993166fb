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
from playwright.sync_api import Browser, Page, StorageState, WebSocketRoute, expect
from rapidfuzz.distance import Levenshtein
from realparts.llm import Hang, Llm, Say
from waits import PAGE

# As the harness gives it to its users.
PASSWORD = "correct horse battery"
RATE = 24_000
PHONE = {"width": 360, "height": 640}
# Of `GET /api/features`.
DEFAULT = "af_heart"
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

    def words(self, text: str) -> None:
        for word in text.split():
            self.say("word", word=word, start_time=0.0, end_time=None)

    def final(self, text: str) -> None:
        self.say("final", text=text, words=[])
        self.sockets[-1].close(code=1000)


class Speaker:
    """Stands in for the server that speaks: a tone for each sentence, at once, or when it is let."""

    def __init__(self, page: Page, folder: Path, seconds: float = 0.2) -> None:
        self.commands: list[dict[str, Any]] = []
        self.sockets: list[WebSocketRoute] = []
        self.left: set[WebSocketRoute] = set()
        self.holds = False
        self.chunk = base64.b64encode(wav(tone(seconds, 440), folder / "tone.wav")).decode()
        page.route_web_socket(re.compile("/voice/api/voice/tts$"), self._open)

    def _open(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        socket.on_message(self._take)
        # Told twice where the page leaves, too.
        socket.on_close(lambda code, reason: self.left.add(socket))

    def _take(self, message: str | bytes) -> None:
        command = json.loads(message)
        self.commands.append(command)
        if command["command"] == "list_voices":
            self.say("voices", voices=["anna", "bert"], voice="anna")
        elif command["command"] == "set_voice" and command["voice"] in (DEFAULT, "bert"):
            self.say("voice_changed", voice=command["voice"])
        elif command["command"] == "set_voice":
            self.say("error", message="no such voice")
        elif command["command"] == "synthesize" and not self.holds:
            self.speak()

    def speak(self) -> None:
        self.say("synthesis_started")
        self.say("audio_chunk", chunk=self.chunk, index=0, total=1, sample_rate=RATE)
        self.say("synthesis_completed")

    def say(self, type: str, **fields: Any) -> None:
        self.sockets[-1].send(json.dumps({"type": type, **fields}))

    @property
    def said(self) -> list[str]:
        return [one["text"] for one in self.commands if one["command"] == "synthesize"]


@pytest.fixture(scope="module")
def login(browser: Browser, place: Server) -> StorageState:
    """Ann's, for all of her pages: typing it takes longer than most of what is tested here."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(place.url)
    page.get_by_label("Username or e-mail").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_attached()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def ann(open_page: Callable[..., Page], login: StorageState) -> Callable[..., Page]:
    """`ann(path, **options)`: her page, with the microphone allowed."""

    def open_one(path: str = "/console/chat/new", *, allowed: bool = True, **options: Any) -> Page:
        granted = ["microphone"] if allowed else []
        page = open_page(path, storage_state=login, permissions=granted, **options)
        page.add_init_script(LOUDSPEAKER)
        page.evaluate(f"() => {{ {LOUDSPEAKER} }}")
        return page

    return open_one


def field(page: Page):
    return page.get_by_label("Message", exact=True)


def button(page: Page, name: str):
    return page.get_by_role("button", name=name, exact=True)


def answer(page: Page):
    return page.get_by_role("article", name="Model").last


def say(page: Page, text: str) -> None:
    field(page).fill(text)
    expect(button(page, "Send")).to_be_enabled()
    page.keyboard.press("Enter")


def choose(page: Page, *labels: str) -> None:
    """Tick these of voice's choices."""
    button(page, "Voice").click()
    for label in labels:
        page.get_by_label(label).check()
    page.keyboard.press("Escape")


def choose_not(page: Page, *labels: str) -> None:
    button(page, "Voice").click()
    for label in labels:
        page.get_by_label(label).uncheck()
    page.keyboard.press("Escape")


def until(page: Page, condition: Callable[[], Any]) -> None:
    """Let the page's events come until it holds."""
    for _ in range(PAGE // 25):
        if condition():
            return
        page.wait_for_timeout(25)
    raise AssertionError("it did not come about")


def played(page: Page) -> int:
    return page.evaluate("played.length")


def test_the_microphone_is_heard_as_it_is(ann, microphone: Microphone, faults) -> None:
    microphone.hears(tone(1, 1000, 44_100), 44_100)
    page = ann()
    listener = Listener(page)
    button(page, "Speak").click()
    expect(page.get_by_text("Listening…")).to_be_visible()
    until(page, lambda: len(listener.frames) > 30)
    button(page, "Stop listening").click()
    expect(button(page, "Speak")).to_be_visible()
    # 24 kHz, mono, float32, little-endian, within [-1, 1]: as eaRS has it.
    assert set(listener.frames) == {4096}
    assert listener.texts == [{"type": "stop"}]
    heard = np.frombuffer(bytes(listener.sound), "<f4")
    assert 0.2 < np.abs(heard).max() <= 1
    part = heard[len(heard) - RATE :] * np.hanning(RATE)
    assert abs(int(np.abs(np.fft.rfft(part)).argmax()) - 1000) <= 2
    assert faults == []


def test_what_is_said_is_typed_where_the_caret_is(ann, faults) -> None:
    page = ann()
    listener = Listener(page)
    field(page).fill("Dear Bob, yours")
    field(page).press("Home")
    for _ in range(9):
        field(page).press("ArrowRight")
    # By keyboard alone.
    field(page).press("Tab")
    expect(button(page, "Speak")).to_be_focused()
    page.keyboard.press("Enter")
    until(page, lambda: listener.frames)
    listener.words("i am")
    expect(field(page)).to_have_value("Dear Bob, i am yours")
    # The server has heard the end of it, and knows better; who speaks on is heard on another connection.
    listener.final("I am,")
    expect(field(page)).to_have_value("Dear Bob, I am, yours")
    until(page, lambda: len(listener.sockets) == 2)
    listener.words("as ever")
    expect(field(page)).to_have_value("Dear Bob, I am, as ever yours")
    # What is typed meanwhile stays as it is.
    field(page).press("End")
    field(page).press("!")
    listener.words("Ann")
    expect(field(page)).to_have_value("Dear Bob, I am, as ever yours! Ann")
    listener.at_stop = lambda: listener.final("As ever. Ann.")
    field(page).press("Enter")
    # Sent as soon as the rest is there.
    expect(page.get_by_role("article", name="You").locator("p.plain")).to_have_text(
        "Dear Bob, I am, as ever yours! Ann."
    )
    expect(field(page)).to_have_value("")
    expect(button(page, "Speak")).to_be_enabled()
    assert faults == []


def test_what_goes_wrong_with_hearing_is_told_and_the_words_stay(ann) -> None:
    page = ann()
    listener = Listener(page)
    faults: list[tuple[Callable[[], None], str]] = [
        (lambda: listener.say("error", message="server busy - maximum concurrent sessions reached"), "As many are"),
        (lambda: listener.say("error", message="internal server error"), "internal server error"),
        (lambda: listener.sockets[-1].close(code=1011), "The connection broke off."),
    ]
    for number, (fault, told) in enumerate(faults, 1):
        button(page, "Speak").click()
        until(page, lambda number=number: len(listener.sockets) == number)
        expect(page.get_by_role("alert").filter(has_text="e")).to_have_count(0)
        listener.words("so far")
        expect(field(page)).to_have_value(" ".join(["so far"] * number))
        fault()
        expect(page.get_by_role("alert").filter(has_text=told)).to_be_visible()
        expect(field(page)).to_have_value(" ".join(["so far"] * number))
        field(page).press("End")
    # A server that ends whatever is begun is not begun with again and again.
    button(page, "Speak").click()
    until(page, lambda: len(listener.sockets) == 4)
    listener.final("")
    expect(page.get_by_role("alert").filter(has_text="The server does not listen now.")).to_be_visible()
    # Given up by the keyboard, which the field has also when a mouse pressed the button: what was heard stays.
    button(page, "Speak").click()
    until(page, lambda: len(listener.sockets) == 5)
    listener.words("and this")
    expect(field(page)).to_have_value(re.compile(" and this$"))
    page.keyboard.press("Escape")
    expect(button(page, "Speak")).to_be_visible()
    expect(field(page)).to_have_value(re.compile(" and this$"))


def test_without_a_microphone_it_is_said_why(ann) -> None:
    page = ann(allowed=False)
    button(page, "Speak").click()
    expect(page.get_by_text("The browser does not let this page hear you.")).to_be_visible()
    plain = ann()
    plain.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    button(plain, "Speak").click()
    expect(plain.get_by_text("over https only")).to_be_visible()
    expect(field(plain)).to_be_editable()


def test_an_answer_is_read_while_it_comes(ann, llm: Llm, tmp_path: Path, faults) -> None:
    llm.script("roses", Hang("Roses are **red. Very** red. And", then=" so on.\n\n```\ncode\n```"))
    page = ann()
    speaker = Speaker(page, tmp_path)
    button(page, "Voice").click()
    page.get_by_label("Read answers aloud as they come").check()
    page.get_by_label("Who speaks").select_option("bert")
    page.get_by_label("How fast").select_option("1.5")
    page.keyboard.press("Escape")
    speaker.commands.clear()
    say(page, "Tell me of roses")
    until(page, lambda: played(page) == 2)
    assert speaker.commands == [
        {"command": "set_voice", "voice": "bert"},
        {"command": "synthesize", "text": "Roses are red.", "speed": 1.5},
        {"command": "synthesize", "text": "Very red.", "speed": 1.5},
    ]
    expect(page.get_by_text("Reading aloud…")).to_be_visible()
    llm.release()
    until(page, lambda: played(page) == 3)
    assert speaker.said[2:] == ["And so on."]
    # One after the other, without a gap where there need be none, and whole.
    first, second = page.evaluate("played.slice(0, 2)")
    assert second["at"] >= first["at"] + 0.2 - 1e-6
    assert first["rate"] == RATE
    sound = np.array(json.loads(first["samples"]))
    assert np.abs(sound - tone(0.2, 440)).max() <= 2
    expect(page.get_by_text("Reading aloud…")).to_have_count(0)
    until(page, lambda: len(speaker.left) == len(speaker.sockets))

    # Kept in this browser. What is here is read when somebody wants it, and another voice speaks where one is gone.
    page.evaluate("localStorage['moorage-voice'] = localStorage['moorage-voice'].replace('bert', 'carl')")
    page.reload()
    expect(answer(page)).to_contain_text("so on")
    assert played(page) == 0
    speaker.holds = True
    button(page, "Listen to the answer").click()
    until(page, lambda: speaker.said[3:] == ["Roses are red."])
    expect(button(page, "Listen to the answer")).to_have_attribute("aria-pressed", "true")
    button(page, "Stop reading").click()
    expect(page.get_by_text("Reading aloud…")).to_have_count(0)
    until(page, lambda: len(speaker.left) == len(speaker.sockets))
    assert played(page) == 0
    assert faults == []


def test_a_long_answer_is_not_asked_for_ahead_of_who_listens(ann, llm: Llm, tmp_path: Path) -> None:
    llm.script("long", Say("A sentence of it. " * 100))
    page = ann()
    speaker = Speaker(page, tmp_path, seconds=3)
    choose(page, "Read answers aloud as they come")
    say(page, "Say something long")
    expect(button(page, "Send")).to_be_visible()
    until(page, lambda: played(page) == 3)
    # Eight seconds are at hand: more is not wanted before some of it is over.
    assert len(speaker.said) <= 4
    field(page).focus()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Reading aloud…")).to_have_count(0)
    assert len(speaker.said) <= 4


def test_what_goes_wrong_with_speaking_is_told(ann, tmp_path: Path) -> None:
    page = ann()
    speaker = Speaker(page, tmp_path)
    speaker.holds = True
    noise = base64.b64encode(b"no sound").decode()
    faults: list[tuple[Callable[[], None], str]] = [
        (lambda: speaker.say("error", message="the voice is hoarse"), "the voice is hoarse"),
        (lambda: speaker.say("audio_chunk", chunk=noise, index=0, total=1), "no sound that the browser knows"),
        (lambda: speaker.sockets[-1].close(code=1011), "The connection to the voice broke off."),
    ]
    say(page, "Say something. And more")
    expect(answer(page)).to_contain_text("You said")
    for number, (fault, told) in enumerate(faults, 1):
        button(page, "Listen to the answer").click()
        until(page, lambda number=number: len(speaker.said) == number)
        expect(page.get_by_text("Reading aloud…")).to_be_visible()
        fault()
        expect(page.get_by_role("alert").filter(has_text=told)).to_be_visible()
        expect(page.get_by_text("Reading aloud…")).to_have_count(0)
    until(page, lambda: len(speaker.left) >= 2)
    assert played(page) == 0


def test_hands_free(ann, microphone: Microphone, llm: Llm, tmp_path: Path, faults) -> None:
    # A second of speech, and then nobody speaks.
    microphone.hears(np.concatenate([tone(1, 300), np.zeros(20 * RATE, "<i2")]))
    page = ann()
    listener, speaker = Listener(page), Speaker(page, tmp_path)
    choose(page, "Talk hands-free")
    listener.at_stop = lambda: listener.final("Good morning.")
    button(page, "Speak").click()
    until(page, lambda: listener.frames)
    listener.words("good morning")
    # Finished by the silence; sent, answered, read aloud, and listened to again on the conversation's own page.
    expect(answer(page)).to_contain_text("You said: Good morning.")
    expect(page).to_have_url(re.compile(r"/console/chat/\d+$"))
    until(page, lambda: speaker.said == ["You said: Good morning."])
    until(page, lambda: len(listener.sockets) == 2)
    assert played(page) == 1
    listener.at_stop = lambda: listener.final("And good night.")
    speaker.holds = True
    listener.words("and")
    expect(answer(page)).to_contain_text("You said: And good night.")
    # Whoever has heard enough says the next thing.
    expect(button(page, "End hands-free")).to_have_attribute("aria-pressed", "true")
    button(page, "Stop reading").click()
    until(page, lambda: len(listener.sockets) == 3)
    # Until it is pressed again; what was said by then is not sent.
    listener.words("not this")
    listener.at_stop = lambda: listener.final("Not this.")
    button(page, "Stop listening").click()
    expect(field(page)).to_have_value("Not this.")
    expect(button(page, "Speak")).to_be_visible()
    assert len(listener.sockets) == 3
    # Who leaves is not listened to when coming back.
    button(page, "Speak").click()
    until(page, lambda: len(listener.sockets) == 4)
    page.evaluate("history.pushState(null, '', '/console/account'); dispatchEvent(new PopStateEvent('popstate'))")
    expect(field(page)).to_have_count(0)
    page.go_back()
    expect(button(page, "Speak")).to_be_visible()
    assert faults == []


def test_real_engines_hear_what_is_said_and_say_what_is_answered(
    ann, server: Server, microphone: Microphone, llm: Llm, faults
) -> None:
    """From a mouth to an ear, both ways: what is said into the microphone is understood, and so is what is played."""
    with server.client("ann") as api:
        spoken = api.post("/voice/v1/audio/speech", json={"model": "x", "input": SENTENCE, "voice": DEFAULT})
    assert spoken.status_code == 200, spoken.text
    sound = np.frombuffer(spoken.content[44:], "<f4")
    pause = np.zeros(RATE // 2, "<i2")
    microphone.hears(np.concatenate([pause, (sound * 32767).astype("<i2"), np.zeros(60 * RATE, "<i2")]))
    llm.script("container", Say("Thank you very much, that is **all** for now."))
    page = ann()
    choose(page, "Talk hands-free")
    button(page, "Speak").click()
    # By the silence alone.
    expect(page.get_by_role("article", name="You")).to_be_visible()
    microphone.hears(pause)
    assert mistaken(page.get_by_role("article", name="You").locator("p.plain").inner_text(), SENTENCE) <= 2
    expect(answer(page)).to_contain_text("Thank you very much")
    expect(page.get_by_text("Listening…")).to_be_visible()
    heard = page.evaluate("played.map((one) => JSON.parse(one.samples)).flat()")
    # The other way round, by the same microphone.
    microphone.hears(np.concatenate([pause, np.array(heard, "<i2"), np.zeros(60 * RATE, "<i2")]))
    button(page, "Stop listening").click()
    expect(button(page, "Speak")).to_be_visible()
    assert field(page).input_value() == ""
    choose_not(page, "Talk hands-free")
    button(page, "Speak").click()
    until(page, lambda: "now" in words(field(page).input_value()))
    button(page, "Stop listening").click()
    expect(button(page, "Speak")).to_be_visible()
    assert mistaken(field(page).input_value(), "Thank you very much, that is all for now.") <= 2
    assert faults == []


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def mistaken(heard: str, said: str) -> int:
    """How many words are wrong. Browsers clean a microphone's sound, not always to an engine's liking."""
    return Levenshtein.distance(words(heard), words(said))


def test_only_what_the_server_offers_is_shown(ann, server: Server) -> None:
    page = ann()
    expect(button(page, "Speak")).to_be_visible()
    with server.client() as anybody:
        features = anybody.get("/api/features").json()
    features["voice"]["stt_url"] = None
    page.route("**/api/features", lambda route: route.fulfill(json=features))
    page.reload()
    expect(button(page, "Voice")).to_be_visible()
    expect(button(page, "Speak")).to_have_count(0)
    button(page, "Voice").click()
    expect(page.get_by_label("Read answers aloud as they come")).to_be_visible()
    expect(page.get_by_label("Talk hands-free")).to_have_count(0)
    del features["voice"]
    page.reload()
    expect(button(page, "Options")).to_be_visible()
    expect(button(page, "Voice")).to_have_count(0)


def test_on_a_phone(ann) -> None:
    page = ann(viewport=PHONE, has_touch=True, is_mobile=True)
    Listener(page)
    button(page, "Speak").tap()
    expect(page.get_by_text("Listening…")).to_be_visible()
    for name in ("Stop listening", "Voice", "Send", "Options"):
        box = button(page, name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        assert box["y"] + box["height"] <= PHONE["height"]
        assert min(box["width"], box["height"]) >= 32
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    button(page, "Stop listening").tap()
    expect(button(page, "Speak")).to_be_visible()
    button(page, "Voice").tap()
    expect(page.get_by_role("dialog", name="Voice")).to_be_visible()
