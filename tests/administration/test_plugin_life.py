"""Plugins that do not start, or do not end, as they should: switched on and off while the server runs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakedist import probe
from harness import Server, running
from waits import WAIT

SLEEPS = """
@hookimpl
async def moorage_{phase}(self, hub):
    await asyncio.sleep(600)
"""
BREAKS = """
@hookimpl
async def moorage_startup(self, hub):
    raise RuntimeError("the cellar is flooded")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Server:
    site = tmp_path_factory.mktemp("site")
    probe(site, "one")
    probe(site, "broken", body=BREAKS)
    probe(site, "sleeper", body=SLEEPS.format(phase="startup"))
    probe(site, "clinger", body=SLEEPS.format(phase="shutdown"))
    config = {
        "server": {"plugin_start_timeout": 1.0, "plugin_stop_timeout": 1.0},
        "plugins": {"one": {"enabled": True}, "must": {"enabled": False}},
        "limits": {"enabled": False},
    }
    probe(site, "must", body=BREAKS)
    config["plugins"]["must"]["required"] = True
    with running(tmp_path_factory.mktemp("server"), config, env={"PYTHONPATH": str(site)}) as server:
        server.add_users({"ann": "admin", "bea": "admin"})
        yield server


@pytest.fixture
def ann(server):
    with server.client("ann") as client:
        yield client


def switch(client, name: str, to: str) -> dict:
    answer = client.post(f"/api/core/plugins/{name}/{to}")
    assert answer.is_success, answer.text
    return answer.json()


def shown(client, name: str) -> dict:
    return client.get(f"/api/core/plugins/{name}").json()


@pytest.mark.parametrize(("name", "why"), [("broken", "the cellar is flooded"), ("sleeper", "within 1 s")])
def test_one_that_does_not_start_says_why_and_is_not_stuck(server, ann, name: str, why: str) -> None:
    report = switch(ann, name, "enable")
    assert why in report["failed"][name]
    found = shown(ann, name)
    assert (found["state"], found["enabled"]) == ("failed", True)
    assert why in found["reason"]
    assert ann.get(f"/{name}/greet").status_code == 503
    assert ann.get("/one/greet").status_code == 200
    assert switch(ann, name, "disable")["removed"] == [name]
    assert shown(ann, name)["state"] == "disabled"
    assert ann.get(f"/{name}/greet").status_code == 404


def test_one_that_does_not_end_is_left_to_itself_in_time(server, ann) -> None:
    switch(ann, "clinger", "enable")
    assert ann.get("/clinger/greet").status_code == 200
    before = time.monotonic()
    assert switch(ann, "clinger", "disable")["removed"] == ["clinger"]
    assert time.monotonic() - before < WAIT
    assert shown(ann, "clinger")["state"] == "disabled"


def test_a_required_one_that_does_not_start_is_refused_and_all_stays(server, ann) -> None:
    before = server.config_file.read_text()
    refused = ann.post("/api/core/plugins/must/enable")
    assert (refused.status_code, refused.json()["code"]) == (409, "RELOAD_REFUSED")
    assert "the cellar is flooded" in refused.json()["detail"]
    assert server.config_file.read_text() == before
    assert shown(ann, "must")["state"] == "disabled"
    assert ann.get("/one/greet").status_code == 200


def test_two_administrators_at_once_under_load_both_get_what_they_asked_for(server, ann) -> None:
    comment = "# Kept by hand.\n"
    server.config_file.write_text(comment + server.config_file.read_text())
    with server.client("bea") as bea, server.client() as reader, ThreadPoolExecutor(3) as pool:
        asked = pool.submit(lambda: [reader.get("/one/greet").status_code for _ in range(60)])
        for to in ("enable", "disable", "enable"):
            first = pool.submit(switch, ann, "clinger", to)
            second = pool.submit(switch, bea, "clinger", to)
            field = "added" if to == "enable" else "removed"
            assert sorted(len(one.result()[field]) for one in (first, second)) == [0, 1], "one did it, one found it so"
        assert set(asked.result()) == {200}
    assert shown(ann, "clinger")["state"] == "started"
    assert server.config_file.read_text().startswith(comment)
    switch(ann, "clinger", "disable")
