"""The plugin: its manifest, and the hooks by which the core calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from moorage.api import OCTO, Health, Hub, Manifest, Plugin, Route, Unavailable, hookimpl

from moorage_voice.config import VoiceConfig
from moorage_voice.hooks import Specs
from moorage_voice.registry import Engines
from moorage_voice.rights import PERMISSIONS
from moorage_voice.speech import Speech
from moorage_voice.views import audio, sockets


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
        speech = Speech(hub, hub.config.tts, self.engines)
        return [*sockets.routes(hub, hub.config, self.engines, speech), *audio.routes(speech)]

    @hookimpl
    async def moorage_shutdown(self) -> None:
        """End what listens and speaks."""
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
        return {"voice": {**places, **self.config.client.model_dump()}}

    @hookimpl
    async def moorage_health(self) -> Health:
        """Which engines can work. That none can is no fault, and is said to who asks for one."""
        return Health("ok", "", {"stt": self.engines.stt_names(), "tts": self.engines.tts_names()})


def _can(choose: Callable[[], object]) -> bool:
    try:
        choose()
    except Unavailable:
        return False
    return True
