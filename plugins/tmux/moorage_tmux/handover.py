"""Control that changes hands by agreement: somebody asks for it, the holder declines or hands it over."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from moorage.api import Actor, Conflict, Forbidden, NotFound, TooManyRequests, UserInfo

from moorage_tmux import messages
from moorage_tmux.claims import Claim, Claims
from moorage_tmux.rights import CLAIM, Decides, require
from moorage_tmux.sessions import SessionInfo

ASK_AGAIN_SECONDS = 5.0
"""How long somebody waits before they ask for the same session again."""
OPEN_SECONDS = 300.0
"""How long a request can be declined."""


class Present(Protocol):
    """An open socket, as far as handing over needs it."""

    @property
    def user(self) -> UserInfo:
        """Whose it is."""
        ...

    @property
    def actor(self) -> Actor:
        """Who is behind it now: the user, within the bounds of the credential."""
        ...

    def sees(self, key: str) -> bool:
        """Whether it shows that session."""
        ...


class Tells(Protocol):
    """Who carries messages to a user's connections, and knows who is connected."""

    @property
    def present(self) -> Sequence[Present]:
        """All open sockets."""
        ...

    def tell_user(self, text: str, user_id: int, key: str | None = None) -> None:
        """Send a message to a user's connections that list sessions, or show the session `key`."""
        ...


@dataclass(slots=True)
class _Request:
    """asked: the loop's time. open: not answered yet."""

    user: UserInfo
    asked: float
    open: bool = True


class Handover:
    """Requests for control, and their answers. Requests are in memory only, and end with the claim they are about."""

    def __init__(self, claims: Claims, *, access: Decides, tells: Callable[[], Tells]) -> None:
        self._claims, self._access, self._tells = claims, access, tells
        self._requests: dict[tuple[str, int], _Request] = {}

    def request(self, session: SessionInfo, actor: Actor) -> dict[str, Any]:
        """Ask the holder for control; returns the message that holder and asker are sent.

        Forbidden; NotFound (NOT_CLAIMED) where it needs but to be claimed; Conflict (ALREADY_CLAIMED) for the holder;
        TooManyRequests.
        """
        require(self._access, actor, CLAIM, "claim")
        assert actor.user is not None
        user = actor.user
        claim = self._claims.get(session.key)
        if claim is None:
            raise NotFound("Session not claimed", details={"code": "NOT_CLAIMED"})
        if claim.user.id == user.id:
            raise Conflict("You have claimed this session", details={"code": "ALREADY_CLAIMED"})
        now = self._prune()
        last = self._requests.get((session.key, user.id))
        if last is not None and now < last.asked + ASK_AGAIN_SECONDS:
            wait = math.ceil(last.asked + ASK_AGAIN_SECONDS - now)
            raise TooManyRequests("You have just asked for this session", retry_after=wait)
        self._requests[session.key, user.id] = _Request(user, now)
        message = {
            "type": "controlRequested",
            "sessionId": session.name,
            "by": messages.person(user),
            "at": messages.timestamp(),
        }
        text = messages.encode(message)
        self._tells().tell_user(text, claim.user.id, session.key)
        self._tells().tell_user(text, user.id, session.key)
        return message

    def decline(self, session: SessionInfo, actor: Actor, pid: str) -> None:
        """The holder does not give control to the user `pid`. Conflict, NotFound (USER_NOT_FOUND), Forbidden."""
        claim = self._own(session, actor, "declineControl")
        self._prune()
        for (key, user_id), request in self._requests.items():
            if key == session.key and request.user.pid == pid and request.open:
                request.open = False
                message = {
                    "type": "controlDeclined",
                    "sessionId": session.name,
                    "by": messages.person(claim.user),
                    "userId": pid,
                }
                text = messages.encode(message)
                self._tells().tell_user(text, user_id, session.key)
                self._tells().tell_user(text, claim.user.id, session.key)
                return
        raise NotFound("This user has not asked for the session", details={"code": "USER_NOT_FOUND"})

    def hand_over(self, session: SessionInfo, actor: Actor, pid: str) -> Claim:
        """The holder's claim becomes the user `pid`'s at once.

        Conflict (NOT_CLAIMED; ALREADY_CLAIMED for handing it to oneself); NotFound (USER_NOT_FOUND) when they do not
        have the session open; Forbidden when one of the two may not claim.
        """
        claim = self._own(session, actor, "handOver")
        there = [each for each in self._tells().present if each.user.pid == pid and each.sees(session.key)]
        if not there:
            raise NotFound("This user does not have the session open", details={"code": "USER_NOT_FOUND"})
        if there[0].user.id == claim.user.id:
            raise Conflict("You have claimed this session", details={"code": "ALREADY_CLAIMED"})
        able = next((each for each in there if self._access.can(each.actor, CLAIM.name)), None)
        if able is None:
            raise Forbidden(
                "This user may not claim sessions",
                details={"required": CLAIM.default, "action": "handOver", "permission": CLAIM.name, "userId": pid},
            )
        return self._claims.hand_over(claim, actor, able.user)

    def forget(self, key: str) -> None:
        """The claim that was asked for is another's now, or nobody's."""
        for known in [known for known in self._requests if known[0] == key]:
            del self._requests[known]

    def _own(self, session: SessionInfo, actor: Actor, action: str) -> Claim:
        """The actor's claim. A credential with fewer rights than its user must not give it away."""
        claim = self._claims.get(session.key)
        if claim is None or actor.user is None or claim.user.id != actor.user.id:
            raise Conflict("You have not claimed this session", details={"code": "NOT_CLAIMED"})
        require(self._access, actor, CLAIM, action)
        return claim

    def _prune(self) -> float:
        """Forget what is too old to matter; returns the time."""
        now = asyncio.get_running_loop().time()
        for known in [known for known, request in self._requests.items() if request.asked + OPEN_SECONDS < now]:
            del self._requests[known]
        return now
