"""SQL text cut into statements, as SQLite and PostgreSQL read it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

from moorage.db.url import Dialect

_DOLLAR_TAG = re.compile(r"\$(?:[A-Za-z_\x80-\uffff][A-Za-z0-9_\x80-\uffff]*)?\$")
_PLAIN = re.compile(r"[\w(),.=<>*+]+")
"""What is code whatever comes before or after it: names, numbers and the like are most of a script."""
_BLANK = re.compile(r"\s+")


def split(sql: str, dialect: Dialect) -> list[str]:
    """The statements of a script, without their semicolons; what holds only comments is left out.

    Knows quotes, identifiers, both kinds of comment, PostgreSQL's dollar quotes and nested comments, and the
    semicolons within a SQLite trigger. ValueError when a quote or a comment has no end.
    """
    statements: list[str] = []
    start = 0
    meaningful = False
    for end, kind in _tokens(sql, dialect):
        if kind == "semicolon":
            text = sql[start : end - 1]
            if dialect == "sqlite" and meaningful and not sqlite3.complete_statement(sql[start:end]):
                continue
            if meaningful:
                statements.append(text.strip())
            start, meaningful = end, False
        elif kind == "code":
            meaningful = True
    if meaningful:
        statements.append(sql[start:].strip())
    return statements


def _tokens(sql: str, dialect: Dialect) -> Iterator[tuple[int, str]]:
    """(position after the token, its kind: "semicolon", "code" or "blank")."""
    at = 0
    while at < len(sql):
        char = sql[at]
        if run := _PLAIN.match(sql, at):
            at = run.end()
            yield at, "code"
        elif run := _BLANK.match(sql, at):
            at = run.end()
            yield at, "blank"
        elif char == ";":
            at += 1
            yield at, "semicolon"
        elif sql.startswith("--", at):
            newline = sql.find("\n", at)
            at = len(sql) if newline < 0 else newline + 1
            yield at, "blank"
        elif sql.startswith("/*", at):
            at = _after_comment(sql, at, nested=dialect == "postgres")
            yield at, "blank"
        else:
            at = _after_code(sql, at, dialect)
            yield at, "code"


def _after_code(sql: str, at: int, dialect: Dialect) -> int:
    char = sql[at]
    if char in "'\"" or (dialect == "sqlite" and char == "`"):
        escapes = dialect == "postgres" and char == "'" and _is_escape_string(sql, at)
        return _after_quote(sql, at, char, backslash=escapes)
    if dialect == "sqlite" and char == "[":
        return _find(sql, "]", at + 1)
    if dialect == "postgres" and char == "$" and not (at and (sql[at - 1].isalnum() or sql[at - 1] in "_$")):
        tag = _DOLLAR_TAG.match(sql, at)
        if tag is not None:
            return _find(sql, tag.group(), tag.end())
    return at + 1


def _is_escape_string(sql: str, at: int) -> bool:
    """True for the quote of E'…', but not for one after a name that ends in e."""
    before = sql[at - 1 : at]
    return before in ("e", "E") and not (at > 1 and (sql[at - 2].isalnum() or sql[at - 2] == "_"))


def _after_quote(sql: str, at: int, quote: str, *, backslash: bool) -> int:
    position = at + 1
    while position < len(sql):
        if backslash and sql[position] == "\\":
            position += 2
        elif sql[position] == quote:
            # A doubled quote reads as the end of one string and the start of the next: the same for our purpose.
            return position + 1
        else:
            position += 1
    raise ValueError(f"the quote that begins at character {at} has no end")


def _after_comment(sql: str, at: int, *, nested: bool) -> int:
    if not nested:
        end = sql.find("*/", at + 2)
        # SQLite takes the end of the text for the end of a comment.
        return len(sql) if end < 0 else end + 2
    depth, position = 1, at + 2
    while depth:
        opening, closing = sql.find("/*", position), sql.find("*/", position)
        if closing < 0:
            raise ValueError(f"the comment that begins at character {at} has no end")
        if 0 <= opening < closing:
            depth, position = depth + 1, opening + 2
        else:
            depth, position = depth - 1, closing + 2
    return position


def _find(sql: str, needle: str, start: int) -> int:
    end = sql.find(needle, start)
    if end < 0:
        raise ValueError(f"no {needle} after character {start}")
    return end + len(needle)
