"""Nothing outside a workspace is read or written: paths, links, and links that are exchanged in the very moment."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from moorage.api import BadRequest, Forbidden, MoorageError, NotFound
from moorage_opencode.files import reading, tree, writing, zips
from moorage_opencode.files.confine import Cage
from moorage_opencode.files.paths import parse, scope
from moorage_opencode.files.pool import Stop
from moorage_opencode.files.tree import Wanted
from moorage_opencode.files.writing import Upload

SECRET = b"the secret outside"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(SECRET)
    (folder / "folder").mkdir()
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.py").write_text("print(1)\n")
    return folder


@pytest.fixture(params=[True, False], ids=["openat2", "walk"])
def cage(request: pytest.FixtureRequest, root: Path) -> Iterator[Cage]:
    with Cage(os.fsencode(root), openat2=request.param) as cage:
        assert cage._openat2 is request.param
        yield cage


def read(cage: Cage, path: str) -> bytes:
    found = reading.find(cage, parse(path.encode()))
    try:
        return found.read(0, found.size)
    finally:
        found.held.close()


def write(cage: Cage, path: str, data: bytes, *, follow: bool = True, make_folders: bool = False) -> None:
    upload = Upload(cage, parse(path.encode()), follow=follow, make_folders=make_folders, limit=1 << 20)
    try:
        upload.write(data)
        upload.commit()
    finally:
        upload.close()


def code(error: pytest.ExceptionInfo[MoorageError]) -> tuple[int, str]:
    return error.value.status, error.value.error_code


@pytest.mark.parametrize("path", ["..", "../outside/secret", "src/..", "src/../../outside", "/../etc", "a/b/../../c"])
def test_any_dotdot_is_refused(path: str) -> None:
    with pytest.raises(MoorageError) as error:
        parse(path.encode())
    assert code(error) == (403, "PATH_TRAVERSAL")


@pytest.mark.parametrize("path", [b"a\0b", b"x" * 256, b"d/" * 2049])
def test_what_can_be_no_path_is_refused(path: bytes) -> None:
    with pytest.raises(BadRequest) as error:
        parse(path)
    assert code(error) == (400, "INVALID_PATH")


@pytest.mark.parametrize("path", [b"%2e%2e", b"..%2f", b"..\\..\\x", b"\xc0\xae\xc0\xae", "．．".encode(), b"..."])
def test_what_only_looks_like_dotdot_is_a_name(path: bytes) -> None:
    assert parse(path) == (path,)


def test_a_directory_is_one_in_the_workspace() -> None:
    assert scope(b"", b"/w/s") == ()
    assert scope(b"/w/s", b"/w/s") == ()
    assert scope(b"/w/s/a/", b"/w/s") == (b"a",)
    assert scope(b"a/b", b"/w/s") == (b"a", b"b")
    for foreign in (b"/w", b"/w/s2", b"/", b"/w/s/../t", b"../t"):
        with pytest.raises(Forbidden):
            scope(foreign, b"/w/s")


def test_links_inside_are_followed(cage: Cage, root: Path) -> None:
    (root / "near").symlink_to("src/main.py")
    (root / "far").symlink_to(root / "src")
    (root / "src" / "up").symlink_to("../src/main.py")
    (root / "chain").symlink_to("far/up")
    for path in ("near", "far/main.py", "src/up", "far/up", "chain"):
        assert read(cage, path) == b"print(1)\n", path
    write(cage, "near", b"print(2)\n")
    assert (root / "near").is_symlink()
    assert (root / "src" / "main.py").read_text() == "print(2)\n"


def test_links_out_are_refused(cage: Cage, root: Path, outside: Path) -> None:
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "relative").symlink_to("../outside")
    (root / "src" / "up").symlink_to("../../outside/secret")
    (root / "hop").symlink_to("relative/secret")
    (root / "proc").symlink_to(f"/proc/{os.getpid()}/root")
    (root / "back").symlink_to(f"../{root.name}/src/main.py")
    for path in ("file", "folder/secret", "relative/secret", "src/up", "hop", "proc/etc/passwd", "back"):
        for attempt in (
            lambda path=path: read(cage, path),
            lambda path=path: write(cage, path, b"overwritten"),
            lambda path=path: write(cage, path + "/new", b"x", make_folders=True),
            lambda path=path: tree.tree(cage, (), parse(path.encode()), Wanted(), Stop()),
        ):
            with pytest.raises((MoorageError, OSError)) as error:
                attempt()
            assert isinstance(error.value, OSError) or code(error) == (403, "PATH_TRAVERSAL"), path
    for path in ("folder/made", "relative/made"):
        for act in (
            lambda path=path: writing.make_folder(cage, parse(path.encode())),
            lambda path=path: writing.rename(cage, (b"src", b"main.py"), parse(path.encode())),
            lambda path=path: writing.rename(cage, parse(path.replace("made", "secret").encode()), (b"stolen",)),
            lambda path=path: writing.delete(cage, parse(path.replace("made", "secret").encode()), Stop()),
        ):
            with pytest.raises(Forbidden) as refused:
                act()
            assert code(refused) == (403, "PATH_TRAVERSAL")
    assert sorted(os.listdir(outside)) == ["folder", "secret"]
    assert (outside / "secret").read_bytes() == SECRET


def test_a_link_itself_can_be_moved_and_deleted_but_never_its_goal(cage: Cage, root: Path, outside: Path) -> None:
    (root / "link").symlink_to(outside)
    writing.rename(cage, (b"link",), (b"moved",))
    assert (root / "moved").is_symlink()
    assert writing.delete(cage, (b"moved",), Stop()) is False
    assert not (root / "moved").is_symlink()
    assert (outside / "secret").exists()


def test_deleting_a_folder_deletes_no_goal_of_a_link_in_it(cage: Cage, root: Path, outside: Path) -> None:
    (root / "src" / "link").symlink_to(outside)
    assert writing.delete(cage, (b"src",), Stop()) is True
    assert sorted(os.listdir(outside)) == ["folder", "secret"]


def test_link_loops_end(cage: Cage, root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic"):
        read(cage, "a")


def test_a_dangling_link_inside_is_written_through(cage: Cage, root: Path) -> None:
    (root / "link").symlink_to("src/new")
    write(cage, "link", b"new")
    assert (root / "src" / "new").read_bytes() == b"new"


def test_an_upload_refuses_a_link(cage: Cage, root: Path) -> None:
    (root / "link").symlink_to("src/main.py")
    with pytest.raises(Forbidden):
        write(cage, "link", b"new", follow=False)


def test_a_workspace_that_became_a_link_is_no_workspace(root: Path, outside: Path) -> None:
    for openat2 in (True, False):
        (root.parent / f"x{openat2}").symlink_to(outside)
        with pytest.raises(OSError):
            Cage(os.fsencode(root.parent / f"x{openat2}"), openat2=openat2)


def test_special_files_are_no_files_and_never_block(cage: Cage, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "sock"))
        kinds = ["pipe", "sock", "src"]
        if os.geteuid() == 0:
            os.mknod(root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
            kinds.append("zero")
        for name in kinds:
            with pytest.raises(IsADirectoryError):
                read(cage, name)
            with pytest.raises(BadRequest) as error:
                write(cage, name, b"x")
            assert code(error) == (400, "NOT_A_FILE")
        found = tree.tree(cage, (), (), Wanted(), Stop())
        assert {n["name"]: n.get("kind") for n in found.nodes if n["name"] in kinds[:2]} == {
            "pipe": "special",
            "sock": "special",
        }


def test_trees_and_archives_do_not_follow_links_out(cage: Cage, root: Path, outside: Path) -> None:
    (root / "out").symlink_to(outside)
    (root / "out.txt").symlink_to(outside / "secret")
    (root / "in").symlink_to("src")
    (root / "in.py").symlink_to("src/main.py")
    (root / "gone").symlink_to("nowhere")
    found = tree.tree(cage, (), (), Wanted(), Stop())
    assert [(n["name"], n["type"], n.get("kind"), "children" in n) for n in found.nodes] == [
        ("in", "directory", "symlink", False),
        ("src", "directory", None, True),
        ("gone", "file", "symlink", False),
        ("in.py", "file", "symlink", False),
        ("out", "file", "symlink", False),
        ("out.txt", "file", "symlink", False),
    ]
    inside = tree.tree(cage, (), (b"in",), Wanted(), Stop())
    assert [n["path"] for n in inside.nodes] == ["in/main.py"]
    archive = zips.Archive(Cage(cage.path), [(b"out.txt",)] if False else [()], Stop())
    data = b"".join(iter(archive.next_piece, b""))
    archive.close()
    with zipfile.ZipFile(BytesIO(data)) as made:
        assert sorted(made.namelist()) == ["in.py", "src/", "src/main.py"]
        assert made.read("in.py") == b"print(1)\n"
        assert made.testzip() is None
    with pytest.raises(Forbidden):
        zips.Archive(Cage(cage.path), [(b"out",)], Stop())
    assert SECRET not in data


_SWAPPER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
count = 0
while not os.path.exists("end"):
    for _ in range(100):
        assert libc.renameat2(-100, b"at", -100, b"link", 2) == 0
    count += 50
print(count)
"""


class Swapper:
    """Exchanges a folder for a link out and back, as fast as it can, as one who works in the workspace could."""

    def __init__(self, root: Path, outside: Path) -> None:
        self._root = root
        (root / "at").mkdir()
        (root / "at" / "secret").write_bytes(b"inside")
        (root / "link").symlink_to(outside)
        self._process = subprocess.Popen([sys.executable, "-c", _SWAPPER], cwd=root, stdout=subprocess.PIPE, text=True)

    def restore(self) -> None:
        """The file in the folder, wherever that is now."""
        for name in ("at", "link", "at", "link"):
            try:
                fd = os.open(self._root / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except OSError:
                continue
            with os.fdopen(os.open("secret", os.O_WRONLY | os.O_CREAT, dir_fd=fd), "wb") as file:
                file.write(b"inside")
            os.close(fd)
            return

    def end(self) -> int:
        """How often it did."""
        (self._root / "end").touch()
        return int(self._process.communicate(timeout=30)[0])


def test_a_link_that_is_put_in_the_way_at_any_moment_leads_nowhere(
    cage: Cage, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # A disk that is busy with renames takes its time.
    acts: dict[str, Callable[[], object]] = {
        "read": lambda: read(cage, "at/secret"),
        "write": lambda: write(cage, "at/written", b"x"),
        "make": lambda: writing.make_folder(cage, (b"at", b"a", b"b")),
        "rename": lambda: writing.rename(cage, (b"src", b"main.py"), (b"at", b"moved")),
        "back": lambda: writing.rename(cage, (b"at", b"moved"), (b"src", b"main.py")),
        "delete": lambda: writing.delete(cage, (b"at", b"secret"), Stop()),
        "delete folder": lambda: writing.delete(cage, (b"at", b"a"), Stop()),
        "tree": lambda: [n["name"] for n in tree.tree(cage, (), (b"at",), Wanted(), Stop()).nodes],
        "archive": lambda: zips.Archive(Cage(cage.path), [(b"at",)], Stop()).next_piece(),
    }
    said: Counter[str] = Counter()
    before = {entry.name: entry.stat(follow_symlinks=False).st_mtime_ns for entry in os.scandir(outside)}
    swapper = Swapper(root, outside)
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for name, act in acts.items():
                try:
                    result = act()
                except (MoorageError, OSError) as error:
                    said[getattr(error, "error_code", type(error).__name__)] += 1
                    continue
                said[name] += 1
                assert name != "read" or result == b"inside"
                assert name != "tree" or "folder" not in result  # type: ignore[operator]
                assert name != "archive" or SECRET not in result  # type: ignore[operator]
                if name == "delete":
                    swapper.restore()
    finally:
        swaps = swapper.end()
    assert (outside / "secret").read_bytes() == SECRET
    assert before == {entry.name: entry.stat(follow_symlinks=False).st_mtime_ns for entry in os.scandir(outside)}
    print(swaps, said)
    assert swaps > 1000
    assert said["PATH_TRAVERSAL"] > 100, said
    assert all(said[name] for name in ("read", "write", "tree")), said


def test_a_file_that_may_not_be_read_or_written_is_refused_as_such(tmp_path: Path) -> None:
    """As another user than root, for whom nothing is forbidden."""
    script = """
import os, sys
from pathlib import Path
from moorage_opencode.files import reading, writing
from moorage_opencode.files.confine import Cage
from moorage_opencode.files.pool import Stop
from moorage_opencode.files.refusals import of_os
from moorage_opencode.files.writing import Upload
root = Path(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
cage = Cage(os.fsencode(root))
def tried(act):
    try:
        act()
    except OSError as error:
        return of_os(error, "x").error_code
    return "done"
upload = lambda *parts: Upload(cage, parts, follow=True, make_folders=False, limit=10).close()
print(tried(lambda: reading.find(cage, (b"secret",))))
print(tried(lambda: upload(b"readonly")))
print(tried(lambda: upload(b"closed", b"new")))
print(tried(lambda: writing.delete(cage, (b"closed", b"file"), Stop())))
print(tried(lambda: upload(b"open", b"new")))
"""
    folder = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    try:
        folder.chmod(0o755)
        for name in ("closed", "open"):
            (folder / name).mkdir()
        (folder / "closed" / "file").write_text("x")
        (folder / "secret").write_text("x")
        (folder / "secret").chmod(0)
        (folder / "readonly").write_text("x")
        (folder / "readonly").chmod(0o444)
        if os.geteuid() == 0:
            os.chown(folder / "open", 65534, 65534)
        (folder / "closed").chmod(0o555)
        done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=60)
        assert done.stdout.split() == ["PERMISSION_DENIED"] * 4 + ["done"], done.stderr
    finally:
        (folder / "closed").chmod(0o755)
        subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_belongs_to_whom_the_folder_belongs(cage: Cage, root: Path) -> None:
    os.chown(root / "src", 1234, 1234)
    write(cage, "src/a/b/new", b"x", make_folders=True)
    for path in ("src/a", "src/a/b", "src/a/b/new"):
        about = (root / path).stat()
        assert (about.st_uid, about.st_gid) == (1234, 1234)


def test_a_missing_parent_is_said(cage: Cage) -> None:
    with pytest.raises(NotFound):
        write(cage, "no/such/folder", b"x")
