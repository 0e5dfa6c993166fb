"""`/api/voice/stt` and `/api/voice/tts`: eaRS's and kokorox's protocols, spoken here or by the services themselves."""

from __future__ import annotations

from moorage.api import Hub, Route, Routes

from moorage_voice.config import VoiceConfig
from moorage_voice.protocols.ears import Ears
from moorage_voice.registry import Engines
from moorage_voice.rights import LISTEN

MAX_FRAME = 1024 * 1024
"""Bytes of one message: eleven seconds of sound."""


def routes(hub: Hub, config: VoiceConfig, engines: Engines) -> list[Route]:
    """Both addresses."""
    table = Routes()
    table.socket("/api/voice/stt", access=LISTEN.name, max_frame=MAX_FRAME)(Ears(hub, config.stt, engines).serve)
    return list(table)
