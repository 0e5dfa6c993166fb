"""The plugin: its manifest, and the hooks by which the core calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from moorage.api import OCTO, Health, Hub, Manifest, Plugin, Route, Unavailable, hookimpl

from moorage_voice.config import VoiceConfig
from moorage_voice.hooks import Specs
from moorage_voice.registry import Engines
from moorage_voice.relay import Relays
from moorage_voice.rights import PERMISSIONS
from moorage_voice.speech import SpeechService
from moorage_voice.views import audio, handed_on, sockets

KOKOROX_VOICE = "af_heart"
"""What kokorox's clients begin with. Engines inside say it by a voice of that language and gender."""


class VoicePlugin(Plugin):
    """Voice."""

    manifest = Manifest(
        name="voice",
        version="0.1.0",
        summary="Voice: speech as text and text as speech, by engines inside or services elsewhere",
        config=VoiceConfig,
        permissions=PERMISSIONS,
        dialect=OCTO,
        extra="voice",
    )

    config: VoiceConfig
    engines: Engines
    relays: Relays

    @hookimpl
    def moorage_add_hookspecs(self) -> Iterable[object]:
        """Engines of other plugins."""
        return [Specs]

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """Build the services, and the routes over them."""
        if not isinstance(hub.config, VoiceConfig):
            raise TypeError("the voice plugin was given another plugin's settings")
        self.config = hub.config
        self.engines = Engines(hub, hub.config)
        self.relays = Relays(hub, hub.config)
        speech = SpeechService(hub, hub.config.tts, self.engines)
        url = hub.config.tts.http_url
        spoken = audio.routes(speech) if url is None else handed_on.routes(hub, hub.config.tts, url)
        return [*sockets.routes(hub, hub.config, self.engines, speech, self.relays), *spoken]

    @hookimpl
    async def moorage_shutdown(self) -> None:
        """End what listens and speaks."""
        await self.relays.close()
        await self.engines.close()

    @hookimpl
    def moorage_features(self, prefix: str) -> dict[str, Any]:
        """Where the sockets are, null where nothing is behind one, and what clients begin with."""
        listens = self.config.stt.url is not None or _can(self.engines.stt)
        speaks = self.config.tts.url is not None or _can(self.engines.tts)
        if not listens and not speaks:
            return {}
        places = {
            "stt_url": f"{prefix}/api/voice/stt" if listens else None,
            "tts_url": f"{prefix}/api/voice/tts" if speaks else None,
        }
        client = self.config.client.model_dump()
        client["default_voice"] = client["default_voice"] or self.config.tts.voice or KOKOROX_VOICE
        return {"voice": {**places, **client}}

    @hookimpl
    async def moorage_health(self) -> Health:
        """Which engines can work, or which servers are asked instead, and whether one of these failed.

        That no engine can work is no fault, and is said to who asks for one. That the one which the operator
        named cannot work is one.
        """
        stt, tts = self.config.stt.url, self.config.tts.url
        data = {"stt": stt or self.engines.stt_names(), "tts": tts or self.engines.tts_names()}
        misled = self.engines.misled(stt=stt is None, tts=tts is None)
        failure = "; ".join(filter(None, (self.relays.failure(), misled)))
        return Health("degraded" if failure else "ok", failure, data)


def _can(choose: Callable[[], object]) -> bool:
    try:
        choose()
    except Unavailable:
        return False
    return True
