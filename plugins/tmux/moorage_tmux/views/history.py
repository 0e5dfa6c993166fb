"""A pane's history: pages of rows, and search."""

from __future__ import annotations

from typing import Annotated, Literal

from moorage.api import Route, Routes, json_response, read_query
from pydantic import BaseModel, Field, StringConstraints
from quart import Response
from typing_extensions import TypedDict

from moorage_tmux.history import Question
from moorage_tmux.rights import VIEW
from moorage_tmux.service import Terminals

MAX_ROWS = 1000
MAX_MATCHES = 500
MAX_NUMBER = 10**9


class PageQuery(BaseModel):
    """GET …/history. from: the number of the first row; without it the newest rows are shown."""

    begin: int | None = Field(None, alias="from", ge=0, le=MAX_NUMBER)
    limit: int = Field(200, ge=1, le=MAX_ROWS)


class SearchQuery(BaseModel):
    """GET …/history/search. from: a row's number, or the `next` of the answer before. case: capitals matter."""

    q: str = Field(min_length=1, max_length=200)
    begin: Annotated[str, StringConstraints(pattern=r"^\d{1,9}(\.\d{1,9})?$")] | None = Field(None, alias="from")
    limit: int = Field(100, ge=1, le=MAX_MATCHES)
    case: bool = False
    order: Literal["oldest", "newest"] = "oldest"

    def question(self) -> Question:
        """The same as the service takes it."""
        begin = None
        if self.begin is not None:
            row, _, character = self.begin.partition(".")
            last = MAX_NUMBER if self.order == "newest" else 0
            begin = (int(row), int(character) if character else last)
        return Question(self.q, self.case, begin, self.limit, self.order)


class RowShape(TypedDict):
    """A row. n: 0 is the oldest that tmux has. wrapped: it is full, and its line goes on in the next one."""

    n: int
    text: str
    wrapped: bool


PageAnswer = TypedDict(
    "PageAnswer",
    {
        "session": str,
        "pane": str,
        "paneId": str,
        "total": int,
        "from": int,
        "limit": int,
        "lines": list[RowShape],
        "timestamp": str,
    },
)


class MatchShape(TypedDict):
    """A match in rows `n` to `n + rows - 1`, whose text is `text`; start and end count its characters."""

    n: int
    text: str
    start: int
    end: int
    rows: int


class SearchAnswer(TypedDict):
    """GET …/history/search. total: of all matches from row `searchedFrom` on. next: `from` of the next question."""

    session: str
    pane: str
    paneId: str
    q: str
    total: int
    searchedFrom: int
    matches: list[MatchShape]
    more: bool
    next: str | None
    timestamp: str


def routes(terminals: Terminals) -> list[Route]:
    """`…/panes/{pane}/history` and below."""
    table = Routes()

    @table.get("/api/sessions/{name}/panes/{pane}/history", access=VIEW.name, query=PageQuery, answer=PageAnswer)
    async def page(name: str, pane: str) -> Response:
        """Show rows of a pane's scrollback and screen, the newest unless `from` says otherwise."""
        query = read_query(PageQuery)
        return json_response(await terminals.history.page(name, pane, query.begin, query.limit))

    @table.get(
        "/api/sessions/{name}/panes/{pane}/history/search", access=VIEW.name, query=SearchQuery, answer=SearchAnswer
    )
    async def search(name: str, pane: str) -> Response:
        """Search a pane's scrollback and screen for a plain text, also where it runs over the end of a full row."""
        question = read_query(SearchQuery).question()
        return json_response(await terminals.history.search(name, pane, question))

    return list(table)
