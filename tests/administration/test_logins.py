"""Everybody's logins over HTTP."""

from __future__ import annotations

import pytest
import websockets
from fakedist import probe
from harness import running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    probe(site, "one")
    config = {"plugins": {"one": {"enabled": True}}}
    with running(tmp_path_factory.mktemp("server"), config, env={"PYTHONPATH": str(site)}) as server:
        server.add_users({"ann": "admin", "vic": "viewer"})
        yield server


@pytest.fixture
def ann(server):
    with server.client("ann") as client:
        yield client


async def test_logins_are_listed_with_what_they_hold_open_and_can_be_ended(server, ann) -> None:
    cookie = server.cookie("vic")
    async with websockets.connect(f"{server.ws_url}/one/echo", additional_headers={"Cookie": cookie}) as socket:
        await socket.send("a")
        assert await socket.recv() == "a"
        found = ann.get("/api/core/admin/sessions", params={"user": "vic"}).json()
        [row] = [row for row in found["sessions"] if row["connections"]]
        assert (row["user"], row["role"], row["connections"], row["current"]) == ("vic", "viewer", {"one": 1}, False)
        assert ann.delete(f"/api/core/sessions/{row['id']}").status_code == 204
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4001
    after = ann.get("/api/core/admin/sessions", params={"user": "vic"}).json()
    assert row["id"] not in {one["id"] for one in after["sessions"]}


def test_everybodys_are_paged(server, ann) -> None:
    with server.client("vic"):
        whole = ann.get("/api/core/admin/sessions").json()
        assert {"ann", "vic"} <= {row["user"] for row in whole["sessions"]}
        assert [row["current"] for row in whole["sessions"]].count(True) == 1
        one = ann.get("/api/core/admin/sessions", params={"limit": 1, "offset": 1}).json()
        assert [row["id"] for row in one["sessions"]] == [whole["sessions"][1]["id"]]
        assert one["total"] == whole["total"] >= 2


def test_they_are_for_administrators(server, ann) -> None:
    with server.client("vic") as vic:
        assert vic.get("/api/core/admin/sessions").status_code == 403
    assert ann.get("/api/core/admin/sessions", params={"user": "none"}).status_code == 404
    assert ann.get("/api/core/admin/sessions", params={"limit": 0}).status_code == 422
