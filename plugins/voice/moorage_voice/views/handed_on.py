"""`/v1/audio`: kokorox's HTTP, handed on to the server itself."""

from __future__ import annotations

from urllib.parse import urlsplit

from moorage.api import OPENAI, Hub, ProxyRequest, Route, Routes, Target

from moorage_voice.config import TtsConfig
from moorage_voice.rights import SPEAK

BEGIN_SECONDS = 300.0
"""In which an answer must have begun: some are worked out whole before."""


def routes(hub: Hub, config: TtsConfig, url: str) -> list[Route]:
    """The addresses. url: of the server, as `TtsConfig.http_url`."""
    parts = urlsplit(url)
    tls, prefix = parts.scheme == "https", parts.path.rstrip("/")
    port = parts.port or (443 if tls else 80)
    upstream = hub.upstreams.register("kokorox", host=parts.hostname or "", port=port, tls=tls)
    table = Routes()

    def add(method: str, path: str) -> None:
        @table.proxy(
            path,
            access=SPEAK.name,
            methods=(method,),
            dialect=OPENAI,
            max_body=config.max_body,
            timeout=BEGIN_SECONDS,
        )
        async def resolve(request: ProxyRequest) -> Target:
            return Target(upstream, prefix + path)

    add("POST", "/v1/audio/speech")
    add("GET", "/v1/audio/voices")
    add("GET", "/v1/audio/voices/detailed")
    return list(table)
