"""A plugin's own page in the console: the example's, as a third party would bring it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Server, running
from playwright.sync_api import expect

HELLO = Path(__file__).parents[2] / "examples/moorage-hello/src"
BROKEN = """
from moorage.api import *
from quart import Response

class Thing(Plugin):
    manifest = Manifest(name="broken", version="1", summary="Its page fails")

    @hookimpl
    def moorage_routes(self, hub):
        return []

    @hookimpl
    def moorage_pages(self):
        return [Page("page", "Broken", "/broken/none.js")]
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    site = tmp_path / "site"
    for name, entry in (("hello", "moorage_hello.plugin:HelloPlugin"), ("broken", "broken_module:Thing")):
        info = site / f"moorage_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: moorage-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[moorage.plugins]\n{name} = {entry}\n")
    (site / "broken_module.py").write_text(BROKEN)
    config = {"plugins": {"hello": {"enabled": True, "mount": "/deep/down"}, "broken": {"enabled": True}}}
    (tmp_path / "server").mkdir()
    with running(tmp_path / "server", config, env={"PYTHONPATH": f"{site}{os.pathsep}{HELLO}"}) as server:
        server.add_user("ann", role="operator")
        yield server


def test_a_plugins_page_is_found_and_works_under_the_policy(server, sign_in, faults) -> None:
    page = sign_in("ann")
    page.get_by_role("navigation", name="Places").get_by_role("link", name="Greetings").click()
    expect(page.get_by_role("heading", name="Greetings of ann")).to_be_visible()
    expect(page).to_have_title("Greetings – Moorage")
    expect(page.get_by_role("status")).to_have_text("There are none yet.")
    page.get_by_label("A greeting of yours").fill("Ahoy <b>there</b>")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_text("Ahoy <b>there</b>")
    page.reload()
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_text("Ahoy <b>there</b>")
    assert faults == []


def test_a_page_that_fails_is_told_and_the_others_work(server, sign_in) -> None:
    page = sign_in("ann", "/console/plugin/broken/page")
    expect(page.get_by_role("alert")).to_contain_text("The page of the plugin broken could not be shown")
    page.get_by_role("link", name="Greetings").click()
    expect(page.get_by_role("heading", name="Greetings of ann")).to_be_visible()
    page.goto(server.url + "/console/plugin/broken/none")
    expect(page.get_by_role("heading", name="Nothing is here")).to_be_visible()
