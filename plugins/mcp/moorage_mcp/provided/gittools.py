"""The git tools. Those that mcp-server-git does well are its own functions; see each of the others for why not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from moorage_mcp.provided import paths, shapes
from moorage_mcp.provided.gitrun import Git

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_TEXT = 512 * 1024
"""Bytes of a tool's text."""
MAX_LISTED = 1000
"""Paths of each kind that git_status lists."""
MAX_COMMITS = 200
_CHANGES: dict[str, Any] = {
    "A": "added", "M": "modified", "D": "deleted", "R": "renamed", "C": "copied", "T": "type changed"
}  # fmt: skip
_HEADER = re.compile(rb"# (branch\.(?:oid|head|upstream|ab)) (.*)")

Context = Annotated[int, Field(ge=0, le=1000, description="Lines around each change")]
Files = Annotated[list[str], Field(max_length=1000, description="Only these files and folders")]
Revision = Annotated[str, Field(max_length=500, description="A branch, tag, commit or the like")]


class GitTools:
    """The tools, as methods; their docstrings are what clients read. The repository is the workspace."""

    def __init__(self, git: Git) -> None:
        self._git = git

    def git_status(self) -> shapes.GitStatus:
        """Branch and changes of the workspace's repository: staged, unstaged, untracked, and ahead or behind."""
        # mcp-server-git has git's text for people only.
        with self._ready():
            said = self._git.call(
                "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--ignore-submodules=all"
            )
        return _status(said.data, said.truncated)

    def git_diff_unstaged(self, context_lines: Context = 3, files: Files = []) -> shapes.GitText:  # noqa: B006
        """Changes in the workspace that are not staged."""
        return self._diff(context_lines, files)

    def git_diff_staged(self, context_lines: Context = 3, files: Files = []) -> shapes.GitText:  # noqa: B006
        """Changes that are staged for the next commit."""
        return self._diff(context_lines, files, "--cached")

    def git_diff(
        self,
        target: Annotated[str, Field(max_length=500, description="A branch, a commit, or a range such as main..topic")],
        context_lines: Context = 3,
        files: Files = [],  # noqa: B006
    ) -> shapes.GitText:
        """Differences between the workspace and a branch or commit, or between two of them."""
        return self._diff(context_lines, files, _no_option(target, "target"))

    def _diff(self, context: int, files: list[str], *what: str) -> shapes.GitText:
        # mcp-server-git would run a repository's diff program, and hold a difference of any size in memory.
        plain = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all", f"--unified={context}")
        with self._ready():
            said = self._git.call("diff", *plain, *what, "--", *map(self._name, files), limit=MAX_TEXT)
        return shapes.GitText(text=said.data.decode("utf-8", "replace"), truncated=said.truncated)

    def git_log(
        self,
        max_count: Annotated[int, Field(ge=1, le=MAX_COMMITS)] = 10,
        start_timestamp: Annotated[str | None, Field(max_length=100, description="Only commits since then")] = None,
        end_timestamp: Annotated[str | None, Field(max_length=100, description="Only commits until then")] = None,
    ) -> shapes.GitText:
        """The latest commits of the current branch. Times: 2024-01-15T14:30:25, "2 weeks ago", "yesterday"."""
        with self._ready():
            if self._git.run("rev-parse", "--verify", "--quiet", "HEAD").code != 0:
                return shapes.GitText(text="There are no commits yet")
            entries = self._borrowed("git_log", max_count, start_timestamp, end_timestamp)
        return _text("\n".join(entries) or "There are no such commits")

    def git_show(
        self,
        revision: Annotated[
            str, Field(max_length=500, description="A commit, or a file or folder in one: main:src/a.py")
        ],
    ) -> shapes.GitText:
        """A commit with its changes, or a file or folder as it is in a commit."""
        with self._ready():
            wanted = _no_option(revision, "revision")
            kind = self._git.call("cat-file", "-t", wanted).data.strip()
            if kind == b"blob":
                # mcp-server-git would read all of it.
                said = self._git.call("cat-file", "blob", wanted, limit=MAX_TEXT)
                return shapes.GitText(text=said.data.decode("utf-8", "replace"), truncated=said.truncated)
            return _text(self._borrowed("git_show", revision))

    def git_add(
        self, files: Annotated[list[str], Field(min_length=1, max_length=1000, description='["."]: everything')]
    ) -> shapes.Done:
        """Stage files for the next commit, deleted ones too."""
        with self._ready():
            return shapes.Done(message=self._borrowed("git_add", [self._name(file) for file in files]))

    def git_reset(self) -> shapes.Done:
        """Take everything that is staged out of the next commit; files stay as they are."""
        with self._ready():
            if self._git.run("rev-parse", "--verify", "--quiet", "HEAD").code != 0:
                # mcp-server-git needs a commit to go back to.
                self._git.call("read-tree", "--empty")
                return shapes.Done(message="All staged changes reset")
            return shapes.Done(message=self._borrowed("git_reset"))

    def git_commit(self, message: Annotated[str, Field(min_length=1, max_length=100_000)]) -> shapes.Commit:
        """Commit what is staged."""
        # mcp-server-git runs the repository's hooks by GitPython, which no setting prevents.
        if not message.strip():
            raise ToolError("The message is empty")
        with self._ready():
            options = ("--no-verify", "--no-gpg-sign", "--file=-", "--cleanup=whitespace", "--quiet")
            said = self._git.run("commit", *options, text=message.encode("utf-8", "replace"))
            if said.code != 0:
                words = said.stderr or said.data.decode("utf-8", "replace").strip()
                if "nothing to commit" in words or "no changes added" in words or "nothing added" in words:
                    words = "Nothing is staged: stage files with git_add first"
                raise ToolError(words or "git could not commit")
            commit = self._git.call("rev-parse", "HEAD").data.decode().strip()
            branch = self._git.run("symbolic-ref", "--short", "--quiet", "HEAD").data.decode("utf-8", "replace").strip()
        return shapes.Commit(commit=commit, branch=branch or None, message=message.strip().splitlines()[0][:200])

    def git_branch(
        self,
        branch_type: Literal["local", "remote", "all"] = "local",
        contains: Annotated[str | None, Field(max_length=500, description="Only branches with this commit")] = None,
        not_contains: Annotated[str | None, Field(max_length=500, description="Only branches without it")] = None,
    ) -> shapes.GitText:
        """List branches; the current one has a star."""
        with self._ready():
            return _text(self._borrowed("git_branch", branch_type, contains, not_contains))

    def git_create_branch(self, branch_name: Revision, base_branch: Revision | None = None) -> shapes.Done:
        """Make a branch, from the current one or another, without switching to it."""
        with self._ready():
            self._check_branch(branch_name)
            return shapes.Done(message=self._borrowed("git_create_branch", branch_name, base_branch))

    def git_checkout(self, branch_name: Revision) -> shapes.Done:
        """Switch to a branch. Changes that would be overwritten are kept, and the switch refused."""
        with self._ready():
            return shapes.Done(message=self._borrowed("git_checkout", branch_name))

    def git_init(self, initial_branch: Annotated[str, Field(max_length=200)] = "main") -> shapes.Done:
        """Make the workspace a git repository, if it is none any more."""
        with self._git.lock:
            try:
                self._git.check()
            except ToolError as error:
                if "git_init" not in str(error):
                    raise
            else:
                return shapes.Done(message="The workspace is a git repository already")
            self._check_branch(initial_branch)
            self._git.call("init", "--quiet", "--template=", f"--initial-branch={initial_branch}")
        return shapes.Done(message=f"The workspace is a git repository now, on branch {initial_branch}")

    def _name(self, path: str) -> str:
        """A path as git takes it: bytes that are no text, which clients write `\\xNN`, as they are. ToolError."""
        if "\0" in path or not path:
            raise ToolError("A path cannot be empty or have a NUL in it")
        other = paths.raw(path.encode("utf-8", "surrogatepass"))
        return path if other is None or os.path.lexists(Path(self._git.folder, path)) else os.fsdecode(other)

    def _check_branch(self, name: str) -> None:
        """ToolError for what git takes for no name of a branch."""
        if self._git.run("check-ref-format", "--branch", _no_option(name, "branch")).code != 0:
            raise ToolError(f"{name[:200]!r} is no name for a branch")

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """One at a time, in a repository that may be used."""
        with self._git.lock:
            self._git.check()
            yield

    def _borrowed(self, function: str, *arguments: Any) -> Any:
        """One of mcp-server-git's functions, on the workspace's repository. Its errors as ToolError."""
        # Here: a client that only works with files need not wait for it.
        import git
        import mcp_server_git.server as server

        call: Callable[..., Any] = getattr(server, function)
        try:
            with git.Repo(self._git.folder) as repo:
                return call(repo, *arguments)
        except git.GitCommandError as error:
            raise ToolError(_words(error.stderr) or f"git ended with {error.status}") from error
        except server.ANTICIPATED_ERRORS as error:
            raise ToolError(str(error) or type(error).__name__) from error


def _words(stderr: Any) -> str:
    """Of GitPython, which puts them between quotes."""
    return str(stderr or "").strip().removeprefix("stderr: ").strip().strip("'").strip()[:4000]


def _no_option(value: str, what: str) -> str:
    if value.startswith("-") or not value or "\0" in value:
        raise ToolError(f"The {what} cannot be empty, begin with -, or have a NUL in it")
    return value


def _text(text: str) -> shapes.GitText:
    return shapes.GitText(text=text[:MAX_TEXT], truncated=len(text) > MAX_TEXT)


def _status(data: bytes, truncated: bool) -> shapes.GitStatus:
    """Of `git status --porcelain=v2 --branch -z`. Source: git-status(1)."""
    found = shapes.GitStatus(branch=None, status="clean", commit=None, truncated=truncated)
    records = iter(data.split(b"\0")[: -1 if truncated else None])
    for record in records:
        if header := _HEADER.fullmatch(record):
            _branch(found, header[1], header[2].decode("utf-8", "replace"))
            continue
        kind, _, rest = record.partition(b" ")
        if kind == b"?":
            _list(found, found.untracked, paths.text(rest))
        elif kind == b"u":
            _list(found, found.conflicted, paths.text(rest.split(b" ", 9)[-1]))
        elif kind in (b"1", b"2"):
            old = paths.text(next(records, b"")) if kind == b"2" else None
            name = paths.text(rest.split(b" ", 7 if kind == b"1" else 8)[-1])
            for mark, listed in zip(rest[:2].decode(), (found.staged, found.unstaged), strict=True):
                if mark in _CHANGES:
                    moved = old if mark in "RC" else None
                    _list(found, listed, shapes.Change(path=name, change=_CHANGES[mark], old_path=moved))
    if found.conflicted:
        found.status = "conflicted"
    elif found.staged or found.unstaged or found.untracked:
        found.status = "dirty"
    return found


def _branch(found: shapes.GitStatus, what: bytes, value: str) -> None:
    if what == b"branch.oid":
        found.commit = None if value == "(initial)" else value
    elif what == b"branch.head":
        found.branch = None if value == "(detached)" else value
    elif what == b"branch.upstream":
        found.upstream = value
    else:
        ahead, _, behind = value.partition(" ")
        found.ahead, found.behind = abs(int(ahead)), abs(int(behind))


def _list(found: shapes.GitStatus, listed: list[Any], one: Any) -> None:
    if len(listed) < MAX_LISTED:
        listed.append(one)
    else:
        found.truncated = True
