"""Who may do what: the plugin's permissions."""

from __future__ import annotations

from moorage.api import Permission

LISTEN = Permission("voice:stt:use", "Have speech turned into text", default="viewer")
SPEAK = Permission("voice:tts:use", "Have text turned into speech", default="viewer")
PERMISSIONS = (LISTEN, SPEAK)
