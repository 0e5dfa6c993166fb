"""The git tools of the server that every workspace has: what they do, and what a hostile repository cannot do."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp import Client
from mcptools import Refused, Tools
from moorage_mcp.provided.server import make


@asynccontextmanager
async def serving(folder: Path, home: Path) -> AsyncIterator[Tools]:
    """The server of a folder, in this process; git's environment is the process's, and put back."""
    before = dict(os.environ)
    os.environ["HOME"] = str(home)
    try:
        async with Client(make(str(folder)), mode="auto") as client:
            yield Tools(client)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    (made / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    return made


@pytest.fixture
def folder(tmp_path: Path, home: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    git(made, home, "init", "-q", "-b", "main")
    return made


def git(folder: Path, home: Path, *arguments: str) -> str:
    kept = {"HOME": str(home), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=kept, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_the_contracts_example(folder: Path, home: Path) -> None:
    async with serving(folder, home) as tools:
        status = await tools("git_status")
        assert (status["branch"], status["status"], status["commit"]) == ("main", "clean", None)


async def test_a_days_work(folder: Path, home: Path) -> None:
    async with serving(folder, home) as tools:
        assert "no commits" in (await tools("git_log"))["text"]
        with pytest.raises(Refused, match="git_add"):
            await tools("git_commit", message="nothing")
        await tools("write_file", path="a.txt", content="one\n")
        await tools("write_file", path="b.txt", content="two\n")
        status = await tools("git_status")
        assert (status["status"], status["untracked"]) == ("dirty", ["a.txt", "b.txt"])
        await tools("git_add", files=["a.txt"])
        await tools("git_reset")
        assert (await tools("git_status"))["staged"] == []
        await tools("git_add", files=["."])
        assert "+one" in (await tools("git_diff_staged"))["text"]
        assert "+one" not in (await tools("git_diff_staged", files=["b.txt"]))["text"]
        made = await tools("git_commit", message="First\n\nwith more\n")
        assert (made["branch"], made["message"]) == ("main", "First")
        assert git(folder, home, "log", "--format=%H %an <%ae> %B") == (
            f"{made['commit']} Ada <ada@example.org> First\n\nwith more"
        )
        await tools("move_file", source="a.txt", destination="c.txt")
        await tools("write_file", path="b.txt", content="three\n")
        await tools("git_add", files=["a.txt", "c.txt"])
        status = await tools("git_status")
        assert status["staged"] == [{"path": "c.txt", "change": "renamed", "old_path": "a.txt"}]
        assert status["unstaged"] == [{"path": "b.txt", "change": "modified", "old_path": None}]
        assert "-two\n+three" in (await tools("git_diff_unstaged"))["text"]
        await tools("git_commit", message="Second")
        await tools("git_create_branch", branch_name="topic", base_branch="main")
        assert (await tools("git_checkout", branch_name="topic"))["message"] == "Switched to branch 'topic'"
        assert "* topic" in (await tools("git_branch"))["text"]
        await tools("git_add", files=["b.txt"])
        await tools("git_commit", message="Third")
        log = (await tools("git_log", max_count=2))["text"]
        assert "Third" in log
        assert "Second" in log
        assert "First" not in log
        assert "+three" in (await tools("git_diff", target="main..topic"))["text"]
        assert "Author: Ada" in (await tools("git_show", revision="topic"))["text"]
        assert (await tools("git_show", revision="main:b.txt"))["text"] == "two\n"
        assert "b.txt" in (await tools("git_show", revision="main:"))["text"]
        git(folder, home, "checkout", "-q", "--detach")
        assert (await tools("git_status"))["branch"] is None


async def test_options_and_wrong_names_are_refused(folder: Path, home: Path, tmp_path: Path) -> None:
    async with serving(folder, home) as tools:
        await tools("write_file", path="a.txt", content="one\n")
        await tools("git_add", files=["."])
        await tools("git_commit", message="--amend")
        written = tmp_path / "written"
        option = f"--output={written}"
        for tool, arguments in (
            ("git_diff", {"target": option}),
            ("git_diff", {"target": ""}),
            ("git_diff", {"target": "no-such"}),
            ("git_show", {"revision": option}),
            ("git_show", {"revision": "main:missing"}),
            ("git_log", {"start_timestamp": option}),
            ("git_log", {"max_count": 0}),
            ("git_log", {"max_count": 10**9}),
            ("git_branch", {"contains": option}),
            ("git_branch", {"branch_type": "x"}),
            ("git_create_branch", {"branch_name": "-d"}),
            ("git_create_branch", {"branch_name": "a..b"}),
            ("git_create_branch", {"branch_name": "main"}),
            ("git_create_branch", {"branch_name": "x", "base_branch": "no-such"}),
            ("git_checkout", {"branch_name": "--orphan=x"}),
            ("git_checkout", {"branch_name": "."}),
            ("git_add", {"files": []}),
            ("git_add", {"files": ["../outside"]}),
            ("git_add", {"files": ["/etc/passwd"]}),
            ("git_add", {"files": ["missing"]}),
            ("git_add", {"files": [":(top)a.txt"]}),
            ("git_add", {"files": ["a\0b"]}),
            ("git_commit", {"message": "  \n"}),
        ):
            with pytest.raises(Refused) as refused:
                await tools(tool, **arguments)
            assert not str(refused.value).endswith(f"executing tool {tool}"), arguments
            assert "Traceback" not in str(refused.value)
        (folder / "--help").write_text("x")
        await tools("git_add", files=["--help"])
        assert [change["path"] for change in (await tools("git_status"))["staged"]] == ["--help"]
        assert not written.exists()


async def everything(tools: Tools) -> None:
    """Whatever may make git run something."""
    for tool, arguments in (
        ("git_status", {}),
        ("git_diff_unstaged", {}),
        ("git_diff_staged", {}),
        ("git_diff", {"target": "HEAD"}),
        ("git_show", {"revision": "HEAD"}),
        ("git_show", {"revision": "HEAD:a.txt"}),
        ("git_log", {}),
        ("git_add", {"files": ["."]}),
        ("git_commit", {"message": "more"}),
        ("git_branch", {"branch_type": "all"}),
        ("git_create_branch", {"branch_name": "topic"}),
        ("git_checkout", {"branch_name": "topic"}),
        ("git_reset", {}),
        ("git_init", {}),
    ):
        await tools(tool, **arguments)


async def test_nothing_that_a_repository_names_is_run(folder: Path, home: Path, tmp_path: Path) -> None:
    (folder / "a.txt").write_text("one\n")
    git(folder, home, "add", ".")
    git(folder, home, "commit", "-q", "-m", "first")
    (folder / "a.txt").write_text("two\n")
    evil, ran = tmp_path / "evil", tmp_path / "ran"
    evil.write_text(f'#!/bin/sh\necho "$0 $@" >> {ran}\ncat 2>/dev/null\nexit 0\n')
    evil.chmod(0o755)
    settings = {
        "core.fsmonitor": str(evil),
        "core.pager": str(evil),
        "core.editor": str(evil),
        "core.sshCommand": str(evil),
        "core.askPass": str(evil),
        "core.hooksPath": str(tmp_path / "hooks"),
        "core.worktree": str(tmp_path),
        "diff.external": str(evil),
        "diff.evil.textconv": str(evil),
        "diff.evil.command": str(evil),
        "filter.evil.clean": str(evil),
        "filter.evil.smudge": str(evil),
        "filter.with.dots.process": str(evil),
        "filter.evil.required": "true",
        "merge.evil.driver": str(evil),
        "gpg.program": str(evil),
        "commit.gpgSign": "true",
        "log.showSignature": "true",
        "alias.status": f"!{evil}",
        "credential.helper": f"!{evil}",
        "sequence.editor": str(evil),
        "init.templateDir": str(tmp_path / "template"),
        "pager.diff": str(evil),
        "interactive.diffFilter": str(evil),
    }
    for key, value in settings.items():
        git(folder, home, "config", "--file", ".git/config", key, value)
    (folder / ".gitattributes").write_text("*.txt filter=evil diff=evil merge=evil\n*.md filter=with.dots\n")
    (folder / "b.md").write_text("# B\n")
    for hooks in (folder / ".git/hooks", tmp_path / "hooks", tmp_path / "template/hooks"):
        hooks.mkdir(parents=True, exist_ok=True)
        for name in ("pre-commit", "commit-msg", "prepare-commit-msg", "post-commit", "post-checkout",
                     "post-index-change", "reference-transaction", "fsmonitor-watchman"):  # fmt: skip
            (hooks / name).write_text(evil.read_text())
            (hooks / name).chmod(0o755)
    async with serving(folder, home) as tools:
        await everything(tools)
        assert not ran.exists(), ran.read_text()
        assert git(folder, home, "-c", "core.worktree=", "cat-file", "blob", "topic:b.md") == "# B"
    # That it would have run: git itself does.
    subprocess.run(["git", "status"], cwd=folder, env={"HOME": str(home), "PATH": os.environ["PATH"]},
                   capture_output=True, timeout=60)  # fmt: skip
    assert ran.exists()


@pytest.mark.parametrize("how", ["file", "link", "alternates", "commondir", "objects"])
async def test_a_repository_elsewhere_is_not_used(folder: Path, home: Path, tmp_path: Path, how: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, home, "init", "-q", "-b", "main")
    (other / "private").write_text("private\n")
    git(other, home, "add", ".")
    git(other, home, "commit", "-q", "-m", "private")
    here = folder / ".git"
    if how in ("file", "link"):
        here.rename(tmp_path / "moved")
    if how == "file":
        here.write_text(f"gitdir: {other}/.git\n")
    elif how == "link":
        here.symlink_to(other / ".git")
    elif how == "alternates":
        (here / "objects/info/alternates").write_text(f"{other}/.git/objects\n")
    elif how == "commondir":
        (here / "commondir").write_text(f"{other}/.git\n")
    else:
        (here / "objects").rename(here / "old")
        (here / "objects").symlink_to(other / ".git/objects")
    commit = git(other, home, "rev-parse", "HEAD")
    async with serving(folder, home) as tools:
        for tool, arguments in (("git_show", {"revision": commit}), ("git_log", {}), ("git_init", {})):
            with pytest.raises(Refused, match=r"not used here|only a folder") as refused:
                await tools(tool, **arguments)
            assert "private" not in str(refused.value)


async def test_a_repository_above_is_not_found(folder: Path, home: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    async with serving(inner, home) as tools:
        with pytest.raises(Refused, match="git_init"):
            await tools("git_status")
        await tools("git_init", initial_branch="trunk")
        assert (await tools("git_status"))["branch"] == "trunk"
        (inner / ".git").rename(folder / "old")
        for name in ("-x", "a b", "..", ""):
            with pytest.raises(Refused):
                await tools("git_init", initial_branch=name)


async def test_large_differences_are_cut_and_large_files_not_shown(folder: Path, home: Path) -> None:
    (folder / "many.txt").write_text("line\n" * 300_000)
    (folder / "large.bin").write_text("x\n" * 2_000_000)
    async with serving(folder, home) as tools:
        await tools("git_add", files=["."])
        diff = await tools("git_diff_staged", files=["many.txt"])
        assert diff["truncated"]
        assert len(diff["text"]) <= 512 * 1024
        assert "Binary files" in (await tools("git_diff_staged", files=["large.bin"]))["text"]
        await tools("git_commit", message="large")
        shown = await tools("git_show", revision="HEAD:large.bin")
        assert (shown["truncated"], len(shown["text"])) == (True, 512 * 1024)


async def test_a_broken_repository_is_told(folder: Path, home: Path) -> None:
    async with serving(folder, home) as tools:
        (folder / ".git/config").write_text("[core\nbroken")
        with pytest.raises(Refused, match="settings cannot be read"):
            await tools("git_status")
        (folder / ".git/config").write_text("[core]\n")
        (folder / ".git/index").write_bytes(os.urandom(100))
        with pytest.raises(Refused, match="index"):
            await tools("git_status")
        (folder / ".git/index").unlink()
        (folder / ".git/index.lock").touch()
        (folder / "x").touch()
        with pytest.raises(Refused, match=r"index\.lock"):
            await tools("git_add", files=["x"])
        (folder / ".git/HEAD").unlink()
        with pytest.raises(Refused, match="git"):
            await tools("git_log")


async def test_calls_at_once_do_not_meet(folder: Path, home: Path) -> None:
    async with serving(folder, home) as tools:
        for number in range(8):
            (folder / f"{number}").write_text("x")
        await asyncio.gather(*(tools("git_add", files=[str(number)]) for number in range(8)))
        assert len((await tools("git_status"))["staged"]) == 8
