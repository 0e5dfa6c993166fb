"""`/v1/audio` as kokorox's and OpenAI's clients find it, by the real engines."""

from __future__ import annotations

import struct
import time

import httpx
import openai
import pytest
from voicesite import voice_site
from waits import WAIT
from websockets.exceptions import InvalidStatus

TEXT = "Stop the running container and delete the session. Thank you very much, that is all for now."
LONG = "This is one of very many sentences. " * 300


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    config = {"tts": {"voice": "pico_en-gb", "max_sessions_per_user": 2}}
    with voice_site(tmp_path_factory.mktemp("audio"), config) as site:
        yield site


@pytest.fixture(scope="module")
def client(site):
    with site.client() as client:
        yield client


def speech(client, **members):
    answer = client.post("/v1/audio/speech", json={"model": "tts-1", "input": TEXT, **members})
    assert answer.status_code == 200, answer.text
    return answer


def floats_of(body):
    assert body[:44] == (
        b"RIFF\xff\xff\xff\xffWAVEfmt "
        + struct.pack("<IHHIIHH", 16, 3, 1, 24_000, 96_000, 4, 32)
        + b"data\xff\xff\xff\xff"
    )
    return memoryview(body[44:]).cast("f")


def test_voices_are_listed(client):
    voices = client.get("/v1/audio/voices").json()["voices"]
    detailed = client.get("/v1/audio/voices/detailed").json()["voices"]
    assert [voice["id"] for voice in detailed] == voices
    assert detailed[0] == {
        "id": "pico_en-us",
        "name": "English (America)",
        "description": "SVOX Pico",
        "language": "en-us",
        "gender": "female",
    }
    assert len(set(voices)) == len(voices) > 250
    assert {voice["language"].partition("-")[0] for voice in detailed} > {"en", "de", "nl", "cmn", "hi", "sw"}


def test_wav_is_a_stream_of_floats(client):
    answer = speech(client)
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["transfer-encoding"] == "chunked"
    samples = floats_of(answer.content)
    assert 5 < len(samples) / 24_000 < 9
    assert 0.1 < max(samples) <= 1


def test_pcm_and_mp3(client):
    seconds = len(floats_of(speech(client).content)) / 24_000
    pcm, mp3 = speech(client, response_format="pcm"), speech(client, response_format="mp3")
    assert pcm.headers["content-type"] == "audio/pcm"
    assert len(pcm.content) / 48_000 == pytest.approx(seconds, rel=0.01)
    assert mp3.headers["content-type"] == "audio/mpeg"
    # Layer III's sync word; 64 kbit a second.
    assert mp3.content[0] == 0xFF
    assert mp3.content[1] & 0xE6 == 0xE2
    assert len(mp3.content) / 8_000 == pytest.approx(seconds, abs=0.3)


def test_voice_speed_language_and_silence(client):
    def seconds(**members):
        return len(floats_of(speech(client, **members).content)) / 24_000

    usual = seconds()
    assert seconds(voice="pico_en-gb") == pytest.approx(usual, rel=0.01)
    assert seconds(voice="bf_emma") == pytest.approx(usual, rel=0.01)
    assert seconds(speed=2) < 0.75 * usual
    assert seconds(speed=50) == pytest.approx(seconds(speed=3), rel=0.01)
    assert seconds(initial_silence=40) == pytest.approx(usual + 1, rel=0.01)
    assert seconds(language="de") == pytest.approx(seconds(voice="pico_de-de"), rel=0.01)
    assert seconds(input="...") == pytest.approx(0.1)


def test_openais_own_client_is_served(site, client):
    key = client.headers["Authorization"].removeprefix("Bearer ")
    with openai.OpenAI(base_url=f"{site.server.url}/v1", api_key=key, timeout=WAIT, max_retries=0) as sdk:
        asked = {"model": "kokoro", "voice": "af_heart", "input": TEXT}
        with sdk.audio.speech.with_streaming_response.create(**asked, response_format="mp3") as answer:
            assert sum(len(chunk) for chunk in answer.iter_bytes()) > 20_000
        # Without a voice none can ask it; it has the names of OpenAI's.
        usual = len(speech(client, response_format="pcm").content)
        for voice in ("alloy", "onyx"):
            said = sdk.audio.speech.create(**{**asked, "voice": voice}, response_format="pcm").content
            assert len(said) == pytest.approx(usual, rel=0.3)
        with pytest.raises(openai.BadRequestError, match="no such voice: nobody"):
            sdk.audio.speech.create(**{**asked, "voice": "nobody"})


WRONG = [
    ({"input": "a"}, 400, "model"),
    ({"model": "m"}, 400, "input"),
    ({"model": "m", "input": ""}, 400, "input"),
    ({"model": "m", "input": 5}, 400, "input"),
    ({"model": "m", "input": "a", "voice": "nobody"}, 400, "no such voice: nobody"),
    ({"model": "m", "input": "a", "voice": {"id": "x"}}, 400, "voice"),
    ({"model": "m", "input": "a", "language": "tlh"}, 400, "no voice speaks the language: tlh"),
    ({"model": "m", "input": "a", "response_format": "opus"}, 400, "response_format"),
    ({"model": "m", "input": "a", "stream_format": "sse"}, 400, "stream_format"),
    ({"model": "m", "input": "a", "speed": "fast"}, 400, "speed"),
    ({"model": "m", "input": "a", "initial_silence": 10**9}, 400, "initial_silence"),
    ({"model": "m", "input": "a" * 65_537}, 413, "65536 bytes"),
    ([], 400, "JSON object"),
]


@pytest.mark.parametrize(("body", "status", "told"), WRONG)
def test_what_is_asked_wrongly_is_told(client, body, status, told):
    answer = client.post("/v1/audio/speech", json=body)
    assert answer.status_code == status
    assert told in answer.json()["error"]["message"]


def test_what_is_no_json_or_too_much_of_it_is_told(client):
    assert (
        client.post("/v1/audio/speech", content=b"{", headers={"content-type": "application/json"}).status_code == 400
    )
    assert client.post("/v1/audio/speech", data={"input": "a"}).status_code == 415
    assert client.post("/v1/audio/speech", json={"model": "m", "input": "a" * 600_000}).status_code == 413


def test_who_has_too_much_under_way_is_told_and_who_leaves_frees_it(client, site):
    ask = {"model": "m", "input": LONG}
    with (
        client.stream("POST", "/v1/audio/speech", json=ask) as one,
        client.stream("POST", "/v1/audio/speech", json=ask) as two,
    ):
        streams = one.iter_raw(), two.iter_raw()
        assert all(next(stream) for stream in streams)
        refused = client.post("/v1/audio/speech", json=ask)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "5"
        with site.client("ben") as ben:
            assert speech(ben)
    deadline = time.monotonic() + WAIT
    while client.post("/v1/audio/speech", json={"model": "m", "input": "Hi."}).status_code == 429:
        assert time.monotonic() < deadline, "who left keeps a place"
        time.sleep(0.02)


def test_an_engine_that_dies_breaks_the_answer_off_and_the_next_is_whole(client, site):
    with client.stream("POST", "/v1/audio/speech", json={"model": "m", "input": LONG}) as answer:
        pieces = answer.iter_raw()
        assert next(pieces)
        with site.crashing("pico"), pytest.raises(httpx.RemoteProtocolError):
            for _ in pieces:
                pass
    assert len(floats_of(speech(client).content))


def test_without_an_engine_the_mend_is_told(tmp_path):
    nobody = {"tts": {"engine": "nightingale"}, "stt": {"engine": "owl"}}
    with voice_site(tmp_path, nobody) as site, site.client() as client:
        refused = [
            client.post("/v1/audio/speech", json={"model": "m", "input": "a"}),
            client.get("/v1/audio/voices"),
            client.get("/v1/audio/voices/detailed"),
        ]
        with pytest.raises(InvalidStatus) as speaks, site.speaker():
            pass
        with pytest.raises(InvalidStatus) as hears:
            site.hear(b"")
        assert [answer.status_code for answer in refused] == [503, 503, 503]
        assert (
            "There is no engine 'nightingale' for tts; there are: pico, espeak" in refused[0].json()["error"]["message"]
        )
        for socket, told in (
            (speaks, "'nightingale' for tts"),
            (hears, "'owl' for stt; there are: moonshine, pocketsphinx"),
        ):
            assert socket.value.response.status_code == 503
            assert told in socket.value.response.body.decode()
        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded"), "the operator wanted those"


def test_strangers_are_not_served(site):
    with site.server.client() as nobody:
        assert nobody.get("/v1/audio/voices").status_code == 401
        assert nobody.post("/v1/audio/speech", json={"model": "m", "input": "a"}).status_code == 401
