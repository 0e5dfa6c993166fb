"""Which folders may be projects."""

from __future__ import annotations

import os

import pytest
from moorage.api import BadRequest, UserInfo
from moorage_opencode.projects import Projects
from sessionserver import coding, starts


@pytest.fixture
def user():
    return UserInfo(1, "user_abc", "ann", "ann", None, "operator", None, True, None)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "root" / "good").mkdir(parents=True)
    (tmp_path / "second" / "other").mkdir(parents=True)
    (tmp_path / "secret" / "inner").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.fixture
def projects(place):
    return Projects([place / "root", place / "second"], place / "data" / "users", [place / "data"])


async def test_what_may_be(place, projects, user):
    own = await projects.resolve(user, None)
    assert own == place / "data" / "users" / "user_abc"
    assert own.stat().st_mode & 0o777 == 0o700
    assert await projects.resolve(user, "") == own
    assert await projects.resolve(user, str(place / "root" / "good")) == place / "root" / "good"
    assert await projects.resolve(user, "good/") == place / "root" / "good"
    assert await projects.resolve(user, "other") == place / "second" / "other"
    assert await projects.resolve(user, str(place / "root")) == place / "root"
    (own / "mine").mkdir()
    assert await projects.resolve(user, "mine") == own / "mine"
    (own / "good").mkdir()
    assert await projects.resolve(user, "good") == own / "good", "one's own come first"
    (place / "root" / "way").symlink_to(place / "second" / "other")
    assert await projects.resolve(user, "way") == place / "second" / "other", "a link to where it may be"
    umlaut = place / "root" / "Übung \N{SNOWMAN}"
    umlaut.mkdir()
    assert await projects.resolve(user, "Übung \N{SNOWMAN}") == umlaut


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("..", "upwards"),
        ("good/../../secret", "upwards"),
        ("{place}/root/../secret", "upwards"),
        ("{place}/secret", "outside"),
        ("{place}/secret/missing", "outside"),
        ("{place}/rootless", "outside"),
        ("/", "outside"),
        ("/etc", "outside"),
        ("out", "outside"),
        ("out/inner", "outside"),
        ("loop", "not"),
        ("nothing", "does not exist"),
        ("good/nothing", "does not exist"),
        ("file", "no folder"),
        ("file/below", "not"),
        ("nul\0", "NUL"),
        ("x" * 300, "too long"),
        ("x/" * 3000, "too long"),
        ("{place}/data", "outside"),
        ("{place}/data/users", "outside"),
        ("{place}/data/users/user_xyz", "outside"),
        ("latin", "can be used"),
    ],
)
async def test_what_may_not_be(place, projects, user, path, said):
    root = place / "root"
    (root / "out").symlink_to(place / "secret")
    (root / "loop").symlink_to(root / "loop")
    (root / "file").touch()
    (place / "data" / "users" / "user_xyz").mkdir(parents=True)
    os.mkdir(os.fsencode(root) + b"/\xff")
    (root / "latin").symlink_to(os.fsdecode(os.fsencode(root) + b"/\xff"))
    with pytest.raises(BadRequest) as refused:
        await projects.resolve(user, path.replace("{place}", str(place)))
    assert said in refused.value.message
    assert refused.value.status == 400


async def test_a_root_that_holds_the_servers_data(place, user):
    (place / "root" / "data").mkdir()
    projects = Projects([place / "root"], place / "root" / "data" / "users", [place / "root" / "data"])
    for path in (place / "root", place / "root" / "data"):
        with pytest.raises(BadRequest):
            await projects.resolve(user, str(path))
    assert await projects.resolve(user, "good") == place / "root" / "good"


async def test_a_project_that_was_swapped_since(place, projects, user):
    good = str(await projects.resolve(user, "good"))
    assert str(await projects.check(user, good)) == good
    (place / "root" / "good").rmdir()
    with pytest.raises(BadRequest, match="does not exist"):
        await projects.check(user, good)
    (place / "root" / "good").symlink_to(place / "second")
    with pytest.raises(BadRequest, match="is a link now"):
        await projects.check(user, good)
    (place / "root" / "good").unlink()
    (place / "root" / "good").symlink_to(place / "secret")
    with pytest.raises(BadRequest, match="outside"):
        await projects.check(user, good)


def test_over_http_and_again_at_each_start(tmp_path):
    with coding(tmp_path, "ann") as server, server.api("ann") as ann:
        project = server.project("work")
        for path in ("../work", "missing", str(server.data_dir), str(tmp_path), "/etc", "nul\0", "x" * 5000):
            answer = ann.post("/api/sessions", json={"project_path": path})
            assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST"), path
        assert ann.get("/api/sessions").json() == []
        home = ann.post("/api/sessions", json={}).json()
        assert home["project_path"].startswith(str(server.data_dir / "plugins" / "opencode" / "users"))
        assert home["name"] == "ann"
        session = ann.post("/api/sessions", json={"project_path": "work"}).json()
        assert session["project_path"] == str(project)
        ann.post(f"/api/sessions/{session['id']}/stop")
        (tmp_path / "elsewhere").mkdir()
        project.rename(tmp_path / "moved")
        project.symlink_to(tmp_path / "elsewhere")
        refused = ann.post(f"/api/sessions/{session['id']}/resume")
        assert refused.status_code == 400
        now = ann.get(f"/api/sessions/{session['id']}").json()
        assert (now["status"], "outside" in now["error_message"]) == ("failed", True)
        assert not starts(tmp_path / "elsewhere")
        project.unlink()
        (tmp_path / "moved").rename(project)
        assert ann.post(f"/api/sessions/{session['id']}/resume").json()["status"] == "running"
