"""`/api/voice/stt` and `/api/voice/tts`: eaRS's and kokorox's protocols, spoken here or by the services themselves."""

from __future__ import annotations

from moorage.api import Hub, Route, Routes

from moorage_voice.config import VoiceConfig
from moorage_voice.protocols.ears import Ears
from moorage_voice.protocols.kokorox import Kokorox
from moorage_voice.registry import Engines
from moorage_voice.relay import Relays
from moorage_voice.rights import LISTEN, SPEAK
from moorage_voice.speech import SpeechService

MAX_FRAME = 1024 * 1024
"""Bytes of one message: eleven seconds of sound."""


def routes(hub: Hub, config: VoiceConfig, engines: Engines, speech: SpeechService, relays: Relays) -> list[Route]:
    """Both addresses. What has a server elsewhere is handed on to it."""
    table = Routes()
    speak = relays.tts or Kokorox(hub, speech)
    listen = relays.stt or Ears(hub, config.stt, engines)
    table.socket("/api/voice/tts", access=SPEAK.name)(speak.serve)
    table.socket("/api/voice/stt", access=LISTEN.name, max_frame=MAX_FRAME)(listen.serve)
    return list(table)
