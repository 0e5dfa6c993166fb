"""Whatever others call things is text on every page that shows it: it runs nothing, asks nobody, leads nowhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import pytest
from fakedist import install
from harness import Server
from lettingin import Program
from playwright.sync_api import Dialog, Frame, Page, Request, expect
from realparts.mcpservers.parts import HERE
from wholehouse import House, whole_house

PASSWORD = "correct horse battery"
MARK = "zzevil"
"""Stands in every hostile text: a page that does not show it tests nothing."""
ELSEWHERE = "elsewhere.invalid"
IMAGE = f'"><img src=//{ELSEWHERE}/i onerror=hit=1>'
EVIL = f"{MARK}{IMAGE}</script><script>hit=1</script>"
NAME = f"{MARK}{IMAGE}"
"""Where little room is."""
SHORT = f"{MARK}<img src=x onerror=hit=1>"
FILE = f"{MARK}<img src=x onerror=hit=1>.md"
MARKDOWN = f"""{EVIL}

[a](javascript:hit=1) <a href="javascript:hit=1">b</a> ![c](//{ELSEWHERE}/c.png) ![d](https://{ELSEWHERE}/d.png)
[e](data:text/html,<script>hit=1</script>) <javascript:hit=1>
[f]( java&#115;cript:hit=1) <iframe src="javascript:hit=1">

```html"onload="hit=1
{EVIL}
```
"""
PLUGIN = """
from moorage.api import *

class Config(PluginConfig):
    note: str = ""

class Evil(Plugin):
    manifest = Manifest(name="evil", version="1.0", summary=EVIL, mounts=("/evil",), config=Config, dialect=PROBLEM)

    @hookimpl
    def moorage_pages(self):
        return [Page("p", EVIL[:100], "/p.js")]

    @hookimpl
    async def moorage_overview(self, actor, limit):
        return [Entry(EVIL, EVIL, href, EVIL, live=True) for href in HREFS]

    @hookimpl
    async def moorage_search(self, actor, query, limit):
        return [Entry(EVIL, EVIL, href, EVIL) for href in HREFS]
"""


def sent(answer: httpx.Response) -> Any:
    assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text[:500]}"
    return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, opencode_binary: Path, identity_provider) -> Iterator[House]:
    identity_provider.tell()
    folder = tmp_path_factory.mktemp("house")
    hrefs = ["/console/x", "/api/me", f"/@{ELSEWHERE}", "/javascript:hit=1"]
    install(folder / "site", "evil", f"EVIL = {EVIL!r}\nHREFS = {hrefs!r}\n{PLUGIN}", cls="Evil")
    more = {
        "accounts": {"providers": {"corp": {"label": NAME}}},
        "plugins": {"evil": {"enabled": True, "note": EVIL}, "chat": {"providers": {"scripted": {"name": NAME}}}},
    }
    with whole_house(folder, opencode_binary, identity_provider, more) as house:
        yield house


@pytest.fixture(scope="module")
def server(house: House) -> Server:
    return house.server


@pytest.fixture(scope="module")
def bobs(house: House) -> dict[str, str]:
    """The addresses of Bob's pages, where he called everything something hostile."""
    print_all = f"printf '\\033]2;{EVIL}\\007\\033]8;;javascript:hit=1\\007{MARK}\\033]8;;\\007'; exec cat"
    house.tmux.new_session(SHORT, print_all)
    house.tmux.run("rename-window", "-t", f"={SHORT}:", EVIL)
    project = house.project(SHORT)
    (project / FILE).write_text(EVIL)
    session = house.session("bob", project)
    workspace = house.made("bob", "/api/v1/workspaces", {"name": "evil"})["data"]["id"]
    command = [sys.executable, str(HERE / "hostile.py"), EVIL]
    upstream = {"name": "evil", "kind": "stdio", "command": command}
    house.made("bob", f"/api/v1/workspaces/{workspace}/upstreams", upstream)
    talk = house.conversation("bob", NAME, ("user", MARKDOWN), ("assistant", MARKDOWN))
    house.memory("bob", MARKDOWN, category=SHORT, tags=[SHORT])
    with house.client("bob") as bob:
        sent(bob.put("/api/me", json={"display_name": NAME}))
        sent(bob.post("/api/v1/api-keys", json={"name": NAME}))
        sent(bob.post(f"/tmux/api/sessions/{quote(SHORT)}/recording"))
        shared = sent(bob.post(f"/conversations/{talk}/share", json={}))
        call = {"workspace_id": workspace, "tool": "evil__evil", "parameters": {EVIL: EVIL}}
        sent(bob.post("/api/v1/mcp/invoke", json=call))
    with house.client("ada") as ada:
        sent(ada.post("/api/admin/invite-codes", json={"role": "viewer", "note": NAME}))
    with httpx.Client(base_url=house.url, headers={"User-Agent": NAME}) as anybody:
        anybody.post("/api/auth/login", json={"username": EVIL[:60], "password": EVIL})
        sent(anybody.post("/api/auth/login", json={"username": "bob", "password": PASSWORD}))
        device = sent(anybody.post("/api/auth/device/code", json={"client_id": NAME}))
    program = Program(house.server, resource=f"{house.url}/ws/evil/mcp")
    for wrong in (
        {"client_uri": "javascript:hit=1"},
        {"redirect_uris": ["javascript:hit=1"]},
        {"redirect_uris": ["data:,x"]},
    ):
        assert program.register(client_name=NAME, **wrong).status_code == 400, wrong
    sent(program.register(client_name=NAME))
    return {
        "home": "/",
        "terminals": "/console/terminals",
        "terminal": f"/console/terminal/{quote(SHORT)}",
        "recordings": "/console/recordings",
        "session": f"/console/sessions/{session}",
        "files": f"/console/sessions/{session}/files",
        "servers": f"/console/workspaces/{workspace}/servers",
        "tools": f"/console/workspaces/{workspace}/tools",
        "tool": f"/console/workspaces/{workspace}/tools?tool=evil__evil",
        "calls": f"/console/workspaces/{workspace}/calls",
        "conversation": f"/console/chat/{talk}",
        "memories": "/console/memories",
        "account": "/console/account",
        "consent": f"/console/authorize?{urlencode(program.query())}",
        "device": f"/console/device?user_code={device['user_code']}",
        "shared": urlsplit(shared["url"]).path,
    }


ADMIN = {
    "users": "users",
    "logins": "sessions",
    "invites": "invites",
    "running": "running",
    "plugin": "plugins/evil",
}


class Watched:
    """What a page did besides showing text."""

    def __init__(self, page: Page, url: str) -> None:
        self.did: list[str] = []
        self.url = url
        page.context.on("request", self.asked)
        page.context.on("page", lambda other: self.did.append(f"opened {other.url}"))
        page.on("dialog", self.asked_by_dialog)
        page.on("framenavigated", self.went)
        page.on("console", lambda said: self.did.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.did.append(f"threw {error}"))

    def asked(self, request: Request) -> None:
        # Of this server, too: a picture or a document that a name became.
        if not request.url.startswith((f"{self.url}/", "data:")) or request.resource_type in ("image", "document"):
            self.did.append(f"asked for the {request.resource_type} {request.url}")

    def went(self, frame: Frame) -> None:
        if frame.parent_frame is not None or not frame.url.startswith(f"{self.url}/"):
            self.did.append(f"went to {frame.url}")

    def asked_by_dialog(self, dialog: Dialog) -> None:
        self.did.append(f"opened a dialog: {dialog.message}")
        dialog.dismiss()


# What a hostile name could have made, had it become more than text: elements of its own, handlers, addresses that run.
MADE = """() => [
  ...[...document.querySelectorAll("a[href]")].map((one) => one.href)
    .filter((href) => !/^(https?|mailto):/.test(href) && !href.startsWith("data:application/octet-stream;")),
  ...[...document.querySelectorAll("main :is(iframe, object, embed, base, script, [onerror], [onload])")]
    .map((one) => one.outerHTML),
  ...[...document.images].map((one) => one.src).filter((src) => !/^(data|blob):/.test(src)),
  ...("hit" in window ? ["a script ran"] : []),
]"""

UNTRUSTED = (
    "() => { try { document.body.innerHTML = '<b>x</b>'; return 'taken'; } catch (error) { return error.name; } }"
)


def visit(page: Page, path: str) -> None:
    """As by a link of the page."""
    page.evaluate("path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }", path)


def test_names_are_text_on_every_page(house: House, bobs: dict[str, str], come: Callable[..., Page]) -> None:
    found: dict[str, list[str]] = {}
    with house.client("olga") as olga:
        # Newest first; what was called so is in its details.
        told = [one["action"] for one in olga.get("/api/core/admin/audit").json()["events"] if MARK in str(one["data"])]
    admins = {"audit": f"/console/admin/audit?action={told[0]}"} | {
        name: f"/console/admin/{path}" for name, path in ADMIN.items()
    }
    for who, paths in (("bob", bobs), ("olga", admins)):
        page = come(who)
        expect(page.get_by_role("heading", name="Home")).to_be_visible()
        watched = Watched(page, house.url)
        for name, path in paths.items():
            watched.did.clear()
            visit(page, path)
            if name == "audit":
                page.get_by_role("button", name="Details").first.click()
            expect(page.get_by_role("main").get_by_text(MARK).first, name).to_be_attached()
            found[name] = page.evaluate(MADE) + watched.did
        page.keyboard.press("Control+k")
        page.keyboard.type(MARK)
        expect(page.get_by_role("option").filter(has_text=MARK).first).to_be_visible()
        found[f"search of {who}"] = page.evaluate(MADE) + watched.did
    assert {name: did for name, did in found.items() if did} == {}


def test_nothing_of_somebody_stays_in_the_tab_when_they_sign_out(house: House, come: Callable[..., Page]) -> None:
    page = come("bob", "/console/chat/new")
    page.get_by_role("textbox", name="Message").fill("a secret draft")
    assert "a secret draft" in page.evaluate("JSON.stringify(sessionStorage)")
    assert page.evaluate(UNTRUSTED) == "TypeError"
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0
    page.get_by_role("link", name="Home").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    for secret in ("a secret", MARK, "mses_", "mcp_", "mshare_", "eyJ"):
        assert secret not in kept, kept
    page.go_back()
    expect(page.get_by_label("Password")).to_be_visible()
    assert "bob" not in page.inner_text("body")
