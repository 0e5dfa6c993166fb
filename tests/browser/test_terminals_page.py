"""The list of terminals in front of people: what it shows, what it offers to whom, and the keyboard."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from harness import Server, running
from playwright.sync_api import expect
from realparts.tmux import TmuxServer

LIST = "/console/terminals"


@pytest.fixture(scope="module")
def shared_tmux() -> Iterator[TmuxServer]:
    tmux = TmuxServer()
    yield tmux
    tmux.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, shared_tmux: TmuxServer) -> Iterator[Server]:
    """One for all tests here; ada is an administrator, bob an operator, vic a viewer."""
    plugin = {"enabled": True, "mount": "/tmux", "socket_name": shared_tmux.socket_name}
    with running(tmp_path_factory.mktemp("terminals"), {"plugins": {"tmux": plugin}}) as server:
        server.add_users({"ada": "admin", "bob": "operator", "vic": "viewer"})
        yield server


@pytest.fixture
def tmux(shared_tmux: TmuxServer) -> Iterator[TmuxServer]:
    """Without any session, before and after."""
    yield shared_tmux
    shared_tmux.stop()


def cards(page):
    return page.locator("a.card strong")


@contextlib.contextmanager
def api(server, name):
    with server.client(name) as client:
        client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrf_token"]
        yield client


def test_a_terminal_is_started_renamed_and_ended(server, tmux, sign_in, faults) -> None:
    page = sign_in("ada", LIST)
    expect(page.get_by_text("No terminal runs")).to_be_visible()
    expect(page.get_by_text(f"tmux -L {tmux.socket_name} new -s main")).to_be_visible()
    page.keyboard.press("n")
    name = page.get_by_role("dialog").get_by_label("Name")
    expect(name).to_be_focused()
    page.get_by_text("Size", exact=True).click()
    page.get_by_label("Columns").fill("100")
    name.fill("first <b>one</b>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="first <b>one</b>")).to_be_visible()
    assert tmux.run("list-sessions", "-F", "#{session_name} #{window_width}") == "first <b>one</b> 100"
    page.get_by_role("link", name="Terminals", exact=True).click()

    page.get_by_role("button", name="Rename or end first").click()
    expect(page.get_by_role("dialog").get_by_label("Name")).to_be_focused()
    # What is typed replaces the name.
    page.keyboard.type("second")
    page.keyboard.press("Enter")
    expect(cards(page)).to_have_text(["second"])
    expect(page.locator("a.card")).to_be_focused()
    tmux.new_session("taken")
    page.get_by_role("button", name="Rename or end second").click()
    page.get_by_role("dialog").get_by_label("Name").fill("taken")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("taken")

    # What would end is named, and the question can be answered with no.
    tmux.run("rename-window", "-t", "second", "editor of ada")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Rename or end second").click()
    expect(page.get_by_role("list", name="What runs in it")).to_contain_text("editor of ada")
    page.get_by_role("button", name="End this terminal").click()
    expect(page.get_by_role("button", name="Keep")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="End this terminal").click()
    page.get_by_role("button", name="End it").click()
    expect(cards(page)).to_have_text(["taken"])
    assert [fault for fault in faults if "400" not in fault and "409" not in fault] == []


def test_what_is_offered_follows_the_rights(server, tmux, sign_in, faults) -> None:
    tmux.new_session("main")
    vic = sign_in("vic", LIST)
    expect(cards(vic)).to_have_text(["main"])
    expect(vic.get_by_role("button", name="New terminal")).to_have_count(0)
    expect(vic.get_by_role("button", name="Rename or end")).to_have_count(0)
    expect(vic.get_by_role("link", name="Recordings")).to_have_count(0)
    bob = sign_in("bob", LIST)
    bob.get_by_role("button", name="Rename or end main").click()
    expect(bob.get_by_role("button", name="Rename", exact=True)).to_be_visible()
    expect(bob.get_by_role("button", name="End this terminal")).to_have_count(0)
    # Rights that change while somebody looks.
    with api(server, "ada") as ada:
        who = next(user["id"] for user in ada.get("/api/users").json()["users"] if user["name"] == "vic")
        assert ada.patch(f"/api/users/{who}/role", json={"role": "operator"}).status_code == 200
        expect(vic.get_by_role("button", name="New terminal")).to_be_visible()
        expect(vic.get_by_role("link", name="Recordings")).to_be_visible()
        assert ada.patch(f"/api/users/{who}/role", json={"role": "viewer"}).status_code == 200
    expect(vic.get_by_role("button", name="New terminal")).to_have_count(0)
    assert faults == []


def test_the_list_shows_who_does_what_and_changes_in_place(server, tmux, sign_in, faults) -> None:
    tmux.new_session("main")
    ada = sign_in("ada", LIST)
    card = ada.get_by_role("link", name="main")
    expect(card).to_contain_text("Nobody is typing")
    card.evaluate("card => { card.same = true }")
    with api(server, "bob") as bob:
        assert bob.post("/tmux/api/sessions/main/claim").status_code == 200
        expect(card).to_contain_text("bob is typing, 30 min left")
        assert bob.post("/tmux/api/sessions/main/recording").status_code == 201
        expect(card).to_contain_text("Being recorded by bob")
        sign_in("vic", "/console/terminal/main")
        expect(card).to_contain_text("Here now: vic")
        assert bob.delete("/tmux/api/sessions/main/recording").status_code == 200
        assert bob.delete("/tmux/api/sessions/main/claim").status_code == 200
    expect(card).to_contain_text("Nobody is typing")
    expect(card).not_to_contain_text("recorded")
    tmux.new_session("other")
    expect(cards(ada)).to_have_text(["main", "other"])
    assert card.evaluate("card => card.same"), "the same element all the time"
    assert faults == []


def test_the_keyboard_goes_through_the_list(server, tmux, sign_in, faults) -> None:
    for number in range(1, 9):
        tmux.new_session(f"s{number}")
    page = sign_in("vic", LIST, viewport={"width": 1200, "height": 700})
    expect(cards(page)).to_have_count(8)
    focused = "document.activeElement.querySelector('strong')?.textContent"
    seen = []
    for key in ("ArrowDown", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "End", "Home"):
        page.keyboard.press(key)
        seen.append(page.evaluate(focused))
    assert seen == ["s1", "s2", "s5", "s4", "s1", "s8", "s1"], "three in a row"
    page.keyboard.press("n")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("s7")
    expect(cards(page)).to_have_text(["s7"])
    page.get_by_label("Filter terminals").fill("nothing like it")
    expect(page.get_by_text("matches “nothing like it”")).to_be_visible()
    page.keyboard.press("Escape")
    expect(cards(page)).to_have_count(8)
    page.keyboard.type("s3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="s3")).to_be_visible()
    assert faults == []


def test_a_phone(server, tmux, sign_in) -> None:
    for number in range(8):
        tmux.new_session(f"a session with quite a long name, number {number}")
    page = sign_in("ada", LIST, viewport={"width": 360, "height": 640}, has_touch=True)
    expect(cards(page)).to_have_count(8)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Rename or end").first.tap()
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360


def test_a_part_of_the_page_that_is_lost_is_not_waited_for(server, tmux, sign_in) -> None:
    """The network was away while a script was fetched: it says so, and goes on where the network is back."""
    page = sign_in("ada", LIST)
    page.route("**/console/assets/page-*.js", lambda route: route.abort())
    page.get_by_role("link", name="ada").click()
    expect(page.get_by_role("alert").filter(has_text="could not be loaded")).to_be_visible()
    page.unroute("**/console/assets/page-*.js")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
