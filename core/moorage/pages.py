"""What plugins put into the console: pages of their own, what somebody has going, what is found, what runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from moorage.foreign import is_text

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_PATH = re.compile(r"/(?![/\\])[^\s\\\x00-\x1f]{0,2047}")
_CLIMBS = re.compile(r"(^|/)(\.|%2e){1,2}(/|$)", re.I)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a plugin, and its place in the console's navigation.

    name: `[a-z0-9-]+`; the page is at `/console/plugin/PLUGIN/NAME`. module: the path of an ES module that the plugin
    serves, written as its routes are. The console imports it and calls its default export:
    `mount(element, context)`, which may return a function that is called when the page is left. context: `{user, path,
    query, api, go}`; `api(path, options)` is `fetch` for the plugin's own routes, `go(path)` opens another page.
    permission: who may see it; None: whoever is signed in. section: "admin" stands with the pages of administration; it
    needs a permission. order: the lower the earlier.
    """

    name: str
    title: str
    module: str
    permission: str | None = None
    section: Literal["main", "admin"] = "main"
    order: int = 100

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"the page's name {self.name!r} is not of small letters, digits and hyphens")
        _check_text("title", self.title)
        if not self.title.strip() or len(self.title) > 100:
            raise ValueError(f"page {self.name}: the title has from 1 to 100 characters")
        _check_text("module", self.module)
        if not _PATH.fullmatch(self.module):
            raise ValueError(f"page {self.name}: module {self.module!r} is no path; it begins with a slash")
        if _CLIMBS.search(self.module):
            raise ValueError(f"page {self.name}: module {self.module!r} leads out of the plugin's own routes")
        if self.permission is not None:
            _check_text("permission", self.permission)
        if self.section not in ("main", "admin") or not isinstance(self.order, int):
            raise ValueError(f"page {self.name}: section is main or admin, order a whole number")
        if self.section == "admin" and not self.permission:
            # Forgotten, it would stand in the administration of those who have none.
            raise ValueError(f"page {self.name}: in section admin, it names the permission that its routes ask for")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something of a user's that the console can show and open.

    kind: what it is, in one or two words ("terminal"). href: the page that shows it, `/console/…`: a path on this
    server. updated_at: in UTC unless it says otherwise. live: it runs now.
    """

    kind: str
    title: str
    href: str
    detail: str = ""
    updated_at: datetime | None = None
    live: bool = False

    def __post_init__(self) -> None:
        for name in ("kind", "title", "href", "detail"):
            if not isinstance(text := getattr(self, name), str):
                raise TypeError(f"an entry's {name} is text, not {type(text).__name__}")
        if not _PATH.fullmatch(self.href):
            raise ValueError(f"the entry's href {self.href[:80]!r} is no path on this server")
        if not isinstance(self.live, bool):
            raise TypeError("an entry's live is True or False")
        if self.updated_at is not None and not isinstance(self.updated_at, datetime):
            raise TypeError(f"an entry's updated_at is a datetime, not {type(self.updated_at).__name__}")
        if self.updated_at is not None and self.updated_at.tzinfo is None:
            object.__setattr__(self, "updated_at", self.updated_at.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Running:
    """Something that runs, for whoever watches over the server.

    kind: what it is, in one or two words ("coding session"). id: by which the plugin ends it. user_id: whose it is,
    None for what people share. href: the page that shows it, "" for none. since: None where nobody knows. state:
    "running" unless it is not that yet or any more. ending: what ending it does, in a sentence; "" when whoever asks
    may not.
    """

    kind: str
    id: str
    title: str
    user_id: int | None
    detail: str = ""
    href: str = ""
    since: datetime | None = None
    state: str = "running"
    ending: str = ""

    def __post_init__(self) -> None:
        for name in ("kind", "id", "title", "detail", "href", "state", "ending"):
            if not isinstance(text := getattr(self, name), str):
                raise TypeError(f"the {name} of what runs is text, not {type(text).__name__}")
        if not self.kind or not self.id or len(self.kind) > 64 or len(self.id) > 512:
            raise ValueError("what runs has a kind of 1 to 64 characters and an id of 1 to 512")
        if self.href and not _PATH.fullmatch(self.href):
            raise ValueError(f"the href {self.href[:80]!r} is no path on this server")
        if self.user_id is not None and not isinstance(self.user_id, int):
            raise TypeError("user_id is a number or None")
        if self.since is not None and self.since.tzinfo is None:
            object.__setattr__(self, "since", self.since.replace(tzinfo=UTC))


def _check_text(name: str, text: object) -> None:
    if not is_text(text):
        raise TypeError(f"a page's {name} is text that can be sent, not {text!r}")
