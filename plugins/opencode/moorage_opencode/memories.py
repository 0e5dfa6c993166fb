"""Which project a session's memories are of: the memories plugin asks, and knows nothing of sessions."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath

from moorage.api import Actor, BadRequest, Forbidden, MoorageError, NotFound, Project

from moorage_opencode.projects import MAX_PATH
from moorage_opencode.rights import CODE, VIEW
from moorage_opencode.sessions import Sessions


async def project_of(
    sessions: Sessions, actor: Actor, session_id: str, workspace_path: str, write: bool
) -> Project | None:
    """As `moorage_memories_project` has it: the project of a session, or the actor's own at a path.

    Who may see a session may read its memories, as far as memories' own rights let them; to change them one must be
    one who may work in it.
    """
    permission = CODE if write else VIEW
    try:
        if session_id:
            live = sessions.live(actor, session_id, permission)
            return Project(live.user_id, str(live.workspace))
        return await _at(sessions, actor, workspace_path, permission.name)
    except (NotFound, Forbidden, BadRequest):
        return None


async def _at(sessions: Sessions, actor: Actor, path: str, permission: str) -> Project | None:
    """The project that a session of the actor's works in there, or nearest above; else the folder itself.

    A project whose last session is gone keeps its memories, so one is not needed.
    """
    user = actor.user
    if user is None or not path or "\0" in path or len(path) > MAX_PATH:
        return None
    if not sessions.hub.access.can(actor, permission, owner_id=user.id):
        return None
    if path.startswith("/") and ".." not in path.split("/"):
        mine = {str(entry.live.workspace) for entry in sessions.records.of(user.id)}
        wanted = PurePosixPath(posixpath.normpath("/" + path.lstrip("/")))
        for folder in (wanted, *wanted.parents):
            if str(folder) in mine:
                return Project(user.id, str(folder))
    try:
        return Project(user.id, str(await sessions.project(user, path)))
    except MoorageError:
        return None
