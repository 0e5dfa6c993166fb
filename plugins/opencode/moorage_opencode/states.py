"""The states of a session, and which may follow which."""

from __future__ import annotations

import enum


class Status(enum.StrEnum):
    """As the contract spells them."""

    PENDING = "pending"
    """Written down; nothing was asked of the runtime yet."""
    STARTING = "starting"
    """Its workload is being started, or is not ready yet."""
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    """By somebody's wish; its workload and files are kept."""
    FAILED = "failed"
    """`error_message` says why; it can be resumed, upgraded or deleted."""


ACTIVE = (Status.PENDING, Status.STARTING, Status.RUNNING)
"""What counts as one that runs."""


FOLLOWS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.STARTING, Status.STOPPING, Status.FAILED}),
    Status.STARTING: frozenset({Status.RUNNING, Status.STOPPING, Status.FAILED}),
    # Back to starting: its workload ended by itself and is started again.
    Status.RUNNING: frozenset({Status.STARTING, Status.STOPPING, Status.FAILED}),
    # Back to where it was: the runtime could not be asked to stop it, so that nothing happened.
    Status.STOPPING: frozenset(Status) - {Status.STARTING, Status.PENDING, Status.STOPPING},
    Status.STOPPED: frozenset({Status.STARTING, Status.PENDING, Status.STOPPING, Status.FAILED}),
    Status.FAILED: frozenset({Status.STARTING, Status.PENDING, Status.STOPPING}),
}
"""What may come after each. Deleting goes through `stopping`, whatever was before."""


class Operation(enum.StrEnum):
    """What goes on with a session over several states; stored with the first of them, removed with the last."""

    UPGRADE = "upgrade"
    DELETE = "delete"


def follows(before: str, after: Status) -> bool:
    """Whether a session may go from one state to the other."""
    return after in FOLLOWS[Status(before)]
