"""The terminal of a session: a shell in its workspace, over a WebSocket, in ttyd's protocol or in the contract's."""

from moorage_opencode.terminal.service import Terminals

__all__ = ["Terminals"]
