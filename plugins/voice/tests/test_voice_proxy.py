"""Clients handed on to an eaRS and a kokorox elsewhere, which speak as recorded, and fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import websockets
from moorage.testing.client import Client
from moorage.testing.server import Server, merged
from moorage_voice import relay
from moorage_voice.config import VoiceConfig
from pydantic import ValidationError
from speechservers import EarsServer, KokoroxServer, SpeechServer, say
from waits import WAIT
from websockets.exceptions import ConnectionClosed, InvalidStatus

pytestmark = pytest.mark.asyncio(loop_scope="module")
STT, TTS = "/api/voice/stt", "/api/voice/tts"
SOUND = b"\0\0\x80\x3e" * 1024
"""A frame as the web client sends one: 1024 samples of 0.25."""


@dataclass
class Site:
    server: Server
    ears: EarsServer
    kokorox: KokoroxServer
    ann: Client


@contextlib.asynccontextmanager
async def site_of(folder: Path, voice: dict[str, Any] | None = None, **config: Any) -> AsyncIterator[Site]:
    ears, kokorox = EarsServer(), KokoroxServer()
    async with ears.running(), kokorox.running():
        urls = {"stt": {"url": f"{ears.url}/listen"}, "tts": {"url": kokorox.url}}
        settings = {"plugins": {"voice": merged(urls, voice or {})}, **config}
        async with Server(folder, ["voice"], settings) as server:
            yield Site(server, ears, kokorox, await server.as_user("viewer"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with site_of(tmp_path_factory.mktemp("proxy")) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def site(shared: Site) -> Site:
    """With servers as new, and another user."""
    await shared.ears.renew()
    await shared.kokorox.renew()
    return replace(shared, ann=await shared.server.as_user("viewer"))


async def events(link: websockets.ClientConnection) -> list[dict[str, Any]]:
    """What comes until the end."""
    found = []
    async with asyncio.timeout(WAIT):
        with contextlib.suppress(ConnectionClosed):
            while True:
                found.append(json.loads(await link.recv()))
    return found


async def gone(upstream: SpeechServer) -> int | None:
    """The code with which a connection to it was closed from here."""
    async with asyncio.timeout(WAIT):
        return await upstream.ended.get()


def code_of(link: websockets.ClientConnection) -> tuple[int | None, str | None]:
    return link.close_code, link.close_reason


async def test_an_utterance_goes_through_frame_by_frame(site: Site) -> None:
    async with site.ann.connect(STT) as link:
        sent = [SOUND] * 12 + [b"\1", b"", b"abc", bytes(4097)]
        for frame in sent:
            await link.send(frame)
        await link.send('{"type":"setlanguage","lang":"de"}')
        await link.send('{"type":"nonsense"}')
        await link.send("stop")
        said = await events(link)
    assert [event["type"] for event in said] == ["enginechanged", "word", "word", "languagechanged", "final"]
    assert said[-1]["text"] == "word0 word1"
    assert code_of(link) == (1000, "final")
    assert site.ears.heard == b"".join(sent)
    assert await gone(site.ears) == 1000


async def test_speech_comes_as_the_server_says_it(site: Site) -> None:
    async with site.ann.connect(TTS) as link:
        await link.send('{"command":"list_voices"}')
        assert json.loads(await link.recv()) == {
            "type": "voices",
            "voices": ["af_heart", "af_sky"],
            "voice": "af_heart",
        }
        await link.send('{"command":"synthesize","text":"One. Two. Three."}')
        said = [json.loads(await link.recv()) for _ in range(5)]
        assert [event["type"] for event in said] == [
            "synthesis_started",
            *["audio_chunk"] * 3,
            "synthesis_completed",
        ]
        await link.close(4321, "enough")
    assert await gone(site.kokorox) == 4321


async def test_nothing_of_the_client_but_its_frames_reaches_the_server(site: Site) -> None:
    secret = {"Cookie": "moorage_session=secret", "X-Mine": "1", "Authorization": f"Bearer {site.ann.key}"}
    async with site.ann.connect(f"{STT}?token=secret", additional_headers=secret, origin=site.server.url) as link:
        await link.send("stop")
        await events(link)
    [shown] = site.ears.handshakes
    assert not {"cookie", "authorization", "x-mine", "origin", "x-forwarded-for"} & shown.keys()
    assert site.ears.paths == ["/listen"]
    assert site.ann.key not in str(shown)


@pytest.mark.parametrize(
    ("path", "words"), [(STT, "engine not available"), (TTS, "The speech service cannot be reached")]
)
@pytest.mark.parametrize("how", ["refused", "mute", "503", "302", "no http"])
async def test_a_server_that_is_not_there_is_told_and_the_next_one_is_served(
    site: Site, path: str, words: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, upstream = ("stt", site.ears) if path == STT else ("tts", site.kokorox)
    with contextlib.ExitStack() as held:
        port = upstream.port
        if how.isdigit():
            upstream.refuses = int(how)
        else:
            listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = listener.getsockname()[1]
            if how == "refused":
                listener.close()
            elif how == "no http":
                asyncio.get_running_loop().run_in_executor(None, answer_with, listener, b"220 mail ready\r\n")
            monkeypatch.setattr(relay, "DIAL_SECONDS", 0.5 if how == "mute" else 10.0)
        await site.server.reload({"plugins": {"voice": {kind: {"url": f"ws://127.0.0.1:{port}"}}}})
        async with site.ann.connect(path) as link:
            assert await events(link) == [{"type": "error", "message": words}]
        assert code_of(link) == (1011, "The speech service cannot be reached")
        await well(site, "degraded")
    upstream.refuses = None
    await site.server.reload({"plugins": {"voice": {kind: {"url": upstream.url}}}})
    async with site.ann.connect(path) as link:
        await link.send('{"command":"list_voices"}' if path == TTS else b"")
        assert await link.recv()
    await well(site, "ok")


def answer_with(listener: socket.socket, said: bytes) -> None:
    with contextlib.suppress(OSError):
        link, _ = listener.accept()
        with link:
            link.sendall(said)
            link.recv(1)


async def well(site: Site, status: str) -> None:
    """Wait until the server says so: what it says is kept for a moment."""
    admin = await site.server.as_user("admin")
    async with asyncio.timeout(WAIT):
        while (await admin.get("/health")).json()["components"]["voice"]["status"] != status:
            await asyncio.sleep(0.05)


async def test_a_server_that_dies_in_mid_word_is_told_and_the_next_one_is_served(site: Site) -> None:
    async def talking(link: websockets.ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await link.send(SOUND)

    async with site.ann.connect(STT) as link:
        talks = asyncio.create_task(talking(link))
        async with asyncio.timeout(WAIT):
            while json.loads(await link.recv())["type"] != "word":
                pass
        site.ears.die()
        assert (await events(link))[-1] == {"type": "error", "message": "internal server error"}
        await talks
    assert code_of(link) == (1011, "The speech service broke off")
    async with site.ann.connect(TTS) as link:
        await link.send('{"command":"list_voices"}')
        await link.recv()
        site.kokorox.die()
        assert await events(link) == [{"type": "error", "message": "The speech service broke off"}]
    assert code_of(link) == (1011, "The speech service broke off")
    await well(site, "degraded")
    async with site.ann.connect(STT) as link:
        await link.send("stop")
        assert [event["type"] for event in await events(link)] == ["enginechanged", "final"]


@pytest.mark.parametrize("code", [1000, 1008, 1013, 4000])
async def test_the_servers_close_code_is_the_clients(site: Site, code: int) -> None:
    async def talk(link: Any) -> None:
        await link.recv()
        await say(link, {"type": "error", "message": "so it is"})
        await link.close(code, "for a reason")

    site.ears.talk = talk
    async with site.ann.connect(STT) as link:
        await link.send(b"\0")
        assert await events(link) == [{"type": "error", "message": "so it is"}]
    assert code_of(link) == (code, "for a reason")


async def test_a_client_that_vanishes_leaves_nothing_open(site: Site) -> None:
    async with site.ann.connect(STT) as link:
        await link.send(SOUND)
        await link.recv()
        link.transport.abort()
    assert await gone(site.ears) == 1001
    assert not site.ears.open


@pytest.mark.parametrize("engine", ["hypercorn", "uvicorn"])
async def test_who_is_not_read_has_to_wait(tmp_path: Path, engine: str) -> None:
    """Both ways: what lies between client and server stays small however much is sent, and nothing is lost."""
    go_on, sent = asyncio.Event(), 0

    async def flood(link: Any) -> None:
        nonlocal sent
        await link.recv()
        for _ in range(4000):
            await link.send(bytes(16_384))
            sent += 16_384
        await link.close()

    async def deaf(link: Any) -> None:
        await go_on.wait()
        heard = 0
        async for frame in link:
            heard += len(frame)
            if not frame:
                await link.send(str(heard))

    async with site_of(tmp_path, server={"engine": engine}) as site:
        site.kokorox.talk, site.ears.talk = flood, deaf
        async with site.ann.connect(TTS, max_queue=1) as link:
            await link.send("{}")
            await until_still(lambda: sent)
            assert sent < 24_000_000, "the server had to wait"
            got = 0
            with contextlib.suppress(ConnectionClosed):
                while True:
                    got += len(await link.recv())
            assert got == 4000 * 16_384
        async with site.ann.connect(STT) as link:
            pushed = 0

            async def push() -> None:
                nonlocal pushed
                for _ in range(4000):
                    await link.send(bytes(16_384))
                    pushed += 16_384
                await link.send(b"")

            pushes = asyncio.create_task(push())
            await until_still(lambda: pushed)
            assert pushed < 24_000_000, "the client had to wait"
            go_on.set()
            async with asyncio.timeout(WAIT):
                assert int(await link.recv()) == 4000 * 16_384
                await pushes


async def test_who_reads_nothing_loses_the_place(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "READ_SECONDS", 0.5)

    async def flood(link: Any) -> None:
        await link.recv()
        with contextlib.suppress(ConnectionClosed):
            while True:
                await link.send(bytes(65_536))

    site.kokorox.talk = flood
    async with site.ann.connect(TTS, max_queue=1) as link:
        await link.send("{}")
        assert await gone(site.kokorox) == 1001
        with contextlib.suppress(ConnectionClosed):
            while True:
                await link.recv()
        assert link.close_code in (1006, 1008)


async def until_still(count: Any) -> None:
    """Until a number has begun to grow, and has stopped for half a second."""
    async with asyncio.timeout(WAIT):
        before = -1
        while count() == 0 or count() != before:
            before = count()
            await asyncio.sleep(0.5)


async def test_only_so_many_are_served_at_once(tmp_path: Path) -> None:
    busy = [{"type": "error", "message": "server busy - maximum concurrent sessions reached"}]
    async with site_of(tmp_path, {"stt": {"max_sessions": 2, "max_sessions_per_user": 1}}) as site:
        ben, cy = [await site.server.as_user("viewer") for _ in range(2)]
        async with site.ann.connect(STT) as first, ben.connect(STT) as second:
            for link in (first, second):
                await link.send(SOUND)
                await link.recv()
            for who in (site.ann, cy):
                async with who.connect(STT) as link:
                    assert await events(link) == busy
                assert link.close_code == 1013
            async with cy.connect(TTS) as link:
                await link.send('{"command":"list_voices"}')
                assert await link.recv(), "that is another server"
            await first.close()
            await gone(site.ears)
            async with cy.connect(STT) as link:
                await link.send(SOUND)
                assert json.loads(await link.recv())["type"] == "enginechanged"
        assert len(site.ears.handshakes) == 3, "who was refused was not handed on"


async def test_nobody_is_listened_to_for_ever(tmp_path: Path) -> None:
    async with site_of(tmp_path, {"stt": {"max_seconds": 0.5}}) as site, site.ann.connect(STT) as link:
        await link.send(SOUND)
        said = await events(link)
        assert said[-1]["type"] == "error"
        assert link.close_code == 1008
        await gone(site.ears)


async def test_who_may_not_any_more_is_closed(site: Site) -> None:
    admin = await site.server.as_user("admin")
    async with site.ann.connect(STT) as link:
        await link.send(SOUND)
        await link.recv()
        done = await admin.post(f"/api/admin/users/{site.ann.user.pid}/deactivate")
        assert done.status_code == 200
        await events(link)
    assert link.close_code == 4001
    assert await gone(site.ears) == 4001


async def test_rights_are_those_of_voice(tmp_path: Path) -> None:
    roles = {"access": {"roles": {"mute": {"grants": ["voice:stt:use"]}}}}
    async with site_of(tmp_path, **roles) as site:
        mute = await site.server.as_user("mute")
        async with mute.connect(STT) as link:
            await link.send("stop")
            assert await events(link)
        for who, status in ((mute, 403), (site.server.anonymous, 401)):
            with pytest.raises(InvalidStatus) as caught:
                async with who.connect(TTS):
                    pass
            assert caught.value.response.status_code == status
    assert not site.kokorox.handshakes


async def test_a_reload_ends_what_goes_to_the_old_server(site: Site) -> None:
    async with site.ann.connect(STT) as link:
        await link.send(SOUND)
        await link.recv()
        await site.server.reload({"plugins": {"voice": {"stt": {"max_seconds": 60}}}})
        await events(link)
    assert link.close_code in (1001, 1012)
    await gone(site.ears)


async def test_the_server_stops_while_somebody_talks(tmp_path: Path) -> None:
    async with site_of(tmp_path) as site, site.ann.connect(STT) as link:
        await link.send(SOUND)
        await link.recv()
        await site.server.stop()
        await events(link)
        assert link.close_code == 1001
        await gone(site.ears)


@pytest.mark.parametrize(
    ("key", "url", "said"),
    [
        ("stt", "http://127.0.0.1:8765", "must begin with ws:// or wss://"),
        ("tts", "ws://ann:secret@127.0.0.1", "must not hold a user"),
        ("tts", "ws://127.0.0.1?token=secret", "must not have a query"),
        ("stt", "ws://169.254.169.254/", "link-local"),
        ("stt", "ws://127.0.0.1:99999", "is not a URL"),
        ("stt", "ws:///path", "name a host"),
    ],
)
async def test_urls_that_cannot_be(key: str, url: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        VoiceConfig.model_validate({key: {"url": url}})
    assert said in str(caught.value.errors()[0]["msg"])
    assert "secret" not in caught.value.errors()[0]["msg"]
