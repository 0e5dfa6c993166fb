"""A workspace's folder on the disk: made with an empty git repository in it, and removed whatever is in it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from moorage_mcp.provided.removal import remove_tree

FILES = "files"
"""Beside it is the home of the workspace's programs: what they keep for themselves is not among the user's files."""
BRANCH = "main"
_REMOVED = ".removed-"


def make(home: Path, name: str, email: str) -> None:
    """Make the folder of a workspace, with that of its files in it. name, email: who commits.

    It appears at once or not at all: who finds it finds a git repository. Blocks. OSError.
    """
    home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = home.with_name(f".new-{home.name}-{secrets.token_hex(4)}")
    new.mkdir(mode=0o700)
    try:
        (new / FILES).mkdir(mode=0o700)
        _repository(new / FILES / ".git")
        (new / ".gitconfig").write_text(_settings(home / FILES, name, email), encoding="utf-8")
        try:
            new.rename(home)
        except OSError:
            # Somebody else was quicker.
            if not home.is_dir():
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


def mend(home: Path) -> None:
    """Make the folder of the files again if its programs have removed it. OSError."""
    # As it stands there: a link is left to whoever put it there, and leads nowhere but within the sandbox.
    with contextlib.suppress(FileExistsError):
        (home / FILES).mkdir(mode=0o700)


def remove(home: Path) -> None:
    """Remove all of it. Under another name first, so that nothing finds it half removed. Blocks. OSError."""
    if not home.parent.is_dir():
        return
    doomed = home.with_name(f"{_REMOVED}{home.name}-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        home.rename(doomed)
    above = os.open(home.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for left in home.parent.glob(f"{_REMOVED}{home.name}-*"):
            remove_tree(above, os.fsencode(left.name))
    finally:
        os.close(above)


def _repository(git: Path) -> None:
    """An empty repository. Source: git's gitrepository-layout(5). Git itself may be in the image only."""
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (git / folder).mkdir(parents=True)
    (git / "HEAD").write_text(f"ref: refs/heads/{BRANCH}\n")
    (git / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n"
    )


def _settings(files: Path, name: str, email: str) -> str:
    """Git's settings of the workspace's programs: in their home, where they may change them."""
    name = _plain(name) or "Workspace"
    email = _plain(email) or f"{''.join(c for c in name.lower() if c.isalnum()) or 'workspace'}@localhost"
    return (
        f"[user]\n\tname = {_quoted(name)}\n\temail = {_quoted(email)}\n[init]\n\tdefaultBranch = {BRANCH}\n"
        f"[safe]\n\tdirectory = {_quoted(os.fspath(files))}\n"
    )


def _plain(text: str) -> str:
    """Without what git takes for the end of a name."""
    return "".join(c for c in text if c.isprintable() and c not in "<>").strip(" .,:;\"'")[:200]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
