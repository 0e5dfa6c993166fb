"""Sessions, windows and panes: made, named, arranged and ended."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from moorage.api import BadRequest, Route, Routes, current_actor, json_response, read_json
from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage_tmux import describe
from moorage_tmux.names import Name
from moorage_tmux.rights import CREATE, DELETE, INPUT, RENAME
from moorage_tmux.service import Terminals
from moorage_tmux.sessions import COLS, ROWS
from moorage_tmux.views.claimed import ClaimRefused, tells_who_claimed
from moorage_tmux.views.sessions import PanePlace, SessionShape, WindowPlace

MAX_BODY = 4096
DRIVEN: dict[str, Any] = {"access": INPUT.name, "max_body": MAX_BODY, "answers": {403: ClaimRefused}}
"""What acts like typing."""
Cols = Annotated[int, Field(strict=True, ge=COLS[0], le=COLS[-1])]
Rows = Annotated[int, Field(strict=True, ge=ROWS[0], le=ROWS[-1])]
PaneCols = Annotated[int, Field(strict=True, ge=1, le=COLS[-1])]
PaneRows = Annotated[int, Field(strict=True, ge=1, le=ROWS[-1])]
Flag = Annotated[bool, Field(strict=True)]
Spec = Annotated[str, Field(min_length=1, max_length=24)]


class NewSessionBody(BaseModel):
    """POST /api/sessions. Without a name tmux gives a number; without a size, tmux's default-size counts."""

    name: Name | None = None
    cols: Cols | None = None
    rows: Rows | None = None


class RenameBody(BaseModel):
    """PATCH /api/sessions/{name}."""

    name: Name


class NewWindowBody(BaseModel):
    """POST /api/sessions/{name}/windows. Without a name tmux names it by what runs in it."""

    name: Name | None = None


class WindowBody(BaseModel):
    """PATCH /api/sessions/{name}/windows/{window}."""

    name: Name | None = None
    active: Literal[True] | None = None


class NewPaneBody(BaseModel):
    """POST /api/sessions/{name}/panes: which pane is split (the active one), and where the new one is."""

    pane: Spec | None = None
    direction: Literal["right", "down"]


class PaneBody(BaseModel):
    """PATCH /api/sessions/{name}/panes/{pane}. active: of the session, so that its window becomes the active one."""

    active: Literal[True] | None = None
    zoomed: Flag | None = None
    cols: PaneCols | None = None
    rows: PaneRows | None = None


class PlacedPane(PanePlace):
    """A pane and its size, in cells."""

    cols: int
    rows: int


class PlacedWindow(WindowPlace):
    """A window and its panes."""

    panes: list[PlacedPane]


class SessionAnswer(TypedDict):
    """A session that was made or renamed; its name is as tmux has it now."""

    success: bool
    session: SessionShape


class DoneAnswer(TypedDict):
    """It is done."""

    success: bool


class LayoutAnswer(TypedDict):
    """The windows as they are now."""

    success: bool
    windows: list[PlacedWindow]


class NewWindowAnswer(LayoutAnswer):
    """The same, and the new window."""

    window: PlacedWindow


class NewPaneAnswer(LayoutAnswer):
    """The same, and the id of the new pane."""

    pane: str


def routes(terminals: Terminals) -> list[Route]:
    """What changes sessions, windows and panes."""
    return [*_sessions(terminals), *_windows(terminals), *_panes(terminals)]


def _sessions(terminals: Terminals) -> Routes:
    table = Routes()
    manage = terminals.manage

    @table.post(
        "/api/sessions",
        access=CREATE.name,
        max_body=MAX_BODY,
        body=NewSessionBody,
        answer=SessionAnswer,
        status=201,
    )
    async def create_session() -> Response:
        """Start a session, and a tmux server if none runs."""
        body = await read_json(NewSessionBody)
        session = await manage.create(current_actor(), body.name, body.cols, body.rows)
        return json_response({"success": True, "session": terminals.entry(session)}, 201)

    @table.patch(
        "/api/sessions/{name}",
        access=RENAME.name,
        max_body=MAX_BODY,
        body=RenameBody,
        answer=SessionAnswer,
        answers={403: ClaimRefused},
    )
    @tells_who_claimed
    async def rename_session(name: str) -> Response:
        """Rename a session, unless another has claimed it."""
        body = await read_json(RenameBody)
        session = await manage.rename(name, current_actor(), body.name)
        return json_response({"success": True, "session": terminals.entry(session)})

    @table.delete("/api/sessions/{name}", access=DELETE.name, max_body=MAX_BODY, answer=DoneAnswer)
    async def delete_session(name: str) -> Response:
        """End a session and what runs in it."""
        await manage.delete(name, current_actor())
        return json_response({"success": True})

    return table


def _windows(terminals: Terminals) -> Routes:
    table = Routes()
    manage = terminals.manage

    @table.post("/api/sessions/{name}/windows", body=NewWindowBody, answer=NewWindowAnswer, status=201, **DRIVEN)
    @tells_who_claimed
    async def create_window(name: str) -> Response:
        """Open a window, which becomes the active one."""
        body = await read_json(NewWindowBody)
        panes, made = await manage.new_window(name, current_actor(), body.name)
        windows = describe.layout(panes)
        window = next(each for each in windows if each["id"] == made)
        return json_response({"success": True, "window": window, "windows": windows}, 201)

    @table.patch("/api/sessions/{name}/windows/{window}", body=WindowBody, answer=LayoutAnswer, **DRIVEN)
    @tells_who_claimed
    async def change_window(name: str, window: str) -> Response:
        """Rename a window, or make it the active one."""
        body = await read_json(WindowBody)
        _not_empty(body)
        panes = await manage.change_window(
            name, current_actor(), window, name=body.name, active=body.active is not None
        )
        return json_response({"success": True, "windows": describe.layout(panes)})

    @table.delete("/api/sessions/{name}/windows/{window}", answer=LayoutAnswer, **DRIVEN)
    @tells_who_claimed
    async def delete_window(name: str, window: str) -> Response:
        """End a window and what runs in it; with the last one the session ends."""
        panes = await manage.delete_window(name, current_actor(), window)
        return json_response({"success": True, "windows": describe.layout(panes)})

    return table


def _panes(terminals: Terminals) -> Routes:
    table = Routes()
    manage = terminals.manage

    @table.post("/api/sessions/{name}/panes", body=NewPaneBody, answer=NewPaneAnswer, status=201, **DRIVEN)
    @tells_who_claimed
    async def split_pane(name: str) -> Response:
        """Split a pane; the new one becomes the active one of its window."""
        body = await read_json(NewPaneBody)
        panes, made = await manage.split(name, current_actor(), body.pane, right=body.direction == "right")
        return json_response({"success": True, "pane": made, "windows": describe.layout(panes)}, 201)

    @table.patch("/api/sessions/{name}/panes/{pane}", body=PaneBody, answer=LayoutAnswer, **DRIVEN)
    @tells_who_claimed
    async def change_pane(name: str, pane: str) -> Response:
        """Resize a pane, make it the active one, zoom it or back."""
        body = await read_json(PaneBody)
        _not_empty(body)
        panes = await manage.change_pane(
            name,
            current_actor(),
            pane,
            active=body.active is not None,
            zoomed=body.zoomed,
            cols=body.cols,
            rows=body.rows,
        )
        return json_response({"success": True, "windows": describe.layout(panes)})

    @table.delete("/api/sessions/{name}/panes/{pane}", answer=LayoutAnswer, **DRIVEN)
    @tells_who_claimed
    async def delete_pane(name: str, pane: str) -> Response:
        """End a pane and what runs in it; with the last one its window ends."""
        panes = await manage.delete_pane(name, current_actor(), pane)
        return json_response({"success": True, "windows": describe.layout(panes)})

    return table


def _not_empty(body: BaseModel) -> None:
    if all(value is None for _, value in body):
        raise BadRequest(f"Nothing to change: give one of {', '.join(type(body).model_fields)}")
