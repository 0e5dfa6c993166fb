"""Why a session does not run, in words that its owner can act on."""

from __future__ import annotations

from moorage.api import Conflict, Hub, MoorageError, WorkloadState

from moorage_opencode.models import OpenCodeSession
from moorage_opencode.sealed import Secrets, Unsealable

LINES = 15
"""Of the log, told with a failure."""
MAX_TEXT = 4000


class StartFailed(MoorageError):
    """The session could not be started; its row says the same."""


class Interrupted(Conflict):
    """A stop or a deletion was asked for while it started."""

    default_message = "The session was stopped while it was starting"


def ended(state: WorkloadState) -> str:
    """That a workload ended by itself."""
    code = state.exit_code
    how = "" if code is None else f" (signal {code - 128})" if code > 128 else f" (exit code {code})"
    return f"OpenCode ended by itself{how}" + (f": {state.reason}" if state.reason else "")


def missing(kind: str) -> str:
    """That the runtime knows nothing of a workload that should run."""
    return "container not found" if kind == "docker" else f"The runtime {kind!r} does not know its workload any more"


async def with_log(hub: Hub, row: OpenCodeSession, text: str) -> str:
    """The text with the last lines of the session's log, without its secrets; never an error."""
    try:
        runtime = await hub.runtimes.get(row.runtime)
        said = (await runtime.logs(row.workload, lines=LINES)).decode("utf-8", "replace")
        said = Secrets.open(hub, row.sealed).masked(said)
    except Unsealable:
        return text
    except Exception:
        return text
    said = "".join(char if char.isprintable() or char == "\n" else "" for char in said).strip()[-MAX_TEXT:]
    return f"{text}. Its last lines:\n{said}" if said else text
