"""What plugins put into the console: pages of their own, what somebody has going, what is found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a plugin, and its place in the console's navigation.

    name: `[a-z0-9-]+`; the page is at `/console/plugin/PLUGIN/NAME`. module: the path of an ES module that the plugin
    serves, written as its routes are. The console imports it and calls its default export:
    `mount(element, context)`, which may return a function that is called when the page is left. context: `{user, path,
    query, api, go}`; `api(path, options)` is `fetch` for the plugin's own routes, `go(path)` opens another page.
    permission: who may see it; None: whoever is signed in. section: "admin" stands with the pages of administration.
    order: the lower the earlier.
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
        if not self.module.startswith("/"):
            raise ValueError(f"page {self.name}: module {self.module!r} is no path; it begins with a slash")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something of a user's that the console can show and open.

    kind: what it is, in one or two words ("terminal"). href: the page that shows it, `/console/…`. live: it runs now.
    """

    kind: str
    title: str
    href: str
    detail: str = ""
    updated_at: datetime | None = None
    live: bool = False
