"""A project, as the plugin that works in it tells another of it: whose it is, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Project:
    """A folder that a user works in. owner_id: the user's number. path: absolute; its last part is its name."""

    owner_id: int
    path: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]
