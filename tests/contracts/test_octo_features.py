"""GET /api/features: what the server can do, for anybody, at the address that was asked."""

import pytest
from moorage.api import Manifest, Plugin, hookimpl
from moorage.testing.server import Server

NONE = {
    "mmry_enabled": False,
    "session_auto_attach": "off",
    "session_auto_attach_scan": False,
    "websocket_events": False,
}


class Answers(Plugin):
    """Says what the test put there."""

    said: object = {}

    @hookimpl
    def moorage_features(self, prefix):
        if isinstance(self.said, Exception):
            raise self.said
        return {"at": prefix, **self.said} if isinstance(self.said, dict) else self.said


class First(Answers):
    manifest = Manifest(name="first", version="1", summary="Says something")


class Second(Answers):
    manifest = Manifest(name="second", version="1", summary="Says something else")


async def features(server, path="/api/features"):
    answer = await server.anonymous.get(path)
    assert answer.status_code == 200
    return answer.json()


async def test_without_plugins_there_is_nothing(tmp_path):
    async with Server(tmp_path, [], {}) as server:
        assert await features(server) == NONE


async def test_plugins_say_what_they_bring(tmp_path):
    client = {"default_voice": "af_sky", "default_speed": 1.5}
    config = {"plugins": {"voice": {"client": client, "tts": {"url": "ws://127.0.0.1:9"}}}}
    async with Server(tmp_path, ["memories", "opencode", "voice"], config) as server:
        told = await features(server)
    voice = told.pop("voice")
    assert told == {**NONE, "mmry_enabled": True, "websocket_events": True}
    assert (voice["stt_url"], voice["tts_url"]) == ("/api/voice/stt", "/api/voice/tts")
    assert (voice["vad_timeout_ms"], voice["default_voice"], voice["default_speed"]) == (1500, "af_sky", 1.5)
    assert {"auto_language_detect", "tts_muted", "continuous_mode", "default_visualizer"} <= voice.keys()
    assert {"interrupt_word_count", "interrupt_backoff_ms", "visualizer_voices"} <= voice.keys()


async def test_paths_are_those_of_the_mount_that_was_asked(tmp_path):
    async with Server(tmp_path, ["voice"], {"plugins": {"voice": {"mount": "/talk"}}}) as server:
        for path in ("/api/features", "/talk/api/features"):
            assert (await features(server, path))["voice"]["stt_url"] == "/talk/api/voice/stt"
    async with Server(tmp_path, ["voice"], {"plugins": {"voice": {"mount": "//talk.example.org/"}}}) as server:
        assert "voice" not in await features(server), "it is at another host"
        asked = await server.anonymous.get("/api/features", headers={"Host": "talk.example.org"})
        assert asked.json()["voice"]["stt_url"] == "/api/voice/stt"


async def test_what_nothing_is_behind_is_not_told_of(tmp_path):
    none = {"engine": "none"}
    config = {"plugins": {"voice": {"stt": none, "tts": none}}}
    async with Server(tmp_path, ["voice"], config) as server:
        assert await features(server) == NONE
        config["plugins"]["voice"]["tts"] = {"url": "ws://127.0.0.1:9"}
        await server.reload(config)
        voice = (await features(server))["voice"]
        assert (voice["stt_url"], voice["tts_url"]) == (None, "/api/voice/tts")
        assert voice["default_voice"] == "af_heart"
        await server.reload({"plugins": {"voice": {"tts": {"voice": "bf_emma"}}}})
        assert (await features(server))["voice"]["default_voice"] == "bf_emma"


@pytest.mark.parametrize(
    "wrong",
    [RuntimeError("no"), None, 7, {"n": {1, 2}}],
    ids=["raises", "nothing", "number", "no-json"],
)
async def test_a_plugin_that_fails_is_left_out(tmp_path, wrong):
    async with Server(tmp_path, [First, Second], {}) as server:
        server.plugin("first").said = wrong
        server.plugin("second").said = {"websocket_events": True, "more": [1]}
        assert await features(server) == {**NONE, "at": "", "websocket_events": True, "more": [1]}
        server.plugin("first").said = {"more": [2]}
        assert (await features(server))["more"] == [2], "the earlier plugin's goes before"
