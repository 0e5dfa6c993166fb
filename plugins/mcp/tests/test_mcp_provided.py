"""The server that every workspace has, by the SDK's client over stdio: files, search, and what clients are told."""

from __future__ import annotations

import base64
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcptools import Refused, Tools
from moorage_mcp.provided import files, kernel, paths
from moorage_mcp.provided.server import make
from moorage_mcp.provided.tree import Tree

COMMAND = ("-I", "-m", "moorage_mcp.provided")


@asynccontextmanager
async def serving(folder: Path, mode: str = "auto", *, apart: bool = False) -> AsyncIterator[Tools]:
    """The server of a folder. apart: as a process, over stdio, as workspaces run it; else in this one: quick."""
    if apart:
        parameters = StdioServerParameters(command=sys.executable, args=list(COMMAND), cwd=folder)
        async with Client(stdio_client(parameters), mode=mode) as client:
            yield Tools(client)
        return
    before = dict(os.environ)
    try:
        async with Client(make(str(folder)), mode=mode) as client:
            yield Tools(client)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    made = tmp_path / "outside"
    made.mkdir()
    (made / "secret").write_text("the secret\n")
    return made


@pytest.mark.parametrize(("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
async def test_both_eras_are_told_of_every_tool(folder: Path, mode: str, version: str) -> None:
    async with serving(folder, mode, apart=True) as tools:
        assert tools.client.protocol_version == version
        listed = {tool.name: tool for tool in (await tools.client.list_tools()).tools}
        wanted = {"git_status", "read_file", "write_file", "list_directory", "search_files", "git_log", "git_commit"}
        assert wanted <= listed.keys()
        for tool in listed.values():
            assert tool.description
            assert tool.output_schema
            assert tool.output_schema["type"] == "object"
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is not None
        assert listed["read_file"].annotations.read_only_hint is True
        assert listed["delete_file"].annotations.destructive_hint is True
        assert "repo_path" not in str(listed)


def test_neither_the_core_nor_the_plugin_is_imported() -> None:
    code = (
        "import sys, moorage_mcp.provided.server; "
        "print([n for n in sys.modules if n.split('.')[0] in ('moorage', 'quart', 'tortoise', 'git')])"
    )
    said = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == "[]", said.stderr


async def test_nothing_of_the_workspace_is_imported(folder: Path) -> None:
    for name in ("mcp.py", "json.py", "git.py", "sitecustomize.py", "moorage_mcp.py"):
        (folder / name).write_text("import os; open(os.path.join(os.path.dirname(__file__), 'ran'), 'w')\n")
    async with serving(folder, apart=True) as tools:
        await tools("git_init")
        await tools("git_add", files=["."])
    assert not (folder / "ran").exists()


async def test_files_are_written_read_listed_moved_and_deleted(folder: Path) -> None:
    async with serving(folder) as tools:
        made = await tools("write_file", path="src/deep/a.txt", content="früh\n")
        assert made == {"path": "src/deep/a.txt", "size": 6, "created": True}
        assert (folder / "src/deep/a.txt").read_text() == "früh\n"
        assert (await tools("read_file", path="./src//deep/a.txt"))["content"] == "früh\n"
        (folder / "src/deep/a.txt").chmod(0o755)
        again = await tools("write_file", path="src/deep/a.txt", content="x")
        assert again == {"path": "src/deep/a.txt", "size": 1, "created": False}
        assert stat.S_IMODE((folder / "src/deep/a.txt").stat().st_mode) == 0o755
        assert (await tools("write_file", path="src/deep/a.txt", content="yz", append=True))["size"] == 3
        await tools("create_directory", path="other")
        await tools("move_file", source="src/deep/a.txt", destination="other/b.txt")
        assert (folder / "other/b.txt").read_text() == "xyz"
        listing = await tools("list_directory", path="other")
        assert [(e["name"], e["type"], e["size"]) for e in listing["entries"]] == [("b.txt", "file", 3)]
        await tools("write_file", path="c.txt", content="c")
        with pytest.raises(Refused, match="overwrite"):
            await tools("move_file", source="c.txt", destination="other/b.txt")
        await tools("move_file", source="c.txt", destination="other/b.txt", overwrite=True)
        with pytest.raises(Refused, match="not empty"):
            await tools("delete_file", path="other")
        await tools("delete_file", path="other", recursive=True)
        await tools("delete_file", path="src/deep")
        assert [e["name"] for e in (await tools("list_directory"))["entries"]] == ["src"]


async def test_bytes_and_parts(folder: Path) -> None:
    blob = bytes(range(256)) * 8
    (folder / "blob").write_bytes(blob)
    text = "ä€😀x" * 1000
    (folder / "text").write_text(text)
    async with serving(folder) as tools:
        read = await tools("read_file", path="blob")
        assert read["encoding"] == "base64"
        assert base64.b64decode(read["content"]) == blob
        await tools("write_file", path="copy", content=read["content"], encoding="base64")
        assert (folder / "copy").read_bytes() == blob
        # In parts of any size, no character is cut in two.
        parts, offset = [], 0
        while offset is not None:
            part = await tools("read_file", path="text", offset=offset, limit=1001)
            assert part["encoding"] == "utf-8"
            parts.append(part["content"])
            offset = part["next_offset"]
        assert "".join(parts) == text
        assert len(parts) > 9
        past = await tools("read_file", path="text", offset=10**9)
        assert (past["content"], past["next_offset"]) == ("", None)
        result = await tools.client.call_tool("read_file", {"path": "text", "limit": 1001})
        assert result.content[0].text == parts[0]
        assert "offset 1000" in result.content[1].text


async def test_a_huge_file_is_read_in_parts_and_not_taken_whole(folder: Path) -> None:
    with (folder / "huge").open("wb") as file:
        file.truncate(1 << 40)
    async with serving(folder) as tools:
        part = await tools("read_file", path="huge", offset=(1 << 40) - 10)
        assert (part["size"], part["next_offset"]) == (1 << 40, None)
        assert len(base64.b64decode(part["content"])) == 10
        first = await tools("read_file", path="huge")
        assert first["next_offset"] == files.READ
        assert not (await tools("search_files", query="needle"))["matches"]
        with pytest.raises(Refused, match="limit"):
            await tools("read_file", path="huge", limit=1 << 30)


async def test_ten_thousand_entries_come_in_pages(folder: Path) -> None:
    many = folder / "many"
    many.mkdir()
    for number in range(10_000):
        (many / f"{number:05d}.txt").touch()
    async with serving(folder) as tools:
        seen, offset = [], 0
        while offset is not None:
            page = await tools("list_directory", path="many", offset=offset, limit=2000)
            assert page["total"] == 10_000
            seen += [entry["name"] for entry in page["entries"]]
            offset = page["next_offset"]
        assert seen == [f"{number:05d}.txt" for number in range(10_000)]
        found = await tools("search_files", glob="*99.txt", limit=1000)
        assert len(found["matches"]) == 100
        assert (found["files_searched"], found["truncated"]) == (100, False)
        few = await tools("search_files", glob="*.txt", limit=10)
        assert (len(few["matches"]), few["truncated"]) == (10, True)
        assert "10 matches" in few["reason"]


async def test_search_by_name_and_by_contents(folder: Path) -> None:
    (folder / "src/inner").mkdir(parents=True)
    (folder / "src/a.py").write_text("one\nTwo needle two needle\r\nthree\nNEEDLE")
    (folder / "src/inner/b.md").write_text("# Ärger\n")
    (folder / "binary").write_bytes(b"\0needle")
    (folder / ".git").mkdir()
    (folder / ".git/needle").write_text("needle")
    async with serving(folder) as tools:
        found = (await tools("search_files", query="needle"))["matches"]
        assert found == [
            {"path": "src/a.py", "line": 2, "text": "Two needle two needle"},
            {"path": "src/a.py", "line": 4, "text": "NEEDLE"},
        ]
        exact = await tools("search_files", query="NEEDLE", ignore_case=False)
        assert [match["line"] for match in exact["matches"]] == [4]
        assert [m["path"] for m in (await tools("search_files", query="äRGER"))["matches"]] == ["src/inner/b.md"]
        for glob in ("*.md", "src/**/*.md", "**/b.md", "src/inner/*"):
            assert [m["path"] for m in (await tools("search_files", glob=glob))["matches"]] == ["src/inner/b.md"], glob
        assert not (await tools("search_files", glob="*.md", path="src", query="needle"))["matches"]
        with pytest.raises(Refused, match="what to look for"):
            await tools("search_files")
        # What takes for ever where it is searched step by step.
        (folder / "long").write_text("a" * 100_000)
        await tools("search_files", glob="*a*a*a*a*a*a*a*a*a*a*a*a*a*b", query="(a+)+$")


HOSTILE = [
    "../outside/secret",
    "a/../../outside/secret",
    "/etc/passwd",
    "//etc/passwd",
    "link-out/secret",
    "link-file",
    "link-absolute/passwd",
    "link-up/../outside/secret",
    "loop",
    "proc-root/etc/passwd",
    "nul\0byte",
    "x" * 5000,
    "x" * 300,
    "a/" * 1990 + "b",
]


@pytest.fixture
def traps(folder: Path, outside: Path) -> Path:
    (folder / "a").mkdir()
    (folder / "link-out").symlink_to(outside)
    (folder / "link-file").symlink_to("../outside/secret")
    (folder / "link-absolute").symlink_to("/etc")
    (folder / "link-up").symlink_to(".")
    (folder / "loop").symlink_to("loop")
    (folder / "proc-root").symlink_to("/proc/self/root")
    return folder


async def test_no_path_leads_out(traps: Path, outside: Path) -> None:
    async with serving(traps) as tools:
        for path in HOSTILE:
            for tool, more in (
                ("read_file", {}),
                ("write_file", {"content": "x"}),
                ("list_directory", {}),
                ("delete_file", {"recursive": True}),
                ("create_directory", {}),
                ("search_files", {"glob": "*e*"}),
            ):
                if tool == "delete_file" and path in ("link-file", "loop"):
                    continue  # The link itself: it may go.
                with pytest.raises((Refused, UnicodeError)) as refused:
                    await tools(tool, path=path, **more)
                assert "the secret" not in str(refused.value)
                assert "unexpected" not in str(refused.value).lower()
                assert not str(refused.value).endswith(f"executing tool {tool}"), (tool, path)
        with pytest.raises(Refused):
            await tools("move_file", source="link-file", destination="../outside/moved")
        for path in ("", ".", "..", "a/..", "./"):
            with pytest.raises(Refused):
                await tools("delete_file", path=path, recursive=True)
        found = await tools("search_files", query="secret")
        assert not found["matches"]
    assert sorted(entry.name for entry in outside.iterdir()) == ["secret"]
    assert (outside / "secret").read_text() == "the secret\n"


async def test_links_that_stay_inside_are_followed_and_never_written_through(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "real/file").write_text("inside")
    (folder / "folder-link").symlink_to("real")
    (folder / "real/up").symlink_to("../real/file")
    async with serving(folder) as tools:
        assert (await tools("read_file", path="folder-link/file"))["content"] == "inside"
        assert (await tools("read_file", path="real/up"))["content"] == "inside"
        await tools("write_file", path="folder-link/new", content="x")
        assert (folder / "real/new").read_text() == "x"
        with pytest.raises(Refused, match=r"is a link to '\.\./real/file'"):
            await tools("write_file", path="real/up", content="x")
        entries = {e["name"]: e for e in (await tools("list_directory"))["entries"]}
        assert (entries["folder-link"]["type"], entries["folder-link"]["target"]) == ("link", "real")
        await tools("delete_file", path="folder-link")
        assert (folder / "real").is_dir()


async def test_pipes_sockets_and_devices_are_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(folder / "socket"))
        async with serving(folder) as tools:
            for name, word in (("pipe", "a pipe"), ("socket", "a socket")):
                for tool, more in (("read_file", {}), ("write_file", {"content": "x"})):
                    with pytest.raises(Refused, match=word):
                        await tools(tool, path=name, **more)
                with pytest.raises(Refused):
                    await tools("write_file", path=name, content="x", append=True)
            types = {e["name"]: e["type"] for e in (await tools("list_directory"))["entries"]}
            assert types == {"pipe": "other", "socket": "other"}
            assert not (await tools("search_files", query="x"))["matches"]


async def test_names_of_any_bytes_are_found_again(folder: Path) -> None:
    names = [b"\xff\xfe", b"new\nline", b"quote\"'$(x)`", b"-rf", rb"back\x41slash", "ü".encode(), b" ", b"\x1b[31m"]
    for name in names:
        (folder / os.fsdecode(name)).write_text(repr(name))
    async with serving(folder) as tools:
        listed = [entry["name"] for entry in (await tools("list_directory"))["entries"]]
        assert len(listed) == len(names)
        for name, text in zip(sorted(names), listed, strict=True):
            assert (await tools("read_file", path=text))["content"] == repr(name)
        await tools("git_init")
        status = await tools("git_status")
        assert len(status["untracked"]) == len(names)
        assert r"\xff\xfe" in status["untracked"]
        await tools("git_add", files=["-rf", "quote\"'$(x)`"])
        assert len((await tools("git_status"))["staged"]) == 2
        await tools("git_add", files=[r"\xff\xfe"])
        assert len((await tools("git_status"))["staged"]) == 3
        diff = await tools("git_diff_staged", files=[r"\xff\xfe"])
        assert "+b'\\xff\\xfe'" in diff["text"]
        await tools("delete_file", path=r"\xff\xfe")
        assert not (folder / os.fsdecode(b"\xff\xfe")).exists()


async def test_a_link_that_is_exchanged_all_the_time_never_leads_out(folder: Path, outside: Path) -> None:
    (folder / "inside").mkdir()
    (folder / "inside/secret").write_text("harmless\n")
    (folder / "way").symlink_to("inside")
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            for goal in ("../outside", "inside"):
                (folder / "next").symlink_to(goal)
                (folder / "next").rename(folder / "way")

    thread = threading.Thread(target=exchange)
    thread.start()
    seen: set[str] = set()
    try:
        async with serving(folder) as tools:
            for number in range(150):
                try:
                    seen.add((await tools("read_file", path="way/secret"))["content"])
                    await tools("write_file", path="way/written", content=str(number))
                    await tools("list_directory", path="way")
                    await tools("delete_file", path="way/written")
                except Refused as refused:
                    seen.add("out" if "leads out" in str(refused) else "other")
    finally:
        stop.set()
        thread.join()
    assert "the secret\n" not in seen
    assert {"harmless\n", "out"} <= seen
    assert [entry.name for entry in outside.iterdir()] == ["secret"]


async def test_what_lies_in_git_is_not_for_the_file_tools(folder: Path) -> None:
    async with serving(folder) as tools:
        await tools("git_init")
        (folder / "way").symlink_to(".git")
        for path in (".git/hooks/pre-commit", ".git/config", "way/config", ".GIT/config", ".git", "sub/.git"):
            with pytest.raises(Refused, match=r"\.git is changed by the git tools|is a link"):
                await tools("write_file", path=path, content="x")
        with pytest.raises(Refused, match="by the git tools"):
            await tools("delete_file", path=".git", recursive=True)
        with pytest.raises(Refused, match="by the git tools"):
            await tools("move_file", source="way/config", destination="config")
        assert "[core]" in (await tools("read_file", path=".git/config"))["content"]


async def test_wrong_input_is_told(folder: Path) -> None:
    async with serving(folder) as tools:
        (folder / "folder").mkdir()
        (folder / "file").write_text("x")
        for tool, arguments, words in (
            ("read_file", {"path": "missing"}, "no such file"),
            ("read_file", {"path": "folder"}, "it is a folder"),
            ("read_file", {"path": "file/x"}, "where a folder is needed"),
            ("read_file", {}, "path"),
            ("read_file", {"path": "file", "offset": -1}, "offset"),
            ("write_file", {"path": "x", "content": "%%", "encoding": "base64"}, "not base64"),
            ("write_file", {"path": "x", "content": "x", "encoding": "latin-1"}, "encoding"),
            ("write_file", {"path": "file/x", "content": "x"}, "where a folder is needed"),
            ("write_file", {"path": "folder", "content": "x"}, "a folder"),
            ("list_directory", {"path": "file"}, "where a folder is needed"),
            ("delete_file", {"path": "missing"}, "no such file"),
        ):
            with pytest.raises(Refused, match=words):
                await tools(tool, **arguments)


async def test_a_folder_is_deleted_however_deep_and_closed_it_is(folder: Path, outside: Path) -> None:
    (folder / "deep").mkdir()
    here = os.open(folder / "deep", os.O_RDONLY)
    for depth in range(1050):
        os.mkdir("x", dir_fd=here)
        if depth % 100 == 0:
            os.symlink(outside, "link", dir_fd=here)
        here, above = os.open("x", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    (folder / "deep/closed/inner").mkdir(parents=True)
    (folder / "deep/closed").chmod(0)
    async with serving(folder) as tools:
        await tools("delete_file", path="deep", recursive=True)
    assert not list(folder.iterdir())
    assert (outside / "secret").exists()


def test_paths_are_read_one_way_only() -> None:
    assert paths.parse("a//b/./c") == b"a/b/c"
    assert paths.parse("") == paths.parse("./") == b"."
    assert paths.raw(rb"a\xff") == b"a\xff"
    assert paths.raw(rb"a\x2fb") is None
    assert paths.raw(rb"a\x00") is None
    assert paths.raw(b"plain") is None
    assert paths.text(b"\xff") == r"\xff"


def test_without_openat2_no_link_is_followed(traps: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(38, "not there")

    monkeypatch.setattr(kernel, "openat2", refuse)
    (traps / "a/file").write_text("x")
    tree = Tree(str(traps))
    with tree.regular(b"a/file") as (fd, size):
        assert (os.read(fd, 10), size) == (b"x", 1)
    for path in (b"link-out/secret", b"link-file", b"a/../../outside/secret", b"..", b"loop", b"link-up/a/file"):
        with pytest.raises(OSError), tree.open(path):
            pass
    with tree.open(b".") as fd:
        assert os.path.samestat(os.fstat(fd), traps.stat())
