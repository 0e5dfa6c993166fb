"""Claims: who has a session for themselves, as leases that end by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from moorage.api import Actor, Forbidden, NotFound, UserInfo

from moorage_tmux import messages
from moorage_tmux.background import Background
from moorage_tmux.rights import CLAIM, OVERRIDE, Decides, require
from moorage_tmux.sessions import SessionInfo

RENEWAL_STEP = 60.0
"""Seconds by which typing must have moved a claim's end before that is stored and told."""
CLOCK_STEP = 2.0
"""Seconds by which the wall clock must have moved against the loop's before a claim's end is corrected."""


@dataclass(slots=True, eq=False)
class Claim:
    """One user's hold on one session. `deadline` is the loop's time of its end, `expires_at` the same for people."""

    key: str
    session_name: str
    user: UserInfo
    claimed_at: datetime
    expires_at: datetime
    deadline: float
    warned: bool = False
    told: datetime = field(init=False)
    timer: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self.told = self.expires_at

    def public(self) -> dict[str, Any]:
        """As lists show it."""
        return {
            "userId": self.user.pid,
            "userName": messages.display_name(self.user),
            "claimedAt": messages.timestamp(self.claimed_at),
            "expiresAt": messages.timestamp(self.expires_at),
        }


class Keeps(Protocol):
    """Where claims are kept over a restart."""

    def save(self, claim: Claim) -> None:
        """Store a claim as it is."""
        ...

    def delete(self, key: str) -> None:
        """Forget a claim."""
        ...


class Told(Protocol):
    """Who is told of claims. None of these may raise or wait."""

    def claimed(self, claim: Claim, reason: str, previous: UserInfo | None = None) -> None:
        """A session was "claimed", its claim "renewed", or "handed_over" by `previous`."""
        ...

    def released(self, claim: Claim, reason: str) -> None:
        """A claim ended: "released", "expired", "overridden", "disconnected", "withdrawn", "destroyed"."""
        ...

    def expiring(self, claim: Claim, seconds: int) -> None:
        """A claim ends soon."""
        ...

    def record(self, action: str, actor: Actor | None, claim: Claim, data: dict[str, Any]) -> None:
        """For the audit log; actor None is the server itself."""
        ...


class Claims:
    """All claims, in memory. lease, warning, grace: seconds, see the configuration."""

    def __init__(
        self,
        *,
        lease: float,
        warning: float,
        grace: float,
        access: Decides,
        background: Background,
        store: Keeps,
        told: Told,
    ) -> None:
        self._lease, self._warning, self._grace = lease, warning, grace
        self._access, self._background, self._store, self._told = access, background, store, told
        self._claims: dict[str, Claim] = {}
        self._connections: dict[int, int] = {}
        self._leaving: dict[int, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def get(self, key: str) -> Claim | None:
        """The claim on a session, or None."""
        claim = self._claims.get(key)
        if claim is not None and claim.deadline <= _now():
            self._drop(claim, "expired", None)
            return None
        if claim is not None:
            self._mend(claim)
        return claim

    def claim(self, session: SessionInfo, actor: Actor) -> Claim:
        """Claim a session, renew one's own claim, or take it over where that is allowed.

        Forbidden without the right, or with details (code ALREADY_CLAIMED, claimedBy, expiresAt) when it is another's.
        """
        require(self._access, actor, CLAIM, "claim")
        assert actor.user is not None
        current = self.get(session.key)
        if current is not None and current.user.id == actor.user.id:
            current.user = actor.user
            self._stays(actor.user.id)
            self._renew(current)
            self._tell(current, "renewed")
            self._told.record("tmux.claim_renewed", actor, current, {})
            return current
        if current is not None:
            if not self._access.can(actor, OVERRIDE.name):
                raise claimed_by_other(current, "ALREADY_CLAIMED")
            self._drop(current, "overridden", actor)
        now = datetime.now(UTC)
        claim = Claim(
            session.key, session.name, actor.user, now, now + timedelta(seconds=self._lease), _now() + self._lease
        )
        self._claims[claim.key] = claim
        self._stays(actor.user.id)
        self._schedule(claim)
        self._tell(claim, "claimed")
        self._told.record("tmux.claimed", actor, claim, {})
        return claim

    def check_free(self, key: str, actor: Actor) -> None:
        """Who acts in a session must not be kept out by another's claim: Forbidden (CLAIM_REQUIRED)."""
        claim = self.get(key)
        if claim is not None and (actor.user is None or claim.user.id != actor.user.id):
            raise claimed_by_other(claim, "CLAIM_REQUIRED")

    def hand_over(self, claim: Claim, actor: Actor, to: UserInfo) -> Claim:
        """A claim that holds becomes another's, with a new lease."""
        previous, claim.user = claim.user, to
        claim.claimed_at = datetime.now(UTC)
        self._renew(claim)
        self._tell(claim, "handed_over", previous)
        self._told.record("tmux.claim_handed_over", actor, claim, {"from": previous.pid, "to": to.pid})
        if to.id not in self._connections:
            self._leaves(to.id)
        return claim

    def release(self, session: SessionInfo, actor: Actor) -> None:
        """End a claim: one's own, or another's where that is allowed. NotFound when there is none; Forbidden."""
        current = self.get(session.key)
        if current is None:
            raise NotFound("Session not claimed", details={"code": "NOT_CLAIMED"})
        user = actor.user
        own = user is not None and user.id == current.user.id
        if own and self._access.can(Actor(user), CLAIM.name) and not self._access.can(actor, OVERRIDE.name):
            # Whose role was lost gives back what they have; a key that is for watching only gives nothing away.
            require(self._access, actor, CLAIM, "release")
        elif not own and not self._access.can(actor, OVERRIDE.name):
            raise Forbidden(
                "Cannot release others' claims",
                details={
                    "required": OVERRIDE.default,
                    "current": actor.user.role if actor.user else None,
                    "action": "release",
                    "permission": OVERRIDE.name,
                    "claimedBy": current.user.pid,
                },
            )
        self._drop(current, "released", actor)

    def used(self, claim: Claim) -> None:
        """The holder typed: the lease begins anew."""
        self._renew(claim)
        if (claim.expires_at - claim.told).total_seconds() > RENEWAL_STEP:
            self._tell(claim, "renewed")

    def connected(self, user_id: int) -> None:
        """One more socket of a user."""
        self._connections[user_id] = self._connections.get(user_id, 0) + 1
        self._stays(user_id)

    def disconnected(self, user_id: int) -> None:
        """One socket less. With the last one gone, the user's claims end after the grace."""
        left = self._connections.get(user_id, 0) - 1
        if left > 0:
            self._connections[user_id] = left
            return
        self._connections.pop(user_id, None)
        if any(claim.user.id == user_id for claim in self._claims.values()):
            self._leaves(user_id)

    def holders(self) -> set[int]:
        """The ids of all users who hold a claim."""
        return {claim.user.id for claim in self._claims.values()}

    def withdraw(self, user_id: int) -> None:
        """The user may hold no claims any more."""
        self._drop_all_of(user_id, "withdrawn")

    def known_as(self, user: UserInfo) -> None:
        """The user's name or role changed."""
        for claim in self._claims.values():
            if claim.user.id == user.id:
                claim.user = user

    def undo(self, claim: Claim) -> None:
        """A claim that could not be stored does not hold."""
        self._drop(claim, "withdrawn", None)

    def sessions_are(self, sessions: Iterable[SessionInfo]) -> None:
        """These sessions exist: claims on others end, names are brought up to date."""
        there = {session.key: session for session in sessions}
        for claim in list(self._claims.values()):
            session = there.get(claim.key)
            if session is None:
                self._drop(claim, "destroyed", None)
            elif session.name != claim.session_name:
                claim.session_name = session.name
                self._store.save(claim)

    def restore(self, claim: Claim) -> None:
        """Take a stored claim back. It ends when its lease does; the grace begins with the next disconnect."""
        # Not longer than a lease: the clock may have been set back, or the configuration changed.
        left = min(self._lease, (claim.expires_at - datetime.now(UTC)).total_seconds())
        claim.deadline = _now() + left
        self._claims[claim.key] = claim
        self._schedule(claim)

    def close(self) -> None:
        """Stop all timers. What is stored stays."""
        for claim in self._claims.values():
            if claim.timer is not None:
                claim.timer.cancel()
        for timer in self._leaving.values():
            timer.cancel()
        self._claims.clear()
        self._leaving.clear()

    def _renew(self, claim: Claim) -> None:
        claim.deadline = _now() + self._lease
        claim.expires_at = datetime.now(UTC) + timedelta(seconds=self._lease)
        claim.warned = False

    def _mend(self, claim: Claim) -> None:
        """The wall clock was set: the lease is as long as it was, but ends at another time of day."""
        ends = datetime.now(UTC) + timedelta(seconds=claim.deadline - _now())
        if abs((ends - claim.expires_at).total_seconds()) > CLOCK_STEP:
            claim.expires_at = ends
            self._tell(claim, "renewed")

    def _tell(self, claim: Claim, reason: str, previous: UserInfo | None = None) -> None:
        claim.told = claim.expires_at
        self._store.save(claim)
        self._told.claimed(claim, reason, previous)

    def _leaves(self, user_id: int) -> None:
        """The user has no connection: the grace begins."""
        self._stays(user_id)
        self._leaving[user_id] = self._background.later(self._grace, lambda: self._left(user_id))

    def _stays(self, user_id: int) -> None:
        """The user is there after all."""
        timer = self._leaving.pop(user_id, None)
        if timer is not None:
            timer.cancel()

    def _schedule(self, claim: Claim) -> None:
        """Wake up at the warning, then at the end. A renewal moves neither: waking too early is cheap."""
        warned = claim.warned or self._warning <= 0 or self._lease <= self._warning
        due = claim.deadline if warned else claim.deadline - self._warning
        claim.timer = self._background.later(max(0.0, due - _now()), lambda: self._woken(claim))

    def _woken(self, claim: Claim) -> None:
        left = claim.deadline - _now()
        if left <= 0:
            self._drop(claim, "expired", None)
            return
        if left <= self._warning < self._lease and not claim.warned:
            claim.warned = True
            self._told.expiring(claim, round(left))
        self._schedule(claim)

    def _left(self, user_id: int) -> None:
        self._leaving.pop(user_id, None)
        self._drop_all_of(user_id, "disconnected")

    def _drop_all_of(self, user_id: int, reason: str) -> None:
        for claim in [claim for claim in self._claims.values() if claim.user.id == user_id]:
            self._drop(claim, reason, None)

    def _drop(self, claim: Claim, reason: str, actor: Actor | None) -> None:
        if self._claims.get(claim.key) is not claim:
            return
        del self._claims[claim.key]
        if claim.timer is not None:
            claim.timer.cancel()
        self._store.delete(claim.key)
        self._told.released(claim, reason)
        self._told.record("tmux.claim_" + reason, actor, claim, {"reason": reason, "holder": claim.user.pid})


def claimed_by_other(claim: Claim, code: str) -> Forbidden:
    """The refusal to one who is not the holder; `code` is the finer code."""
    return Forbidden(
        "Session is claimed by another user",
        details={
            "code": code,
            "claimedBy": claim.user.pid,
            "claimedByName": messages.display_name(claim.user),
            "expiresAt": messages.timestamp(claim.expires_at),
        },
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
