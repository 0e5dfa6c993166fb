"""What the tools answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class FileContent(BaseModel):
    """A file, or a part of it."""

    path: str
    encoding: Literal["utf-8", "base64"] = Field(description="How `content` is to be understood")
    content: str
    size: int = Field(description="Bytes of the whole file")
    offset: int = Field(description="Byte at which this part begins")
    next_offset: int | None = Field(description="Where to go on reading; null at the end of the file")


class Written(BaseModel):
    """A file that was written."""

    path: str
    size: int = Field(description="Bytes that the file has now")
    created: bool


class Entry(BaseModel):
    """Something in a folder."""

    name: str
    type: Literal["file", "directory", "link", "other"]
    size: int | None = Field(None, description="Bytes, of files")
    modified: str | None = Field(None, description="ISO 8601, UTC")
    target: str | None = Field(None, description="Where a link leads")


class Listing(BaseModel):
    """A folder, or a part of it, in the order of names."""

    path: str
    entries: list[Entry]
    total: int = Field(description="How many there are in the folder")
    next_offset: int | None = Field(description="Where to go on; null at the end")


class Match(BaseModel):
    """A file that was found. line, text: where in it, when contents were searched."""

    path: str
    line: int | None = None
    text: str | None = None


class Matches(BaseModel):
    """What was found."""

    matches: list[Match]
    files_searched: int
    truncated: bool = Field(description="Not everything was searched, or not everything that was found is here")
    reason: str | None = Field(None, description="Why it is truncated")


class Done(BaseModel):
    """Something that was done."""

    message: str


class Change(BaseModel):
    """A path that differs, and how."""

    path: str
    change: Literal["added", "modified", "deleted", "renamed", "copied", "type changed"]
    old_path: str | None = None


class GitStatus(BaseModel):
    """The state of the repository."""

    branch: str | None = Field(description="null when HEAD is detached")
    status: Literal["clean", "dirty", "conflicted"]
    commit: str | None = Field(description="null before the first commit")
    upstream: str | None = None
    ahead: int | None = None
    behind: int | None = None
    staged: list[Change] = []
    unstaged: list[Change] = []
    untracked: list[str] = []
    conflicted: list[str] = []
    truncated: bool = Field(False, description="There is more than is listed")


class GitText(BaseModel):
    """What git says. truncated: there was more."""

    text: str
    truncated: bool = False


class Commit(BaseModel):
    """A commit that was made."""

    commit: str
    branch: str | None
    message: str
