"""The hooks that this plugin offers to others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from moorage.api import hookspec

if TYPE_CHECKING:
    from moorage.api import Actor, Project

    from moorage_memories.backends.base import MemoryBackend


class Specs:
    """Memories' hooks."""

    @hookspec
    def moorage_memories_backends(self) -> Iterable[MemoryBackend]:  # type: ignore[empty-body]
        """Places of the plugin's own where memories can be kept (sync).

        Called when memories are first needed, where `[plugins.memories] backend` is neither "embedded" nor "mmry", and
        again after the plugin whose backend was used has ended or was made anew. The one of that name is used: it is
        started then, and closed when either plugin ends.

        :returns: objects of `moorage_memories.backends.base.MemoryBackend`.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_memories_project(
        self, actor: Actor, session_id: str, workspace_path: str, write: bool
    ) -> Project | None:
        """The project whose memories a session works with (async, limit 5 s).

        Called for `/api/session/{id}/mmry…` and `/api/workspace/memories`. The first plugin that knows it answers.

        :param actor: who asks: a session that they may not see is not there.
        :param session_id: the session's id; "" where it is asked by workspace_path.
        :param workspace_path: as the client wrote it; "" where it is asked by session_id.
        :param write: the memories are to be changed, not only read.
        :returns: the project, or None where there is no such session, or not for the actor.

        .. versionadded:: 0.1
        """
