"""The first page and the frame as one's own: beginning, what needs care, actions, the folded bar, the colours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from fakedist import probe
from harness import Server, running
from playwright.sync_api import Page, expect
from realparts.tmux import TmuxServer

SICK = """
@hookimpl
async def moorage_startup(self, hub):
    raise RuntimeError("no such device")
"""
WIDE = {"viewport": {"width": 1280, "height": 800}}
DARK, LIGHT = "rgb(20, 24, 28)", "rgb(246, 247, 248)"


@pytest.fixture(scope="module")
def tmux() -> Iterator[TmuxServer]:
    tmux = TmuxServer()
    tmux.new_session("deploy")
    yield tmux
    tmux.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tmux: TmuxServer) -> Iterator[Server]:
    """One for all tests here; a plugin of it does not start, and bob remembers something."""
    site = tmp_path_factory.mktemp("site")
    probe(site, "sick", body=SICK)
    config = {
        "plugins": {
            "tmux": {"enabled": True, "mount": "/tmux", "socket_name": tmux.socket_name},
            "chat": {"enabled": True},
            "memories": {"enabled": True, "semantic": False},
            "sick": {"enabled": True},
        }
    }
    with running(tmp_path_factory.mktemp("server"), config, env={"PYTHONPATH": str(site)}) as server:
        server.add_users({"ada": "admin", "bob": "operator", "vic": "viewer"})
        with server.client("bob") as bob:
            assert bob.post("/api/memories", json={"content": "The *hose* is in the shed"}).status_code in (200, 201)
        yield server


def side(page: Page) -> str:
    return str(page.evaluate("document.documentElement.dataset.side"))


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


# -- the first page -------------------------------------------------------------------------------------------------


def test_each_place_has_what_one_has_and_what_one_may_begin(server, sign_in, faults) -> None:
    page = sign_in("bob")
    main = page.get_by_role("main")
    expect(main.get_by_text("One thing runs now.")).to_be_visible()
    expect(main.get_by_role("region").first).to_contain_text("deploy")
    memory = main.get_by_role("region", name="Memories").get_by_role("link", name="The *hose* is in the shed")
    expect(memory).to_contain_text("this minute")
    main.get_by_role("link", name="New terminal").click()
    expect(page.get_by_role("dialog", name="New terminal")).to_be_visible()
    assert page.url == server.url + "/console/terminals", "a reload does not ask again"
    page.keyboard.press("Escape")
    page.go_back()
    memory.click()
    expect(page.get_by_role("listitem").filter(has_text="The *hose* is in the shed")).to_be_visible()
    # Nothing is offered that may not be done.
    vic = sign_in("vic")
    expect(vic.get_by_role("region", name="Chat")).to_be_visible()
    expect(vic.get_by_role("main").get_by_role("link", name="New terminal")).to_have_count(0)
    assert faults == []


def test_who_looks_after_the_server_is_told_what_needs_care(server, sign_in, faults) -> None:
    ada = sign_in("ada")
    care = ada.get_by_role("region", name="Needs care")
    expect(care).to_contain_text("no such device")
    care.get_by_role("link", name="sick").click()
    expect(ada).to_have_title(re.compile("sick"))
    expect(ada.get_by_role("heading", name="First steps")).to_have_count(0)
    bob = sign_in("bob")
    expect(bob.get_by_role("region", name="Memories")).to_be_visible()
    expect(bob.get_by_role("region", name="Needs care")).to_have_count(0)
    assert faults == []


def test_a_new_server_says_what_comes_first(tmp_path, browser) -> None:
    with running(tmp_path, {}) as empty:
        empty.add_user("olga", role="owner")
        page = browser.new_page()
        page.goto(empty.url)
        page.get_by_label("Username or e-mail").fill("olga")
        page.get_by_label("Password").fill("correct horse battery")
        page.keyboard.press("Enter")
        steps = page.get_by_role("region", name="First steps")
        expect(steps.get_by_role("listitem")).to_have_count(3)
        expect(steps).to_contain_text("tmux")
        expect(steps.get_by_role("link", name="Invite")).to_have_attribute("href", "/console/admin/invites")
        steps.get_by_role("button", name="Put away").click()
        page.reload()
        expect(page.get_by_role("heading", name="Home")).to_be_visible()
        expect(page.get_by_role("link", name="Plugins").first).to_be_visible()
        expect(steps).to_have_count(0)
        page.close()


def test_times_are_of_the_readers_zone(server, sign_in, faults) -> None:
    page = sign_in("bob", timezone_id="Asia/Kathmandu", locale="en-GB")
    for path in ("/", "/console/account"):
        page.goto(server.url + path)
        time = page.get_by_role("main").locator("time[datetime]" if path == "/" else "time").first
        expect(time).to_have_attribute("title", re.compile(r"\d"))
        shown = datetime.strptime(str(time.get_attribute("title")), "%d/%m/%Y, %H:%M:%S")
        there = datetime.now(ZoneInfo("Asia/Kathmandu")).replace(tzinfo=None)
        assert 0 <= (there - shown).total_seconds() < 3600
    assert faults == []


# -- the search -----------------------------------------------------------------------------------------------------


def test_the_search_offers_what_was_used_last_and_does_things(server, sign_in, faults) -> None:
    page = sign_in("bob", **WIDE)
    dialog = page.get_by_role("dialog", name="Search")
    options = dialog.get_by_role("option")
    page.keyboard.press("Control+k")
    expect(dialog.get_by_role("group", name="Last used").get_by_role("option").first).to_contain_text("deploy")
    page.keyboard.type("hose")
    expect(options).to_have_count(1)
    expect(options.locator("mark")).to_have_text(["hose"])
    dialog.get_by_role("combobox").fill("new mem")
    expect(options).to_have_text(["New memory"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="New memory")).to_be_visible()
    page.keyboard.press("Escape")
    for words, name, value in (("dark", "theme", "dark"), ("fold", "side", "folded")):
        page.keyboard.press("Control+k")
        page.keyboard.type(words)
        expect(options.first).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator("html")).to_have_attribute(f"data-{name}", value)
    page.keyboard.press("Control+k")
    page.keyboard.type("device")
    expect(options).to_have_text(["Let a device in by its code"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sign in a device")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("sign o")
    expect(options).to_have_text(["Sign out"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert faults == []


def test_administrators_find_users_and_plugins(server, sign_in, faults) -> None:
    page = sign_in("ada")
    page.keyboard.press("Control+k")
    page.keyboard.type("bob")
    dialog = page.get_by_role("dialog", name="Search")
    expect(dialog.get_by_role("group", name="Users").get_by_role("option")).to_contain_text(["bob"])
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("bob"))
    assert faults == []


# -- the frame ------------------------------------------------------------------------------------------------------


def test_the_side_bar_folds_and_a_terminal_has_its_room(server, sign_in, faults) -> None:
    page = sign_in("bob", "/console/terminal/deploy", **WIDE)
    button = page.get_by_role("button", name="Side bar")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".xterm-rows")).to_be_attached()
    page.get_by_role("button", name="Take control").click()
    expect(page.get_by_role("status")).to_contain_text("You type here")
    columns = "document.querySelector('main.terminal').clientWidth"
    before = int(page.evaluate(columns))
    cells = page.locator(".xterm-screen")
    page.wait_for_function("() => document.querySelector('.xterm-screen').clientWidth > 800")
    narrow = cells.evaluate("box => box.clientWidth")
    button.click()
    expect(button).to_have_attribute("aria-expanded", "false")
    assert int(page.evaluate(columns)) - before > 140
    page.wait_for_function("narrow => document.querySelector('.xterm-screen').clientWidth > narrow + 100", arg=narrow)
    # The places open over the page; Escape gives the keyboard back.
    menu = page.get_by_role("button", name="Menu, now at Terminals")
    menu.click()
    expect(page.get_by_role("navigation", name="Places").get_by_role("link", name="Chat")).to_be_visible()
    menu.press("Escape")
    expect(page.get_by_role("navigation", name="Places")).to_be_hidden()
    expect(menu).to_be_focused()
    # It is folded before anything is drawn.
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => window.early = document.documentElement.dataset.side)"
    )
    page.goto(server.url)
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    assert page.evaluate("window.early") == "folded"
    button.click()
    expect(page.get_by_role("link", name="Moorage")).to_be_visible()
    assert side(page) == "open"
    assert faults == []


def test_the_colours_are_the_systems_unless_the_reader_chooses(server, sign_in, faults) -> None:
    page = sign_in("bob", "/console/terminal/deploy", color_scheme="dark", **WIDE)
    choice = page.get_by_label("Colours")
    letters = page.locator(".xterm-rows")
    expect(letters).to_have_css("color", "rgb(214, 220, 225)")
    assert background(page) == DARK
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert background(page) == LIGHT
    expect(letters).to_have_css("color", "rgb(36, 41, 47)")
    choice.select_option("Dark")
    assert background(page) == DARK
    expect(letters).to_have_css("color", "rgb(214, 220, 225)")
    page.reload()
    expect(choice).to_have_value("dark")
    assert background(page) == DARK
    choice.select_option("System")
    assert background(page) == LIGHT
    assert faults == []


def test_a_phone_has_room_for_fingers(server, sign_in, faults) -> None:
    page = sign_in("ada", viewport={"width": 360, "height": 740}, has_touch=True)
    expect(page.get_by_role("region", name="Needs care")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Menu").tap()
    expect(page.get_by_label("Colours")).to_be_attached()
    small = """() => [...document.querySelectorAll('header :is(a, button, select), .part :is(a.button, a.card)')]
        .filter(one => one.checkVisibility() && !one.matches('.brand'))
        .map(one => [one.textContent, one.getBoundingClientRect().height]).filter(([, height]) => height < 39.5)"""
    assert page.evaluate(small) == []
    assert faults == []
