"""Which folders may be projects: below the operator's roots, or the user's own; never the server's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from moorage.api import BadRequest, UserInfo

MAX_PATH = 4096
"""Bytes of a path (Linux's PATH_MAX)."""


class Projects:
    """roots: the operator's. own: where each user has a folder. private: what no project may be, hold or lie in.

    A user's own folder is allowed although `own` lies in the server's data.
    """

    def __init__(self, roots: Iterable[Path], own: Path, private: Iterable[Path]) -> None:
        self._roots, self._own, self._private = tuple(roots), own, tuple(private)

    async def resolve(self, user: UserInfo, given: str | None) -> Path:
        """The project that a user asks for: absolute, links followed. None is their own folder, made if need be.

        A relative path is looked for in their own folder first, then in each root. BadRequest says what is wrong;
        of what lies outside, it does not say whether it is there.
        """
        if given:
            _check_text(given)
        return await asyncio.to_thread(self._resolve, user, given)

    async def check(self, user: UserInfo, stored: str) -> Path:
        """The same for a session's stored project, before it is started again: it must be what it was."""

        def check() -> Path:
            if stored == str(self.own_folder(user)):
                self._make_own(user)
            found = self._allowed(user, stored)
            if str(found) != stored:
                raise BadRequest(f"The project's folder {stored} is a link now")
            return found

        return await asyncio.to_thread(check)

    def own_folder(self, user: UserInfo) -> Path:
        """The folder of a user."""
        return Path(os.path.realpath(self._own)) / user.pid

    def _resolve(self, user: UserInfo, given: str | None) -> Path:
        own = self._make_own(user)
        if not given:
            return own
        if Path(given).is_absolute():
            return self._allowed(user, given)
        bases = [own, *self._roots]
        there = [base for base in bases if os.path.lexists(base / given)]
        return self._allowed(user, str((there or bases)[0] / given))

    def _make_own(self, user: UserInfo) -> Path:
        folder = self.own_folder(user)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _allowed(self, user: UserInfo, path: str) -> Path:
        try:
            real = Path(os.path.realpath(path))
            str(real).encode()
        except (OSError, ValueError) as error:
            raise BadRequest("The project's path is none that can be used") from error
        own = self.own_folder(user)
        if not (_in(real, own) or self._in_roots(real)):
            raise BadRequest("The project's path is outside of the folders that projects may be in")
        try:
            if not real.is_dir():
                what = "is no folder" if real.exists() else "does not exist"
                raise BadRequest(f"The project's path {what}")
            if not os.access(real, os.R_OK | os.X_OK):
                raise BadRequest("The project's folder cannot be read by the server")
        except OSError as error:
            raise BadRequest(f"The project's path cannot be used: {error.strerror}") from error
        return real

    def _in_roots(self, real: Path) -> bool:
        roots = [Path(os.path.realpath(root)) for root in self._roots]
        private = [Path(os.path.realpath(path)) for path in self._private]
        return any(_in(real, root) for root in roots) and not any(
            _in(real, path) or _in(path, real) for path in private
        )


def _in(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _check_text(given: str) -> None:
    if "\0" in given:
        raise BadRequest("The project's path holds a NUL character")
    if len(given.encode("utf-8", "surrogatepass")) > MAX_PATH or any(len(p.encode()) > 255 for p in given.split("/")):
        raise BadRequest("The project's path is too long")
    if ".." in given.split("/"):
        raise BadRequest("The project's path must not go upwards (..)")
