"""The fileserver of a session from outside: each row of the contract's table, and what users of one expect beyond."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import stat
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from files_server import Workspace, serving

LIMIT = 256 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with serving(tmp_path_factory.mktemp("files"), max_file_bytes=LIMIT, max_tree_entries=100) as server:
        yield server


@pytest.fixture
def ws(server: Any, request: pytest.FixtureRequest) -> Iterator[Workspace]:
    """An empty folder of ann's session, of the test's own."""
    with server.workspace("ann", request.node.name) as workspace:
        yield workspace


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert set(answer.json()) <= {"error", "code", "error_code", "details"}
    assert answer.json()["error"]


# -- the rows of the table ------------------------------------------------------------------------------------------


def test_health(ws: Workspace) -> None:
    assert ws.get("/health").json() == {"status": "ok", "root": str(ws.server.projects["ann"])}


def test_tree(ws: Workspace) -> None:
    for path in ("b/c/d.txt", "B.txt", "a.txt", ".env", "A/x.md", ".git/config", "node_modules/x/y.js", "m.pyc"):
        ws.make(path)
    for always in ("__pycache__", ".cache", "target", ".venv", "venv"):
        ws.make(f"{always}/x")
    nodes = ws.get("/tree").json()
    assert [(n["name"], n["type"]) for n in nodes] == [
        ("A", "directory"),
        ("b", "directory"),
        ("a.txt", "file"),
        ("B.txt", "file"),
    ]
    assert nodes[1]["children"][0]["children"] == [
        {"name": "d.txt", "path": "b/c/d.txt", "type": "file", "size": 9, "modified": ws.mtime("b/c/d.txt")}
    ]
    assert nodes[1]["modified"] == ws.mtime("b")
    shallow = ws.get("/tree?path=.&depth=1").json()
    assert all("children" not in n for n in shallow)
    assert [n["path"] for n in ws.get("/tree?path=b").json()] == ["b/c"]
    assert ws.get("/tree?depth=0").json() == []
    hidden = [n["name"] for n in ws.get("/tree?show_hidden=true").json()]
    assert hidden == ["A", "b", ".env", "a.txt", "B.txt"]
    simple = ws.get("/tree?mode=simple").json()
    assert [n["path"] for n in simple] == ["a.txt", "A/x.md", "B.txt", "b/c/d.txt"]
    assert all(n["type"] == "file" and "children" not in n for n in simple)
    assert ws.get("/file?path=.git/config").text == ".git/config"
    refused(ws.get("/tree?path=nothing"), 404, "NOT_FOUND")
    refused(ws.get("/tree?path=a.txt"), 400, "NOT_A_DIRECTORY")
    refused(ws.get("/tree?mode=odd"), 400, "VALIDATION_ERROR")
    refused(ws.get("/tree?depth=-1"), 400, "VALIDATION_ERROR")


def test_tree_says_what_is_left_out(ws: Workspace) -> None:
    for number in range(150):
        ws.make(f"many/{number:03}")
    answer = ws.get("/tree")
    (many,) = answer.json()
    assert answer.headers["X-Truncated"] == "true"
    assert many["truncated"] is True
    assert [n["name"] for n in many["children"]] == [f"{number:03}" for number in range(99)]
    few = ws.get("/tree?depth=1")
    assert "X-Truncated" not in few.headers


def test_directory_scopes_a_request(ws: Workspace) -> None:
    ws.make("a/b/c.txt")
    root = ws.path
    for scope in (str(root / "a"), ws.inside("a"), ws.inside("a/")):
        for name in ("directory", "workspace_path"):
            answer = ws.client.get(ws.base + "/tree", params={name: scope})
            assert [n["path"] for n in answer.json()] == ["b"], scope
            file = ws.client.get(ws.base + "/file", params={name: scope, "path": "b/c.txt"})
            assert file.text == "a/b/c.txt"
    for foreign in ("/etc", "/", str(root.parent.parent), str(root) + "/../..", "../.."):
        refused(ws.client.get(ws.base + "/tree", params={"directory": foreign}), 403, "PATH_TRAVERSAL")
    refused(ws.client.get(ws.base + "/tree", params={"directory": ws.inside("no")}), 404, "NOT_FOUND")


def test_file_is_read(ws: Workspace) -> None:
    for name, kind in {
        "a.txt": "text/plain; charset=utf-8",
        "a.html": "text/html; charset=utf-8",
        "a.svg": "image/svg+xml",
        "a.png": "image/png",
        "a.pdf": "application/pdf",
        "a.json": "application/json",
        "a.js": "text/plain; charset=utf-8",
        "a.mjs": "text/plain; charset=utf-8",
        "a.ts": "text/plain; charset=utf-8",
        "a.tar.gz": "application/octet-stream",
        "a": "application/octet-stream",
    }.items():
        ws.make(name, b"\x00\xff" + name.encode())
        answer = ws.get(f"/file?path={name}")
        assert (answer.status_code, answer.content) == (200, b"\x00\xff" + name.encode())
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"] == f"inline; filename=\"{name}\"; filename*=UTF-8''{name}"
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
    refused(ws.get("/file?path=no"), 404, "NOT_FOUND")
    refused(ws.get("/file?path=."), 400, "NOT_A_FILE")
    refused(ws.get("/file?path=a.txt/b"), 400, "NOT_A_DIRECTORY")
    refused(ws.client.get(ws.base + "/file"), 400, "VALIDATION_ERROR")


def test_file_with_colours(ws: Workspace) -> None:
    source = "def f(x):\n    return '<script>alert(1)</script>' & x\n\n\n# end"
    ws.make("x.py", source.encode())
    for theme in ("", "&theme=monokai", "&theme=no%2F..%2Fsuch"):
        answer = ws.get(f"/file?path=x.py&highlight=true{theme}")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert answer.text.count("<tr>") == 5
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text
        assert '<span style="' in answer.text
    ws.make("x.unknown", b"<b>\xff</b>")
    assert "&lt;b&gt;\ufffd&lt;/b&gt;" in ws.get("/file?path=x.unknown&highlight=true").text
    ws.make('<img src=x onerror="alert(1)">.py', b"1")
    assert "<img" not in ws.get("/file?path=%3Cimg src=x onerror=%22alert(1)%22%3E.py&highlight=true").text


def test_upload(ws: Workspace) -> None:
    (ws.path / "d").mkdir()

    def post(path: str, name: str, data: bytes, more: str = "") -> httpx.Response:
        return ws.post(f"/file?path={path}{more}", files=[("f", (name, data)), ("g", ("second", b"dropped"))])

    assert post("d", "n.txt", b"1").json() == {
        "success": True,
        "message": f"Uploaded: {ws.inside('d/n.txt')} (1 bytes)",
        "path": ws.inside("d/n.txt"),
    }
    assert ws.read("d/n.txt") == b"1"
    assert post("d/other", "n.txt", b"2").json()["path"] == ws.inside("d/other")
    assert ws.read("d/other") == b"2"
    assert post("d/", "../../x\\y:z.txt ", b"3").json()["path"] == ws.inside("d/.._.._x_y_z.txt")
    assert post("new/", "n", b"4").status_code == 404
    assert post("new/", "n", b"4", "&mkdir=true").json()["path"] == ws.inside("new/n")
    assert post("d/n.txt", "n", b"again").is_success
    assert ws.read("d/n.txt") == b"again"
    for name in ("..", ".", " "):
        refused(post("d", name, b"x"), 400, "INVALID_PATH")
    refused(
        ws.post("/file?path=d", content=b"x", headers={"Content-Type": "text/plain"}), 415, "UNSUPPORTED_MEDIA_TYPE"
    )
    for body in (b"", b"--B\r\n", b"--B\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\nhalf"):
        kind = {"Content-Type": "multipart/form-data; boundary=B"}
        assert ws.post("/file?path=d", content=body, headers=kind).status_code == 400
    assert not (ws.path / "second").exists()
    (ws.path / "link").symlink_to("d/n.txt")
    refused(post("link", "n", b"through"), 403, "PATH_TRAVERSAL")
    assert ws.read("d/n.txt") == b"again"
    assert ws.names("d") == [".._.._x_y_z.txt", "n.txt", "other"]


def test_put(ws: Workspace) -> None:
    answer = ws.put("/file?path=a.txt", content=b"hello")
    assert answer.json() == {
        "success": True,
        "message": f"Written: {ws.inside('a.txt')} (5 bytes)",
        "path": ws.inside("a.txt"),
    }
    assert ws.get("/file?path=a.txt").headers["etag"] == answer.headers["etag"]
    (ws.path / "a.txt").chmod(0o750)
    assert ws.put("/file?path=a.txt", content=b"").is_success
    assert ws.read("a.txt") == b""
    assert stat.S_IMODE((ws.path / "a.txt").stat().st_mode) == 0o750
    refused(ws.put("/file?path=no/a.txt", content=b"x"), 404, "NOT_FOUND")
    assert ws.put("/file?path=no/such/a.txt&mkdir=true", content=b"x").is_success
    refused(ws.put("/file?path=no", content=b"x"), 400, "NOT_A_FILE")
    refused(ws.put("/file?path=a.txt/b", content=b"x"), 400, "NOT_A_DIRECTORY")
    refused(ws.client.put(ws.base + "/file", params={"path": "."}, content=b"x"), 400, "INVALID_PATH")
    (ws.path / "link").symlink_to("a.txt")
    assert ws.put("/file?path=link", content=b"through").is_success
    assert (ws.path / "link").is_symlink()
    assert ws.read("a.txt") == b"through"


def test_delete(ws: Workspace) -> None:
    ws.make("d/e/f")
    ws.make("x")
    assert ws.delete("/file?path=x").json() == {
        "success": True,
        "message": f"Deleted file: {ws.inside('x')}",
        "path": ws.inside("x"),
    }
    assert ws.delete("/file?path=d").json()["message"] == f"Deleted directory: {ws.inside('d')}"
    assert ws.names() == []
    refused(ws.delete("/file?path=x"), 404, "NOT_FOUND")
    for root in (".", "/", "", "./"):
        refused(ws.client.delete(ws.base + "/file", params={"path": root}), 400, "INVALID_PATH")


def test_mkdir(ws: Workspace) -> None:
    assert ws.put("/mkdir?path=a/b").json() == {
        "success": True,
        "message": f"Directory created: {ws.inside('a/b')}",
        "path": ws.inside("a/b"),
    }
    assert (ws.path / "a" / "b").is_dir()
    assert ws.put("/mkdir?path=a/b").json()["message"] == "Directory already exists"
    ws.make("file")
    refused(ws.put("/mkdir?path=file"), 400, "NOT_A_DIRECTORY")
    refused(ws.put("/mkdir?path=file/b"), 400, "NOT_A_DIRECTORY")


def test_rename(ws: Workspace) -> None:
    ws.make("a/x", b"x")
    ws.make("y", b"y")

    def rename(old: str, new: str) -> httpx.Response:
        return ws.client.post(ws.base + "/rename", params={"old_path": ws.inside(old), "new_path": ws.inside(new)})

    assert rename("a/x", "z").json()["success"] is True
    assert ws.read("z") == b"x"
    refused(rename("z", "y"), 400, "INVALID_PATH")
    assert (ws.read("y"), ws.read("z")) == (b"y", b"x")
    refused(rename("z", "a"), 400, "INVALID_PATH")
    refused(rename("z", "no/z"), 404, "NOT_FOUND")
    refused(rename("no", "n"), 404, "NOT_FOUND")
    refused(rename("a", "a/b"), 400, "INVALID_PATH")
    refused(rename("a", "../x"), 403, "PATH_TRAVERSAL")
    refused(ws.client.post(ws.base + "/rename", params={"old_path": ".", "new_path": "b"}), 400, "INVALID_PATH")
    assert rename("a", "b").is_success
    assert ws.names() == ["b", "y", "z"]


def test_download(ws: Workspace) -> None:
    ws.make("d/ä b.txt", b"one")
    ws.make("d/e/two", b"two" * 100_000)
    ws.make("d/.git/config", b"kept")
    (ws.path / "d" / "empty").mkdir()
    answer = ws.get("/download?path=d/ä b.txt")
    assert answer.content == b"one"
    assert answer.headers["content-disposition"] == "attachment; filename=\"_ b.txt\"; filename*=UTF-8''%C3%A4%20b.txt"
    folder = ws.get("/download?path=d")
    assert folder.headers["content-type"] == "application/zip"
    assert folder.headers["content-disposition"].startswith('attachment; filename="d.zip"')
    with zipfile.ZipFile(io.BytesIO(folder.content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [
            "d/",
            "d/.git/",
            "d/.git/config",
            "d/e/",
            "d/e/two",
            "d/empty/",
            "d/ä b.txt",
        ]
        assert archive.read("d/e/two") == b"two" * 100_000
    refused(ws.get("/download?path=no"), 404, "NOT_FOUND")


def test_download_zip(ws: Workspace) -> None:
    for name in ("a", "d/b", "c"):
        ws.make(name, name.encode())
    query = {"paths": f"{ws.inside('a')},{ws.inside('d')},{ws.inside('d/b')}", "name": 'my "zip"\r\nX: y'}
    answer = ws.client.get(ws.base + "/download-zip", params=query)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(archive.namelist()) == ["a", "d/", "d/b"]
    assert 'filename="my _zip_X_ y.zip"' in answer.headers["content-disposition"]
    assert "x" not in {name for name in answer.headers if name == "x"}
    refused(ws.client.get(ws.base + "/download-zip", params={"paths": ""}), 400, "INVALID_PATH")
    refused(ws.client.get(ws.base + "/download-zip", params={"paths": f"{ws.inside('a')},no"}), 404, "NOT_FOUND")
    refused(ws.client.get(ws.base + "/download-zip", params={"paths": "a,../b"}), 403, "PATH_TRAVERSAL")


def test_every_address_is_the_same(server: Any) -> None:
    with server.workspace("ann", "addresses") as ws:
        ws.make("f", b"same")
        id = server.sessions["ann"]
        for base in (f"/api/session/{id}/files", f"/api/sessions/{id}/files", f"/api/session/{id}/workspace"):
            assert ws.client.get(base + "/file", params={"path": ws.inside("f")}).content == b"same"
        by_path = "/api/workspace/files/file"
        for at, path in ((ws.path, "f"), (server.projects["ann"], ws.inside("f"))):
            answer = ws.client.get(by_path, params={"workspace_path": str(at), "path": path})
            assert answer.content == b"same", answer.text
        for at in (str(server.projects["bob"]), "/", "/etc", "relative", ""):
            assert ws.client.get(by_path, params={"workspace_path": at, "path": "f"}).status_code == 404


# -- who may --------------------------------------------------------------------------------------------------------


def test_others_may_not_and_admins_may(server: Any) -> None:
    id = server.sessions["ann"]
    for who, status in (("bob", 404), ("vic", 403), ("ada", 200), (None, 401)):
        with server.api(who) as client:
            base = f"/api/session/{id}/files"
            assert client.get(base + "/tree").status_code == status, who
            assert client.get(base + "/file?path=x").status_code == (404 if who == "ada" else status)
            put = client.put(base + "/file?path=of-an-admin", content=b"x")
            assert put.status_code == status
            assert client.delete(base + "/file?path=of-an-admin").status_code == status
    with server.api("ann", "opencode:file:read") as reader:
        assert reader.get(f"/api/session/{id}/files/tree").status_code == 200
        refused(reader.put(f"/api/session/{id}/files/file?path=x", content=b"x"), 403, "FORBIDDEN")
        refused(reader.delete(f"/api/session/{id}/files/file?path=x"), 403, "FORBIDDEN")
        refused(reader.put(f"/api/session/{id}/files/mkdir?path=x"), 403, "FORBIDDEN")
        refused(reader.post(f"/api/session/{id}/files/rename?old_path=x&new_path=y"), 403, "FORBIDDEN")
    with server.api("ann") as client:
        refused(client.get("/api/session/no-such/files/tree"), 404, "NOT_FOUND")


def test_another_site_may_not_write_with_a_cookie(server: Any) -> None:
    with server.client("ann") as browser:
        url = f"/api/session/{server.sessions['ann']}/files/file?path=x"
        refused(browser.put(url, content=b"x", headers={"Origin": "https://evil.example"}), 403, "CSRF_INVALID")
        assert browser.put(url, content=b"x", headers={"Origin": server.url}).is_success
        assert browser.delete(url, headers={"Origin": server.url}).is_success


# -- conditions and parts -------------------------------------------------------------------------------------------


def test_conditions_of_reading(ws: Workspace) -> None:
    ws.make("f", b"0123456789")
    head = ws.client.head(ws.base + "/file", params={"path": ws.inside("f")})
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "10")
    tag, modified = head.headers["etag"], head.headers["last-modified"]

    def get(**headers: str) -> httpx.Response:
        return ws.get("/file?path=f", headers={k.replace("_", "-"): v for k, v in headers.items()})

    for headers in ({"If_None_Match": tag}, {"If_None_Match": f'"x", W/{tag}'}, {"If_Modified_Since": modified}):
        answer = get(**headers)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
    assert get(If_None_Match='"other"', If_Modified_Since=modified).status_code == 200
    refused(get(If_Match='"other"'), 412, "PRECONDITION_FAILED")
    assert get(If_Match=tag).status_code == 200
    refused(get(If_Unmodified_Since="Thu, 01 Jan 1970 00:00:00 GMT"), 412, "PRECONDITION_FAILED")
    for wanted, start, end in (("0-3", 0, 3), ("4-", 4, 9), ("-2", 8, 9), ("8-100", 8, 9)):
        part = get(Range=f"bytes={wanted}")
        assert (part.status_code, part.content) == (206, b"0123456789"[start : end + 1])
        assert part.headers["content-range"] == f"bytes {start}-{end}/10"
        assert part.headers["content-length"] == str(end - start + 1)
    assert get(Range="bytes=2-3", If_Range=tag).status_code == 206
    assert get(Range="bytes=2-3", If_Range='"other"').status_code == 200
    for whole in ("bytes=0-1,3-4", "lines=1-2", "bytes=x", "bytes=5-2"):
        assert get(Range=whole).status_code == 200, whole
    beyond = get(Range="bytes=10-")
    refused(beyond, 416, "RANGE_NOT_SATISFIABLE")
    assert beyond.headers["content-range"] == "bytes */10"
    ws.make("empty", b"")
    assert ws.get("/file?path=empty").content == b""
    assert ws.get("/file?path=empty", headers={"Range": "bytes=0-"}).status_code == 416


def test_no_update_is_lost(ws: Workspace) -> None:
    first = ws.put("/file?path=f", content=b"1", headers={"If-None-Match": "*"})
    assert first.is_success
    refused(ws.put("/file?path=f", content=b"2", headers={"If-None-Match": "*"}), 412, "PRECONDITION_FAILED")
    tag = first.headers["etag"]
    second = ws.put("/file?path=f", content=b"2", headers={"If-Match": tag})
    assert second.is_success
    refused(ws.put("/file?path=f", content=b"3", headers={"If-Match": tag}), 412, "PRECONDITION_FAILED")
    refused(ws.delete("/file?path=f", headers={"If-Match": tag}), 412, "PRECONDITION_FAILED")
    refused(ws.put("/file?path=new", content=b"3", headers={"If-Match": "*"}), 412, "PRECONDITION_FAILED")
    assert ws.read("f") == b"2"
    # The agent changes it, as any program does.
    (ws.path / "f").write_bytes(b"agent's")
    refused(
        ws.put("/file?path=f", content=b"3", headers={"If-Match": second.headers["etag"]}), 412, "PRECONDITION_FAILED"
    )
    assert ws.read("f") == b"agent's"
    assert ws.names() == ["f"]


def test_of_many_writers_at_once_one_wins(ws: Workspace) -> None:
    tag = ws.put("/file?path=f", content=b"first").headers["etag"]
    barrier = threading.Barrier(8)
    said: list[int] = []

    def write(number: int) -> None:
        with ws.server.api("ann") as client:
            barrier.wait()
            answer = client.put(
                ws.base + "/file",
                params={"path": ws.inside("f")},
                content=bytes([number]) * 100_000,
                headers={"If-Match": tag},
            )
            said.append(answer.status_code)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(said) == [200] + [412] * 7
    data = ws.read("f")
    assert len(data) == 100_000
    assert len(set(data)) == 1
    assert ws.names() == ["f"]


def test_limits(ws: Workspace) -> None:
    ws.make("big", b"x" * (LIMIT + 1))
    refused(ws.get("/file?path=big"), 413, "FILE_TOO_LARGE")
    assert ws.get("/file?path=big", headers={"Range": f"bytes={LIMIT}-"}).content == b"x"
    assert len(ws.get("/download?path=big").content) == LIMIT + 1
    ws.make("kept", b"old")
    refused(ws.put("/file?path=kept", content=b"x" * (LIMIT + 1)), 413, "FILE_TOO_LARGE")
    refused(ws.put("/file?path=kept", content=iter([b"x" * LIMIT, b"x"])), 413, "FILE_TOO_LARGE")
    refused(ws.post("/file?path=kept", files={"f": ("n", b"x" * (LIMIT + 1))}), 413, "FILE_TOO_LARGE")
    assert ws.read("kept") == b"old"
    assert ws.put("/file?path=kept", content=b"x" * LIMIT).is_success
    ws.make("source.py", b"#" * (1 << 20) + b"\n")
    refused(ws.get("/file?path=source.py&highlight=1"), 413, "FILE_TOO_LARGE")
    assert ws.names() == ["big", "kept", "source.py"]


# -- names and hostile paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["..", "../x", "%2e%2e/x", "a/%2e%2e/%2e%2e/x", "..%2fx", "/../x", "a/..", "%2E%2E%2F%2E%2E%2Fetc%2Fpasswd"],
)
def test_paths_upwards_are_refused_everywhere(ws: Workspace, path: str) -> None:
    base = ws.base
    for method, url in (
        ("GET", f"/tree?path={path}"),
        ("GET", f"/file?path={path}"),
        ("GET", f"/download?path={path}"),
        ("GET", f"/download-zip?paths={path}"),
        ("PUT", f"/file?path={path}"),
        ("PUT", f"/mkdir?path={path}"),
        ("DELETE", f"/file?path={path}"),
        ("POST", f"/rename?old_path={path}&new_path=x"),
        ("POST", f"/rename?old_path=x&new_path={path}"),
        ("GET", f"/tree?directory={path}"),
    ):
        refused(ws.client.request(method, base + url), 403, "PATH_TRAVERSAL")
    answer = ws.client.post(f"{base}/file?path={path}", files={"f": ("n", b"x")})
    refused(answer, 403, "PATH_TRAVERSAL")


@pytest.mark.parametrize("path", ["a%00b", "%00", "x" * 256, "d/" * 2100])
def test_what_can_be_no_path_is_refused(ws: Workspace, path: str) -> None:
    refused(ws.client.get(f"{ws.base}/file?path={path}"), 400, "INVALID_PATH")
    refused(ws.client.put(f"{ws.base}/file?path={path}", content=b"x"), 400, "INVALID_PATH")


@pytest.mark.parametrize(
    "path", ["%252e%252e", "..%5C..%5Cx", "%C0%AE%C0%AE", "new%0Aline", "%FF%FE", "a+b", "...", "%27"]
)
def test_odd_names_are_names(ws: Workspace, path: str) -> None:
    at = f"{ws.base}/file?directory={ws.inside('')}&path={path}"
    answer = ws.client.put(at, content=b"odd")
    assert answer.is_success, answer.text
    assert ws.client.get(at).content == b"odd"
    (node,) = ws.get("/tree?show_hidden=true").json()
    sent = node.get("encoded")
    reached = ws.client.get(f"{ws.base}/file?directory={ws.inside('')}&path={sent}") if sent else None
    if reached is None:
        reached = ws.client.get(ws.base + "/file", params={"directory": ws.inside(""), "path": node["path"]})
    assert reached.content == b"odd"
    assert ("\ufffd" in node["name"]) is (sent is not None)
    down = ws.client.get(f"{ws.base}/download?directory={ws.inside('')}&path={path}")
    assert down.headers["content-disposition"].startswith("attachment; filename=")
    assert ws.client.get(f"{ws.base}/download-zip?directory={ws.inside('')}&paths={path}").is_success
    assert ws.client.delete(at).is_success
    assert ws.names() == []


def test_links_and_special_files(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("secret")
    (ws.path / "out").symlink_to(tmp_path)
    (ws.path / "file").symlink_to(tmp_path / "secret")
    os.mkfifo(ws.path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(ws.path)  # A socket's path is a short one.
        listening.bind("sock")
        for name in ("pipe", "sock"):
            refused(ws.get(f"/file?path={name}"), 400, "NOT_A_FILE")
            refused(ws.put(f"/file?path={name}", content=b"x"), 400, "NOT_A_FILE")
        for path in ("file", "out/secret"):
            refused(ws.get(f"/file?path={path}"), 403, "PATH_TRAVERSAL")
            refused(ws.put(f"/file?path={path}", content=b"x"), 403, "PATH_TRAVERSAL")
            refused(ws.get(f"/download?path={path}"), 403, "PATH_TRAVERSAL")
        refused(ws.delete("/file?path=out/secret"), 403, "PATH_TRAVERSAL")
        refused(ws.put("/mkdir?path=out/new"), 403, "PATH_TRAVERSAL")
        assert ws.delete("/file?path=out").is_success
        assert ws.delete("/file?path=pipe").is_success
    assert (tmp_path / "secret").read_text() == "secret"


def test_very_deep_folders(ws: Workspace) -> None:
    here = os.open(ws.path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deep", dir_fd=here)
        above, here = here, os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(above)
    os.close(here)
    node, depth = ws.get("/tree?depth=1000").json(), 0
    while node:
        node, depth = node[0].get("children"), depth + 1
    assert depth == 100
    assert ws.get("/download?path=deep").status_code == 200
    assert ws.delete("/file?path=deep").is_success
    assert ws.names() == []


# -- faults ---------------------------------------------------------------------------------------------------------


def test_a_broken_off_upload_leaves_nothing(ws: Workspace) -> None:
    ws.make("kept", b"old")
    key = ws.server.keys["ann"]
    with socket.create_connection(("127.0.0.1", ws.server.port)) as peer:
        head = f"PUT {ws.base}/file?path={ws.inside('kept')} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        peer.sendall(head.encode() + b"Content-Length: 200000\r\n\r\n" + b"x" * 100_000)
    assert ws.put("/file?path=other", content=b"x").is_success
    assert ws.read("kept") == b"old"
    assert ws.names() == ["kept", "other"]


@pytest.fixture
def full(ws: Workspace) -> Iterator[Path]:
    """A folder on a disk of 128 KiB."""
    folder = ws.path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_old_file_stays(ws: Workspace, full: Path) -> None:
    (full / "kept").write_bytes(b"old")
    answer = ws.put("/file?path=disk/kept", content=b"x" * 200_000)
    refused(answer, 507, "IO_ERROR")
    assert "No space left" in answer.json()["error"]
    assert (full / "kept").read_bytes() == b"old"
    assert os.listdir(full) == ["kept"]
    assert ws.put("/file?path=disk/kept", content=b"x" * 50_000).is_success


def test_a_workspace_that_is_gone_is_said(server: Any) -> None:
    project, away = server.projects["bob"], server.folder / "away"
    project.rename(away)
    try:
        with server.api("bob") as client:
            base = f"/api/session/{server.sessions['bob']}/files"
            refused(client.get(base + "/tree"), 404, "NOT_FOUND")
            refused(client.get(base + "/health"), 404, "NOT_FOUND")
            refused(client.put(base + "/file?path=x", content=b"x"), 404, "NOT_FOUND")
            project.symlink_to("/etc")
            answer = client.get(base + "/file?path=passwd")
            assert answer.status_code in (400, 404)
            assert "root:" not in answer.text
    finally:
        with contextlib.suppress(FileNotFoundError):
            project.unlink()
        away.rename(project)
