"""What clients are told that the server can do. Source: Octo's own program, `GET /features`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NotRequired

from quart import Response
from typing_extensions import TypedDict

from moorage.dialects import OCTO
from moorage.hub import HookFailed
from moorage.routes import PUBLIC, Route, Routes
from moorage.web import json_response

if TYPE_CHECKING:
    from moorage.hub import Hub

HOOK = "moorage_features"


class FeaturesAnswer(TypedDict):
    """GET /api/features. voice: absent where there is none. Plugins may say more."""

    mmry_enabled: bool
    session_auto_attach: str
    session_auto_attach_scan: bool
    websocket_events: bool
    voice: NotRequired[dict[str, Any]]


def routes(hub: Hub, mounts: Callable[[], Mapping[str, Sequence[str]]]) -> list[Route]:
    """GET /api/features, for anybody. mounts: gives the plugins at the address that was asked, with their prefixes."""
    found = Routes()

    @found.get("/api/features", access=PUBLIC, dialect=OCTO, answer=FeaturesAnswer)
    async def read_features() -> Response:
        """Say what the server can do at the address that was asked: memories, voice, events of sessions."""
        here = mounts()
        features: dict[str, Any] = {}
        for name in hub.hooks.implementers(HOOK):
            if name not in here:
                continue
            try:
                said = dict(hub.hooks.call_one(HOOK, name, prefix=here[name][0]))
                json.dumps(said)
            except (HookFailed, TypeError, ValueError) as error:
                hub.log.error("a plugin did not say what it offers", plugin=name, reason=str(error))
                continue
            features = said | features
        defaults: FeaturesAnswer = {
            "mmry_enabled": False,
            "session_auto_attach": "off",
            "session_auto_attach_scan": False,
            "websocket_events": False,
        }
        return json_response(defaults | features)

    return list(found)
