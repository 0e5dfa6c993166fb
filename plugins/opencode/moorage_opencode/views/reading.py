"""What the views read: bodies and queries of sessions."""

from __future__ import annotations

from typing import Annotated

from moorage.api import ValidationFailed
from pydantic import BaseModel, Field

from moorage_opencode.wishes import Wish

MAX_OFFSET = 2**31 - 1
Text = Annotated[str, Field(max_length=512)]
PathText = Annotated[str, Field(max_length=8192)]


class PageQuery(BaseModel):
    """Which part of a list."""

    limit: int = Field(100, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=MAX_OFFSET)


class LogsQuery(BaseModel):
    """How many lines of the log."""

    lines: int = Field(200, ge=1, le=10_000)


class SessionBody(BaseModel):
    """POST /api/sessions. No path: the user's own folder. The two paths are names of one thing."""

    project_path: PathText | None = None
    workspace_path: PathText | None = None
    name: Text | None = None
    image: Text | None = None
    agent: Text | None = None
    runtime: Text | None = None
    env: dict[str, str] = Field({}, max_length=1000)

    def wish(self) -> Wish:
        """What is asked for. ValidationFailed when the two paths differ."""
        paths = {path for path in (self.project_path, self.workspace_path) if path}
        if len(paths) > 1:
            raise ValidationFailed(
                "project_path and workspace_path differ",
                problems=[{"field": "workspace_path", "message": "differs from project_path"}],
            )
        return Wish(
            path=paths.pop() if paths else None,
            name=self.name,
            image=self.image or None,
            agent=self.agent or None,
            runtime=self.runtime or None,
            env=self.env,
        )


class WorkspaceBody(BaseModel):
    """POST /api/sessions/get-or-create-for-workspace."""

    workspace_path: PathText = Field(min_length=1)
