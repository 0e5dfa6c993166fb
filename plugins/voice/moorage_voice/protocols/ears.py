"""eaRS: speech as text over a WebSocket."""

from __future__ import annotations

from moorage.api import Hub, Socket

from moorage_voice.config import SttConfig
from moorage_voice.registry import Engines


class Ears:
    """Listens to clients of eaRS."""

    def __init__(self, hub: Hub, config: SttConfig, engines: Engines) -> None:
        self._hub, self._config, self._engines = hub, config, engines

    async def serve(self, socket: Socket) -> None:
        """One connection. Unavailable, before it is accepted, when nothing here can hear."""
        self._engines.stt()
        await socket.accept()
        await socket.close(1000)
