"""Workspaces as they are kept in memory: what the hot path reads. All that are not deleted."""

from __future__ import annotations

from collections.abc import Iterator

from moorage_mcp.records import Status, WorkspaceInfo


class Book:
    """By id, by public id, and by owner and name."""

    def __init__(self) -> None:
        self._ids: dict[int, WorkspaceInfo] = {}
        self._pids: dict[str, WorkspaceInfo] = {}
        self._names: dict[tuple[int, str], WorkspaceInfo] = {}
        self._users: dict[int, dict[int, WorkspaceInfo]] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[WorkspaceInfo]:
        return iter(list(self._ids.values()))

    def get(self, id: int) -> WorkspaceInfo | None:
        """By its number."""
        return self._ids.get(id)

    def by_pid(self, pid: str) -> WorkspaceInfo | None:
        """By its public id."""
        return self._pids.get(pid)

    def by_name(self, user_id: int, name: str) -> WorkspaceInfo | None:
        """By its owner and name."""
        return self._names.get((user_id, name))

    def of_user(self, user_id: int) -> list[WorkspaceInfo]:
        """All of an owner's."""
        return list(self._users.get(user_id, {}).values())

    def put(self, info: WorkspaceInfo) -> bool:
        """Take it in; a deleted one out. False when it is known already as it is, or newer."""
        known = self._ids.get(info.id)
        if known is not None and known.version >= info.version:
            return False
        self.drop(info.id)
        if info.status is Status.DELETED:
            return known is not None
        self._ids[info.id] = self._pids[info.pid] = self._names[info.user_id, info.name] = info
        self._users.setdefault(info.user_id, {})[info.id] = info
        return True

    def drop(self, id: int) -> WorkspaceInfo | None:
        """Forget it; what was known of it."""
        known = self._ids.pop(id, None)
        if known is not None:
            self._pids.pop(known.pid, None)
            mine = self._users[known.user_id]
            del mine[id]
            if not mine:
                del self._users[known.user_id]
            if self._names.get((known.user_id, known.name)) is known:
                del self._names[known.user_id, known.name]
        return known

    def counts(self) -> dict[Status, int]:
        """How many are active and inactive."""
        active = sum(info.status is Status.ACTIVE for info in self._ids.values())
        return {Status.ACTIVE: active, Status.INACTIVE: len(self._ids) - active}
