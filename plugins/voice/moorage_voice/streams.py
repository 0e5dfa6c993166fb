"""What is listened to now, and who follows it: a stream is a speaker's connection, its followers their other ones."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from moorage.api import Actor, PreparedText, Socket

TOO_SLOW = (1013, "Reads too slowly")


@dataclass(slots=True, eq=False)
class Stream:
    """A speaker's connection. id: a number, as eaRS has it."""

    id: int
    user: int
    followers: set[Socket] = field(default_factory=set)

    def tell(self, text: str) -> None:
        """To those who follow. Who does not read is closed: words that are left out would not be noticed."""
        prepared = PreparedText(text)
        for socket in tuple(self.followers):
            if not socket.post(prepared):
                self.followers.discard(socket)
                socket.close_soon(*TOO_SLOW)


class Streams:
    """Those of this server. A user sees their own, whatever their role: what is said is nobody else's business."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._live: dict[int, Stream] = {}

    def open(self, actor: Actor) -> Stream:
        """A stream of its own for what somebody says now."""
        stream = Stream(next(self._numbers), _user(actor))
        self._live[stream.id] = stream
        return stream

    def close(self, stream: Stream) -> None:
        """It is over; who follows it stays, and hears nothing more."""
        self._live.pop(stream.id, None)
        stream.followers.clear()

    def of(self, actor: Actor) -> list[int]:
        """The numbers of a user's streams."""
        return [stream.id for stream in self._live.values() if stream.user == _user(actor)]

    def follow(self, actor: Actor, number: int, socket: Socket) -> bool:
        """Follow one stream and leave all others. False when the user has none of that number."""
        stream = self._live.get(number)
        if stream is None or stream.user != _user(actor):
            return False
        self.leave(socket)
        stream.followers.add(socket)
        return True

    def leave(self, socket: Socket) -> None:
        """Follow nothing."""
        for stream in self._live.values():
            stream.followers.discard(socket)


def _user(actor: Actor) -> int:
    return actor.user.id if actor.user is not None else 0
