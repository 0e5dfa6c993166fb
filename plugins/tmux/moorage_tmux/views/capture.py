"""Captures as the contract has them: of the tmux here, or of a CHROTE server's."""

from __future__ import annotations

from typing import NotRequired

from moorage.api import MoorageError, NotFound, Route, Routes, Unavailable, json_response, read_query
from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage_tmux.rights import VIEW
from moorage_tmux.service import Terminals

MAX_LINES = 10_000


class CaptureQuery(BaseModel):
    """GET …/capture. lines: of the scrollback, above the screen."""

    lines: int | None = Field(None, ge=1, le=MAX_LINES)


class CaptureAnswer(TypedDict):
    """What a pane shows, as text. paneId: tmux's; not told of a CHROTE server's sessions."""

    session: str
    pane: str
    paneId: NotRequired[str]
    content: str
    timestamp: str


def routes(terminals: Terminals) -> list[Route]:
    """`/api/tmux/…`."""
    table = Routes()

    @table.get(
        "/api/tmux/sessions/{session}/panes/{pane}/capture",
        access=VIEW.name,
        query=CaptureQuery,
        answer=CaptureAnswer,
        answers={502: None},
    )
    async def capture(session: str, pane: str) -> Response:
        """Show what stands in a pane, with `lines` of its scrollback above."""
        lines = read_query(CaptureQuery).lines
        if terminals.chrote is not None:
            return json_response(await terminals.chrote.capture(session, pane, lines))
        try:
            return json_response(await terminals.history.text(session, pane, lines or 0))
        except (NotFound, Unavailable) as error:
            raise _in_its_words(error) from error

    return list(table)


def _in_its_words(error: NotFound | Unavailable) -> MoorageError:
    """The contract has texts where other endpoints have codes; the codes are in the details."""
    details = {"code": error.error_code, **error.details}
    if isinstance(error, NotFound):
        return NotFound(error.message, code=error.message, details=details)
    return Unavailable(error.message, code="CHROTE API not available", details=details)
