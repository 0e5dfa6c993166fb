"""A pane's scrollback and screen as numbered rows: paging, and search for a plain text."""

from __future__ import annotations

import asyncio
import contextlib
import re
from bisect import bisect_right
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

from moorage.api import TooManyRequests

from moorage_tmux import describe, messages
from moorage_tmux.captures import LAST, Captures, Rows, let_others_run
from moorage_tmux.refusals import asking
from moorage_tmux.sessions import PaneInfo, SessionInfo

if TYPE_CHECKING:
    from moorage_tmux.service import Terminals

SEARCHED_ROWS = 50_000
"""The newest so many rows are searched."""
_SLACK = (100, 5_000, 50_000, 10**9)
"""Rows that are asked for around the wanted ones, in each try: lines that the guard sees whole, and room for what a
program writes between two questions; at last all."""
Position = tuple[int, int]
"""A row's number and a character of it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to search. begin: from there on, in that order; None from the end where the order begins."""

    text: str
    case: bool
    begin: Position | None
    limit: int
    order: Literal["oldest", "newest"]


class History:
    """Pages and searches panes. NotFound for a session or pane that is not there, Unavailable when tmux cannot say."""

    def __init__(self, terminals: Terminals) -> None:
        self._terminals = terminals
        self._captures = Captures(terminals.tmux, terminals.config.command_timeout)
        self._searching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def page(self, name: str, spec: str | None, begin: int | None, limit: int) -> dict[str, Any]:
        """`limit` rows of a session's pane from number `begin` on, or the newest."""
        session, pane = await self._terminals.pane(name, spec)
        with asking():
            if begin is None:
                found = await self._captures.rows(pane.id, pane.rows - limit - _SLACK[0], LAST)
                begin = max(0, found.total - limit)
            else:
                found = await self._from(pane.id, begin, limit)
        await self._guard(session, pane, found)
        kept = range(max(0, begin - found.first), min(len(found.rows), begin - found.first + limit))
        return {
            **_whose(session, pane, spec),
            "total": found.total,
            "from": begin,
            "limit": limit,
            "lines": [
                {"n": found.first + index, "text": found.rows[index], "wrapped": found.wrapped[index]} for index in kept
            ],
            "timestamp": messages.timestamp(),
        }

    async def search(self, name: str, spec: str | None, question: Question) -> dict[str, Any]:
        """All matches in a session's pane counted, some of them shown. TooManyRequests when others search it."""
        session, pane = await self._terminals.pane(name, spec)
        async with self._turn(session.key):
            with asking():
                found = await self._captures.rows(pane.id, -SEARCHED_ROWS, LAST)
            await self._guard(session, pane, found)
            total, matches, more = await asyncio.to_thread(_search, found, question)
        return {
            **_whose(session, pane, spec),
            "q": question.text,
            "total": total,
            "searchedFrom": found.first,
            "matches": matches,
            "more": more is not None,
            "next": None if more is None else f"{more[0]}.{more[1]}",
            "timestamp": messages.timestamp(),
        }

    async def text(self, name: str, spec: str | None, scrollback: int) -> dict[str, Any]:
        """What a session's pane shows as one text, below so many rows of its scrollback."""
        session, pane = await self._terminals.pane(name, spec)
        with asking():
            found = await self._captures.rows(pane.id, -scrollback, LAST)
        await self._guard(session, pane, found)
        return {
            **_whose(session, pane, spec),
            "content": describe.content(found.rows),
            "timestamp": messages.timestamp(),
        }

    async def _guard(self, session: SessionInfo, pane: PaneInfo, found: Rows) -> None:
        """Put what may be shown in place of what is there. The guard sees whole lines, as they were written."""
        before = await asyncio.to_thread(_lines, found)
        shown = self._terminals.guards.whole(session, pane.id, before)
        if shown != before:
            await asyncio.to_thread(_put, found, before.split("\n"), shown.split("\n"))

    async def _from(self, pane: str, begin: int, limit: int) -> Rows:
        """Rows that hold `begin` and the `limit` from it on, as far as there are so many.

        tmux counts from the screen's top, which moves with each new row: it must be asked where that is, and what was
        written until the rows come makes them others than were meant. Their numbers are always right.
        """
        top = (await self._captures.rows(pane, 0, 0)).history
        for slack in _SLACK:
            start, end = begin - top - slack, begin - top + limit - 1 + slack
            found = await self._captures.rows(pane, min(start, LAST), min(end, LAST))
            if found.first <= begin and found.first + len(found.rows) >= min(begin + limit, found.total):
                break
            top = found.history
        return found

    @contextlib.asynccontextmanager
    async def _turn(self, session: str) -> AsyncIterator[None]:
        """One search at a time of each session: each holds megabytes."""
        lock = self._searching.setdefault(session, asyncio.Lock())
        try:
            async with asyncio.timeout(self._terminals.config.command_timeout):
                await lock.acquire()
        except TimeoutError:
            raise TooManyRequests("Others search this session; try again soon", retry_after=1) from None
        try:
            yield
        finally:
            lock.release()


def _whose(session: SessionInfo, pane: PaneInfo, spec: str | None) -> dict[str, Any]:
    """The pane as the client named it, and as tmux does."""
    return {"session": session.name, "pane": str(pane.index) if spec is None else spec, "paneId": pane.id}


def _lines(found: Rows) -> str:
    return "\n".join("".join(found.rows[begin:end]) for begin, end in found.lines())


def _put(found: Rows, before: list[str], after: list[str]) -> None:
    """Cut the lines that changed into rows again."""
    for (begin, end), old, new in zip(found.lines(), before, _as_many(before, after), strict=True):
        if new == old:
            continue
        at = 0
        for index in range(begin, end - 1):
            size = len(found.rows[index])
            found.rows[index] = new[at : at + size]
            at += size
        found.rows[end - 1] = new[at:]


def _as_many(before: list[str], after: list[str]) -> list[str]:
    """`after`, with a line for each of `before`.

    Where lines were taken out or put in nobody can say which belong together: between the equal beginnings and
    ends `after` is shown from the top, and blanks below it.
    """
    if len(after) == len(before):
        return after
    shorter = min(len(before), len(after))
    head = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    tail = next((i for i in range(shorter - head) if before[-1 - i] != after[-1 - i]), shorter - head)
    room = len(before) - head - tail
    middle = after[head : len(after) - tail][:room]
    return [*before[:head], *middle, *([""] * (room - len(middle))), *before[len(before) - tail :]]


def _search(found: Rows, question: Question) -> tuple[int, list[dict[str, Any]], Position | None]:
    """The number of all matches, those that are shown, and where the next one is."""
    pattern = re.compile(re.escape(question.text), 0 if question.case else re.IGNORECASE)
    total, more = 0, None
    shown: list[dict[str, Any]] = []
    newest = question.order == "newest"
    ranges = found.lines()
    for number, (begin, end) in enumerate(reversed(ranges) if newest else ranges):
        let_others_run(number)
        text = found.rows[begin] if end == begin + 1 else "".join(found.rows[begin:end])
        matches = [(match.start(), match.end()) for match in pattern.finditer(text)]
        if not matches:
            continue
        total += len(matches)
        if more is not None:
            continue
        ends = list(accumulate(len(row) for row in found.rows[begin:end]))
        for start, stop in reversed(matches) if newest else matches:
            row = bisect_right(ends, start)
            before = ends[row - 1] if row else 0
            position = (found.first + begin + row, start - before)
            if question.begin is not None and (position > question.begin if newest else position < question.begin):
                continue
            if len(shown) == question.limit:
                more = position
                break
            last = bisect_right(ends, stop - 1)
            shown.append(
                {
                    "n": position[0],
                    "text": "".join(found.rows[begin + row : begin + last + 1]),
                    "start": start - before,
                    "end": stop - before,
                    "rows": last - row + 1,
                }
            )
    return total, shown, more
