"""Who may come in and what they may do, while both look: invites, logins elsewhere, devices, programs, roles, ends."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from harness import Server
from lettingin import Program, shown, told
from playwright.sync_api import Page, expect
from waits import WAIT
from wholehouse import House

Come = Callable[..., Page]
PASSWORD = "correct horse battery"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
ENDED = "You were signed out: this login was ended"
NUMBERS = itertools.count(1)
"""A test may be repeated: its people have other names then."""


@pytest.fixture
def server(house: House, identity_provider) -> Server:
    identity_provider.tell()
    return house.server


@pytest.fixture
def newcomer(house: House, server: Server, open_page) -> Callable[..., Page]:
    """`newcomer(name, path)`: a browser of somebody who was made just now, and who types their password."""

    def come_as(name: str, path: str = "/") -> Page:
        house.made("olga", "/api/core/admin/users", {"username": name, "role": "operator", "password": PASSWORD})
        page = open_page(path)
        page.get_by_label("Username or e-mail").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        return page

    return come_as


def row(page: Page, text: str):
    return page.get_by_role("row").filter(has_text=text)


def look_again(page: Page) -> None:
    """As somebody who comes back to the tab."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def real(faults: list[str]) -> list[str]:
    """Faults without the refusals that a test asked for: browsers tell of each answer above 399."""
    return [fault for fault in faults if "Failed to load resource" not in fault and "WebSocket" not in fault]


def invite(ada: Page, role: str, note: str) -> str:
    """The path of a new invite's link, which ada makes in her page."""
    ada.get_by_role("navigation", name="Places").get_by_role("link", name="Invites").click()
    ada.get_by_role("button", name="New invite").click()
    dialog = ada.get_by_role("dialog", name="New invite")
    dialog.get_by_label("Role of whoever comes").select_option(role)
    dialog.get_by_label("Note for yourself").fill(note)
    dialog.get_by_role("button", name="Make the invite").click()
    link = ada.get_by_label(re.compile("The link of the new invite")).input_value()
    ada.get_by_role("button", name="Done").click()
    return urlsplit(link).path


def test_whom_an_invite_lets_in_is_seen_by_who_made_it(server: Server, come: Come, open_page, faults) -> None:
    ada, name, note = come("ada"), f"nina{next(NUMBERS)}", f"for the crew {next(NUMBERS)}"
    path = invite(ada, "operator", note)
    expect(row(ada, note)).to_contain_text("0 of 1")
    nina = open_page(path)
    expect(nina.get_by_text("an operator")).to_be_visible()
    nina.get_by_label("Username").fill(name)
    nina.get_by_label("Password", exact=True).fill("a long new password")
    nina.get_by_label("Password, once more").fill("a long new password")
    nina.keyboard.press("Enter")
    expect(nina.get_by_role("heading", name="Home")).to_be_visible()
    expect(row(ada, note)).to_contain_text("1 of 1")

    # Somebody else comes by a login elsewhere, while the list of users is looked at.
    path = invite(ada, "viewer", f"for Pat {next(NUMBERS)}")
    ada.get_by_role("navigation", name="Places").get_by_role("link", name="Users").click()
    expect(row(ada, name)).to_contain_text("operator")
    expect(row(ada, "pat@example.org")).to_have_count(0)
    pat = open_page(path)
    pat.get_by_role("link", name="Continue with Corp").click()
    expect(pat.get_by_role("button", name="Sign out")).to_be_visible()
    expect(row(ada, "pat@example.org")).to_contain_text("viewer")
    # The way in is kept, and the administrator's page is out of reach.
    pat.get_by_role("button", name="Sign out").click()
    expect(pat.get_by_text(ENDED)).to_have_count(0)
    pat.get_by_role("link", name="Continue with Corp").click()
    expect(pat.get_by_role("heading", name="Home")).to_be_visible()
    expect(pat.get_by_role("heading", name="Administration")).to_have_count(0)

    # Deleted while the page is open: it says so, in words, by itself.
    row(ada, "pat@example.org").get_by_role("link").click()
    ada.get_by_role("button", name="Delete…").click()
    dialog = ada.get_by_role("dialog")
    word = dialog.get_by_role("heading").inner_text().removeprefix("Delete ").removesuffix(" for good?")
    dialog.get_by_label("To confirm").fill(word)
    ada.keyboard.press("Enter")
    expect(ada.get_by_role("heading", name="Users", level=1)).to_be_visible()
    expect(pat.get_by_text(ENDED)).to_be_visible()
    expect(pat.get_by_role("link", name="Continue with Corp")).to_be_visible()
    assert real(faults) == []


def test_a_device_is_let_in_by_one_and_seen_and_ended(server: Server, come: Come, faults) -> None:
    asked = httpx.post(
        f"{server.url}/api/auth/device",
        data={"client_id": "boat-cli", "scope": "core:session:read"},
        headers={"User-Agent": "boat-cli/2"},
        timeout=WAIT,
    ).json()
    ann, bob = come("ann", "/console/device"), come("bob", "/console/account")
    ann.get_by_label("The code that the device shows").fill(asked["user_code"])
    ann.keyboard.press("Enter")
    for text in (asked["user_code"], "boat-cli", "core:session:read", "127.0.0.1"):
        expect(ann.get_by_role("main")).to_contain_text(text)
    ann.get_by_role("button", name="Approve").click()
    expect(ann.get_by_role("status")).to_contain_text("Approved.")
    time.sleep(asked["interval"])  # As the server asked the device to.
    form = {"grant_type": GRANT, "device_code": asked["device_code"], "client_id": "boat-cli"}
    token = httpx.post(f"{server.url}/api/auth/device/token", data=form, timeout=WAIT).json()["access_token"]
    assert shown(f"{server.url}/api/core/sessions", token).status_code == 200
    ann.get_by_role("link", name="your account page").click()
    device = ann.get_by_role("listitem").filter(has_text="boat-cli")
    expect(device).to_contain_text("device")
    expect(device).to_contain_text("It may only: List sessions")
    expect(bob.get_by_role("region", name="Where you are signed in").get_by_role("listitem").first).to_be_visible()
    expect(bob.get_by_text("boat-cli")).to_have_count(0)
    device.get_by_role("button", name="End").click()
    device.get_by_role("button", name="End it").click()
    expect(ann.get_by_text("Ended: boat-cli.")).to_be_visible()
    assert shown(f"{server.url}/api/core/sessions", token).status_code == 401
    assert real(faults) == []


def test_a_program_is_let_in_at_ones_own_workspace_alone(house: House, server: Server, come: Come, faults) -> None:
    mine, other = f"quay{next(NUMBERS)}", f"pier{next(NUMBERS)}"
    house.workspace("ann", mine)
    house.workspace("bob", other)
    program = Program(server, resource=f"{server.url}/ws/{mine}/mcp")
    assert program.register(client_name="Helmsman").status_code == 201
    ann, bob = come("ann", f"/oauth/authorize?{urlencode(program.query())}"), come("bob")
    expect(ann.get_by_role("heading", name="Let Helmsman in as you?")).to_be_visible()
    expect(ann.get_by_role("main")).to_contain_text(program.resource)
    gone: list[str] = []
    # The program's own address, which nobody listens at.
    ann.route(f"{program.redirect_uri}**", lambda route: (gone.append(route.request.url), route.abort()))
    with ann.expect_event("requestfailed"):
        ann.get_by_role("button", name="Allow").click()
    token = program.exchange(told(gone[0])["code"]).json()["access_token"]
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
    }
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}

    def at(name: str) -> int:
        return httpx.post(f"{server.url}/ws/{name}/mcp", json=hello, headers=headers, timeout=WAIT).status_code

    assert (at(mine), at(other)) == (200, 401)
    # Whoever has nothing there lets nobody in there.
    bob.goto(f"{server.url}/console/account")
    expect(bob.get_by_role("region", name="Where you are signed in").get_by_role("listitem").first).to_be_visible()
    expect(bob.get_by_text("Helmsman")).to_have_count(0)
    ann.goto(f"{server.url}/console/account")
    entry = ann.get_by_role("listitem").filter(has_text="Helmsman")
    entry.get_by_role("button", name="End").click()
    entry.get_by_role("button", name="End it").click()
    expect(ann.get_by_text("Ended: Helmsman")).to_be_visible()
    assert at(mine) == 401
    assert real(faults) == []


def test_a_role_that_changes_and_a_login_that_ends_bite_in_an_open_page(
    house: House, server: Server, come: Come, newcomer, faults
) -> None:
    house.tmux.new_session(f"slip{next(NUMBERS)}", "exec /bin/sh")
    slip = house.tmux.run("list-sessions", "-F", "#{session_name}").splitlines()[-1]
    name = f"rob{next(NUMBERS)}"
    rob, ada = newcomer(name, f"/console/terminal/{slip}"), come("ada", f"/console/admin/users?search={name}")
    idle = rob.context.new_page()
    idle.goto(f"{server.url}/console/account")
    expect(idle.get_by_role("heading", name="Your account")).to_be_visible()
    rob.get_by_role("button", name="Take control").click()
    expect(rob.get_by_role("status")).to_have_text("You type here")
    row(ada, name).get_by_role("link").click()
    ada.get_by_role("button", name="Change the role…").click()
    ada.get_by_role("dialog").get_by_label("Role").select_option("viewer")
    ada.get_by_role("dialog").get_by_role("button", name="Change the role").click()
    expect(rob.get_by_role("status")).to_have_text("Read-only: nobody types")
    expect(rob.get_by_role("button", name="Take control")).to_have_count(0)
    # What is around the page knows it too, also where nothing of the page itself is told of it.
    for page in (rob, idle):
        expect(page.get_by_role("banner").get_by_role("link", name=f"{name} viewer")).to_be_visible()
        expect(page.get_by_role("link", name="Recordings")).to_have_count(0)

    # More rights than before: the places of administration are there without a reload.
    with house.client("olga") as olga:
        user = olga.get("/api/core/admin/users", params={"search": name}).json()["users"][0]["id"]
        assert olga.patch(f"/api/core/admin/users/{user}", json={"role": "admin"}).is_success
        expect(rob.get_by_role("list", name="Administration").get_by_role("link", name="Users")).to_be_visible()
        look_again(idle)
        expect(idle.get_by_role("list", name="Administration").get_by_role("link", name="Users")).to_be_visible()
        assert olga.patch(f"/api/core/admin/users/{user}", json={"role": "viewer"}).is_success
    idle.get_by_role("link", name="Users").click()
    expect(idle.get_by_role("heading", name="Not for you")).to_be_visible()

    # Their login is ended by somebody else: every page of theirs says it, and they come back to where they were.
    with server.client("olga") as client:
        client.headers["Origin"] = server.url
        logins = client.get("/api/core/admin/sessions", params={"user": name}).json()["sessions"]
        assert [client.delete(f"/api/core/sessions/{one['id']}").status_code for one in logins] == [204] * len(logins)
    for page in (rob, idle):
        expect(page.get_by_role("alert").filter(has_text=ENDED)).to_be_visible()
    rob.get_by_label("Username or e-mail").fill(name)
    rob.get_by_label("Password").fill(PASSWORD)
    rob.keyboard.press("Enter")
    expect(rob.get_by_role("status")).to_have_text("Read-only: nobody types")
    assert real(faults) == []
