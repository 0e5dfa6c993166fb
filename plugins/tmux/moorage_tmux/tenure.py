"""What one who asks over HTTP may do, while the answer takes long: a right that is lost meanwhile counts at once."""

from __future__ import annotations

from moorage.api import Actor, Forbidden, SocketRegistry, Unauthorized, Unavailable

from moorage_tmux.rights import VIEW

_SIGNED_OUT, _WITHDRAWN = 4001, 4003


class Tenure:
    """Stands among the open sockets while it is entered, since the core keeps the actors of those up to date."""

    access = VIEW.name

    def __init__(self, sockets: SocketRegistry, plugin: str, actor: Actor) -> None:
        self.actor, self.plugin = actor, plugin
        self._sockets = sockets
        self._closed: tuple[int, str] | None = None

    def __enter__(self) -> Tenure:
        self._sockets.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._sockets.remove(self)

    def close_soon(self, code: int, reason: str) -> None:
        """The core's word that this has to end: `check` raises from now on."""
        self._closed = self._closed or (code, reason)

    def check(self) -> None:
        """Unauthorized, Forbidden or Unavailable when this has to end."""
        if self._closed is None:
            return
        code, reason = self._closed
        if code == _SIGNED_OUT:
            raise Unauthorized(reason)
        raise Forbidden(reason) if code == _WITHDRAWN else Unavailable(reason)
