"""`/v1/audio` handed on to a kokorox elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from moorage.testing.client import Client
from moorage.testing.server import Server
from speechservers import KokoroxHttp
from waits import WAIT

pytestmark = pytest.mark.asyncio(loop_scope="module")
SPEECH = "/v1/audio/speech"
ASK = {"model": "kokoro", "input": "Hello there.", "voice": "af_sky", "initial_silence": 100}


@dataclass
class Site:
    server: Server
    kokorox: KokoroxHttp
    ann: Client


@contextlib.asynccontextmanager
async def site_of(folder: Path, path: str = "") -> AsyncIterator[Site]:
    async with KokoroxHttp().running() as kokorox:
        settings = {"tts": {"http_url": kokorox.url + path, "max_text_bytes": 1024}}
        async with Server(folder, ["voice"], {"plugins": {"voice": settings}}) as server:
            yield Site(server, kokorox, await server.as_user("viewer"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with site_of(tmp_path_factory.mktemp("audio")) as site:
        yield site


@pytest.fixture
def site(shared: Site) -> Site:
    """With a server as new."""
    shared.kokorox.forget()
    return shared


async def test_speech_and_voices_are_those_of_the_server(site: Site) -> None:
    answer = await site.ann.post(SPEECH, json=ASK, headers={"Cookie": "a=b"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    assert answer.content == b"".join(bytes([number]) * 9600 for number in range(4))
    assert "access-control-allow-origin" not in answer.headers, "who may read answers is for this server to say"
    first, headers, asked = site.kokorox.asked[-1]
    assert (first, asked) == (f"POST {SPEECH} HTTP/1.1", ASK)
    assert not {"authorization", "cookie"} & headers.keys()
    assert (await site.ann.get("/v1/audio/voices")).json() == {"voices": ["af_heart"]}
    assert (await site.ann.get("/v1/audio/voices/detailed")).json()["voices"][0]["name"] == "Heart"


async def test_sound_comes_before_all_is_said(site: Site) -> None:
    site.kokorox.halves = 2
    async with asyncio.timeout(WAIT), site.ann.stream("POST", SPEECH, json=ASK) as answer:
        pieces = answer.aiter_raw()
        got = b""
        while len(got) < 2 * 9600:
            got += await anext(pieces)
        site.kokorox.go_on.set()
        async for piece in pieces:
            got += piece
    assert len(got) == 4 * 9600


async def test_who_leaves_ends_it(site: Site) -> None:
    site.kokorox.halves = 1
    async with site.ann.stream("POST", SPEECH, json=ASK) as answer:
        await anext(answer.aiter_raw())
    site.kokorox.pieces = 10_000_000
    site.kokorox.go_on.set()
    async with asyncio.timeout(WAIT):
        await site.kokorox.left.wait()


async def test_faults_of_the_server(site: Site) -> None:
    site.kokorox.fails = 500
    answer = await site.ann.post(SPEECH, json=ASK)
    assert (answer.status_code, answer.content) == (500, b"")
    site.kokorox.fails, site.kokorox.cut = None, True
    with pytest.raises(httpx.RemoteProtocolError):
        await site.ann.post(SPEECH, json=ASK)
    site.kokorox.cut = False
    assert (await site.ann.post(SPEECH, json=ASK)).status_code == 200


async def test_one_that_is_not_there(tmp_path: Path) -> None:
    async with Server(
        tmp_path, ["voice"], {"plugins": {"voice": {"tts": {"http_url": "http://127.0.0.1:9"}}}}
    ) as server:
        ann = await server.as_user("viewer")
        answer = await ann.post(SPEECH, json=ASK)
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            503,
            "The service behind this address cannot be reached",
        )


async def test_only_what_is_kokoroxs_is_reached_and_by_whom_may(site: Site) -> None:
    for path in ("/v1/audio/", "/v1/audio/../admin", "/v1/audio/speech/more", "/v1/audio/transcriptions"):
        assert (await site.ann.post(path, json=ASK)).status_code in (404, 405)
    assert (await site.ann.get(SPEECH)).status_code == 405
    assert (await site.server.anonymous.post(SPEECH, json=ASK)).status_code == 401
    too_long = await site.ann.post(SPEECH, json={**ASK, "input": "a" * 200_000})
    assert too_long.status_code == 413
    assert too_long.json()["error"]["message"]
    assert site.kokorox.asked == []


async def test_a_server_below_a_path(tmp_path: Path) -> None:
    async with site_of(tmp_path, "/voices/of/mine/") as site:
        site.kokorox.fails = 418
        assert (await site.ann.get("/v1/audio/voices")).status_code == 418
        assert site.kokorox.asked[-1][0] == "GET /voices/of/mine/v1/audio/voices HTTP/1.1"
