"""What is around every page: the places that somebody may see, the first page, the search, how the server is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fakedist import probe
from harness import Server, running
from playwright.sync_api import Page, expect
from realparts.tmux import TmuxServer

BAD = """
@hookimpl
async def moorage_overview(self, actor, limit):
    raise RuntimeError("secret detail")

@hookimpl
async def moorage_search(self, actor, query, limit):
    raise RuntimeError("secret detail")
"""
SLY = """
@hookimpl
async def moorage_search(self, actor, query, limit):
    if query != "sly":
        return []
    bold, away = Entry("trap", "<b>bold</b>", "/x"), Entry("trap", "away", "/x")
    object.__setattr__(bold, "href", "javascript:document.title='caught'")
    object.__setattr__(away, "href", "//else.example/x")
    return [bold, away]
"""
SICK = """
@hookimpl
async def moorage_startup(self, hub):
    raise RuntimeError("no such device")
"""
PHONE = {"viewport": {"width": 360, "height": 640}, "has_touch": True}


@pytest.fixture(scope="module")
def tmux() -> Iterator[TmuxServer]:
    tmux = TmuxServer()
    yield tmux
    tmux.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tmux: TmuxServer) -> Iterator[Server]:
    """One for all tests here. Of its plugins, one runs and says nothing of what somebody has, one does not start."""
    site = tmp_path_factory.mktemp("site")
    for name, body in (("bad", BAD), ("sly", SLY), ("sick", SICK)):
        probe(site, name, body=body)
    config = {
        "plugins": {
            "tmux": {"enabled": True, "mount": "/tmux", "socket_name": tmux.socket_name},
            "chat": {"enabled": True},
            **{name: {"enabled": True} for name in ("bad", "sly", "sick")},
        }
    }
    with running(tmp_path_factory.mktemp("server"), config, env={"PYTHONPATH": str(site)}) as server:
        server.add_users({"ada": "admin", "bob": "operator", "vic": "viewer"})
        yield server


@pytest.fixture
def terminals(tmux: TmuxServer) -> Iterator[TmuxServer]:
    """Without any session, before and after."""
    tmux.stop()
    yield tmux
    tmux.stop()


def places(page: Page) -> list[str]:
    return page.get_by_role("navigation", name="Places").get_by_role("link").all_inner_texts()


def look_again(page: Page) -> None:
    """As somebody who comes back to the tab: what is asked now and then is asked at once."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


# -- the places -----------------------------------------------------------------------------------------------------


def test_everybody_sees_the_places_that_they_may_use(server, terminals, sign_in, faults) -> None:
    vic = sign_in("vic")
    expect(vic.get_by_role("heading", name="Home")).to_be_visible()
    assert places(vic) == ["Home", "Terminals", "Chat"]
    expect(vic.get_by_role("heading", name="Administration")).to_have_count(0)
    vic.goto(server.url + "/console/admin/users")
    expect(vic.get_by_role("heading", name="Not for you")).to_be_visible()
    expect(vic.get_by_text("Your role, viewer, may not see this page")).to_be_visible()
    ada = sign_in("ada")
    expect(ada.get_by_role("list", name="Administration").get_by_role("link")).to_have_text(
        ["Overview", "Users", "Roles", "Invites", "Logins", "Running", "Plugins", "Metrics", "Audit"]
    )
    assert faults == []


def test_the_present_place_is_marked_and_the_title_names_it(server, terminals, sign_in, faults) -> None:
    terminals.new_session("main")
    page = sign_in("bob")
    here = page.get_by_role("navigation", name="Places").locator("[aria-current=page]")
    expect(here).to_have_text("Home")
    expect(page).to_have_title("Home – Moorage")
    page.get_by_role("link", name="Recordings").first.click()
    expect(page).to_have_title("Recordings – Moorage")
    expect(here).to_have_text("Recordings")
    page.go_back()
    expect(page).to_have_title("Home – Moorage")
    for path, place, title in (
        ("/console", "Home", "Home"),
        ("/console/terminals", "Terminals", "Terminals"),
        ("/console/terminal/main", "Terminals", "main"),
        ("/console/chat/new", "Chat", "Chat"),
    ):
        page.goto(server.url + path)
        expect(here).to_have_text(place)
        expect(page).to_have_title(f"{title} – Moorage")
    page.goto(server.url + "/console/nowhere")
    expect(page).to_have_title("Nothing is here – Moorage")
    expect(here).to_have_count(0)
    assert faults == []


def test_the_keyboard_skips_the_navigation(server, terminals, sign_in, faults) -> None:
    page = sign_in("bob")
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    page.reload()
    # Until it has come, nothing in it takes the focus.
    expect(page.get_by_role("main").get_by_role("link").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip the navigation")).to_be_focused()
    expect(page.get_by_role("link", name="Skip the navigation")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert page.url == server.url + "/"
    assert faults == []


def test_a_phone_folds_the_places_behind_the_name_of_the_present_one(server, terminals, sign_in, faults) -> None:
    page = sign_in("vic", "/console/terminals", **PHONE)
    button = page.get_by_role("button", name="Menu, now at Terminals")
    nav = page.get_by_role("navigation", name="Places")
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(nav).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    button.tap()
    expect(nav).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")
    nav.get_by_role("link", name="Chat").focus()
    page.keyboard.press("Escape")
    expect(nav).to_be_hidden()
    expect(button).to_be_focused()
    # A tap beside it folds it as well, and a place that was chosen.
    button.tap()
    expect(nav).to_be_visible()
    page.touchscreen.tap(180, 630)
    expect(nav).to_be_hidden()
    button.tap()
    nav.get_by_role("link", name="Home").tap()
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    expect(nav).to_be_hidden()
    expect(page.get_by_role("button", name="Menu, now at Home")).to_be_visible()
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_focused()
    page.get_by_role("button", name="Menu").tap()
    page.get_by_role("button", name="Sign out").tap()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert faults == []


# -- the first page -------------------------------------------------------------------------------------------------


def test_the_first_page_shows_what_goes_on_and_where_to_begin(server, terminals, sign_in, faults) -> None:
    page = sign_in("bob")
    main = page.get_by_role("main")
    expect(main.get_by_text("Nothing of yours is going on yet. Begin here")).to_be_visible()
    expect(main.get_by_role("region", name="Chat")).to_contain_text("Conversations with language models")
    # Who does not answer is named, by the title of its place where it has one.
    expect(page.get_by_role("alert")).to_have_text(re.compile("^bad did not answer"))
    assert "secret" not in main.inner_text()
    name = '<img src=x onerror="alert(1)">'
    terminals.new_session(name)
    look_again(page)
    card = main.get_by_role("region", name="Terminals").get_by_role("link", name=name)
    expect(card).to_contain_text("Runs now")
    expect(main.get_by_role("heading", name="Also here")).to_be_visible()
    assert page.locator("img").count() == 0
    # Arrow keys go through what is there.
    page.keyboard.press("ArrowDown")
    expect(card).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    assert faults == []


def test_a_first_page_without_an_answer_says_what_to_do(server, terminals, sign_in) -> None:
    page = sign_in("vic", "/console/account")
    page.route("**/api/console/overview*", lambda route: route.abort())
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("alert")).to_contain_text("Check the connection and try again.")
    page.unroute("**/api/console/overview*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert").filter(has_text="connection")).to_have_count(0)
    expect(page.get_by_text("Begin here")).to_be_visible()


# -- the search -----------------------------------------------------------------------------------------------------


def test_the_search_finds_things_and_places_by_the_keyboard_alone(server, terminals, sign_in, faults) -> None:
    terminals.new_session("quay north")
    terminals.new_session("quay south")
    page = sign_in("bob", "/console/account")
    page.get_by_label("Name that others see").focus()
    page.keyboard.press("Control+k")
    page.keyboard.type("quay")
    dialog = page.get_by_role("dialog", name="Search")
    options = dialog.get_by_role("option")
    expect(dialog.get_by_role("group", name="Terminals").get_by_role("option")).to_contain_text(
        ["quay north", "quay south"]
    )
    expect(dialog.get_by_text("bad did not answer")).to_be_visible()
    expect(options.first).to_have_attribute("aria-selected", "true")
    chosen = dialog.get_by_role("combobox").get_attribute("aria-activedescendant")
    assert chosen == options.first.get_attribute("id")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="quay south")).to_be_visible()
    expect(dialog).to_have_count(0)

    # By "/" where the page has no use for it; a place by the beginning of its name.
    page.goto(server.url + "/console/account")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("rec")
    expect(options).to_have_text([re.compile("^Recordings")])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Recordings")).to_be_visible()
    button = page.get_by_role("button", name="Search")
    button.click()
    page.keyboard.type("no such thing")
    expect(dialog.get_by_role("status")).to_contain_text("Nothing of yours has “no such thing” in it")
    # One Escape empties the field, as in any search, the next one closes.
    dialog.get_by_role("combobox").fill("")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    assert faults == []


def test_the_search_leaves_a_terminal_and_a_pages_own_search_their_keys(server, terminals, sign_in, faults) -> None:
    terminals.new_session("main", "exec bash --norc")
    page = sign_in("bob", "/console/terminal/main")
    screen = page.locator(".xterm-rows")
    expect(screen).to_contain_text("$")
    page.get_by_role("button", name="Take control").click()
    expect(page.get_by_role("status")).to_contain_text("You type here")
    page.keyboard.type("echo gone")
    expect(screen).to_contain_text("echo gone")
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+k")
    page.keyboard.type("echo a/b-$((1+1))\n")
    expect(screen).to_contain_text("a/b-2")
    assert "gone" not in terminals.capture("main"), "the line was cut by the shell, as Ctrl+K does there"
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(server.url + "/console/chat")
    field = page.get_by_role("navigation", name="Conversations").get_by_role("searchbox")
    expect(field).to_be_visible()
    page.get_by_role("link", name="Skip the navigation").focus()
    page.keyboard.press("/")
    expect(field).to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert faults == []


def test_what_is_found_is_text_and_leads_nowhere_else(server, terminals, sign_in, faults) -> None:
    page = sign_in("vic")
    page.keyboard.press("Control+k")
    page.keyboard.type("sly")
    dialog = page.get_by_role("dialog", name="Search")
    trap = dialog.get_by_role("group", name="Trap").get_by_role("option")
    expect(trap).to_have_text(["<b>bold</b>", "away"])
    trap.first.click()
    expect(dialog).to_have_count(0)
    expect(page).to_have_title("Home – Moorage")
    page.keyboard.press("Control+k")
    page.keyboard.type("sly")
    trap.last.click()
    expect(dialog).to_have_count(0)
    assert page.url == server.url + "/"
    page.route("**/api/console/search*", lambda route: route.abort())
    page.keyboard.press("Control+k")
    page.keyboard.type("anything")
    expect(dialog).to_contain_text("Check the connection and try again.")
    assert [fault for fault in faults if "ERR_FAILED" not in fault] == []


# -- administration's overview ----------------------------------------------------------------------------------------


def test_an_administrator_sees_how_the_server_is(server, terminals, sign_in, faults) -> None:
    terminals.new_session("main")
    sign_in("bob", "/console/terminal/main")
    ada = sign_in("ada")
    ada.get_by_role("link", name="Overview").click()
    expect(ada).to_have_title("Administration – Moorage")
    expect(ada.get_by_role("region", name="Health").get_by_role("status")).to_contain_text("a part of it is not well")
    ill = ada.get_by_role("region", name="Plugins").get_by_role("listitem")
    expect(ill).to_have_count(1)
    expect(ill).to_contain_text("no such device")
    assert ill.get_by_role("link", name="sick").get_attribute("href") == "/console/admin/plugins/sick"
    on = ada.get_by_role("region", name="Who is on")
    expect(on.get_by_role("listitem").filter(has_text="bob")).to_contain_text("Connected to tmux")
    expect(on.get_by_role("listitem").filter(has_text="ada")).to_be_visible()
    figures = ada.get_by_role("region", name="The last minutes")
    expect(figures.get_by_text("MiB")).to_be_visible()
    expect(figures.locator("svg path").first).to_have_attribute("d", re.compile("M"))
    expect(ada.get_by_role("list", name="Pages of administration").get_by_role("link")).to_have_count(8)
    ada.set_viewport_size({"width": 360, "height": 640})
    assert ada.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert faults == []
