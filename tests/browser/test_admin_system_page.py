"""Plugins, metrics and roles in front of operators; a plugin switched off under somebody's live terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from fakedist import probe
from harness import Server, running
from playwright.sync_api import Locator, Page, expect
from realparts.tmux import TmuxServer

ROLES = {
    "watcher": {"includes": "viewer", "grants": ["core:plugin:read", "core:metrics:read"]},
    "helper": {"includes": "viewer", "grants": ["core:audit:read"], "denies": ["core:key:create"]},
}
PHONE = {"viewport": {"width": 360, "height": 640}}
SECRET = "s3cret-of-far"


@pytest.fixture(scope="module")
def terminals() -> Iterator[TmuxServer]:
    made = TmuxServer()
    if reason := made.missing():
        pytest.skip(reason)
    made.new_session("work")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, terminals: TmuxServer) -> Iterator[Server]:
    """ann is an admin, bob types, wim may look. The plugin `needy` is blocked, `fixed` is on by the environment."""
    site = tmp_path_factory.mktemp("site")
    for name in ("mendable", "fixed", "idle"):
        probe(site, name)
    probe(site, "needy", manifest='requires=("idle",),')
    far = {"base_url": "http://127.0.0.1:9/v1", "api_key": {"env": "FAR_KEY"}}
    plugins = {
        "tmux": {"enabled": True, "mount": "/tmux", "socket_name": terminals.socket_name},
        "chat": {"enabled": True, "providers": {"far": far}},
        "needy": {"enabled": True},
        "fixed": {"enabled": False},
        "mendable": {"enabled": True, "greeting": "aye"},
    }
    env = {"PYTHONPATH": str(site), "FAR_KEY": SECRET, "MOORAGE__PLUGINS__FIXED__ENABLED": "true"}
    folder = tmp_path_factory.mktemp("server")
    with running(folder, {"plugins": plugins, "access": {"roles": ROLES}}, env=env) as server:
        server.add_users({"ann": "admin", "bob": "operator", "wim": "watcher", "vic": "viewer"})
        yield server


@pytest.fixture(scope="module")
def logins(server: Server) -> dict[str, list[dict[str, str]]]:
    """Cookies of everybody: hashing a password takes longer than opening a page."""
    found = {}
    for name in ("ann", "bob", "wim", "vic"):
        with server.client(name) as client:
            found[name] = [{"name": cookie.name, "value": cookie.value or ""} for cookie in client.cookies.jar]
    return found


@pytest.fixture
def enter(open_page, server, logins) -> Callable[..., Page]:
    """`enter(name, path, **context options)`: a page of somebody who is signed in."""

    def enter_as(name: str, path: str, **options: object) -> Page:
        cookies = [{**cookie, "domain": "127.0.0.1", "path": "/"} for cookie in logins[name]]
        return open_page(path, storage_state={"cookies": cookies, "origins": []}, **options)

    return enter_as


@pytest.fixture
def ann(server: Server) -> Iterator[httpx.Client]:
    """The configuration is as it was at the start, also when a test before did not come to its end."""
    before = server.config_file.read_bytes()
    with server.client("ann") as client:
        yield client
        server.config_file.write_bytes(before)
        assert client.post("/api/core/reload").is_success


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))


def press(page: Page, name: str) -> None:
    """A button, then the one of the same name in the dialog that asks."""
    page.get_by_role("button", name=name).click()
    page.get_by_role("dialog").get_by_role("button", name=name).click()


def test_a_plugin_is_switched_off_under_a_live_terminal_and_on_again(enter, server, ann, faults) -> None:
    bob = enter("bob", "/console/terminal/work")
    expect(bob.locator(".xterm-rows").first).to_contain_text("$")
    page = enter("ann", "/console/admin/plugins/tmux")
    terminals_link = page.get_by_role("link", name="Terminals", exact=True)
    expect(terminals_link).to_be_attached()
    expect(page).to_have_title(re.compile("^Plugin tmux"))
    expect(page.get_by_text("1 open connection of 1 user", exact=True)).to_be_visible()
    page.get_by_role("button", name="Switch off").click()
    dialog = page.get_by_role("dialog", name="Switch off tmux?")
    expect(dialog).to_contain_text("1 open connection of 1 user will be closed")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Switch off")).to_be_focused()

    press(page, "Switch off")
    expect(page.get_by_role("status").filter(has_text="Switched off: tmux.")).to_be_focused()
    expect(page.get_by_role("button", name="Switch on")).to_be_visible()
    expect(terminals_link).to_have_count(0)
    assert "enabled = false" in server.config_file.read_text().split("[plugins.tmux]")[1]
    expect(bob.get_by_text("switched terminals off")).to_be_visible()

    press(page, "Switch on")
    expect(page.get_by_role("status").filter(has_text="Switched on: tmux.")).to_be_visible()
    expect(terminals_link).to_be_attached()
    # At once, and not after the pause that has grown.
    bob.evaluate("window.dispatchEvent(new Event('online'))")
    expect(bob.get_by_text("switched terminals off")).to_have_count(0)
    bob.keyboard.press("Enter")
    expect(bob.get_by_role("status").filter(has_text="You type here")).to_be_visible()
    bob.keyboard.type("echo back-$((6*7))\n")
    expect(bob.locator(".xterm-rows").first).to_contain_text("back-42")
    assert [fault for fault in faults if not any(word in fault for word in ("404", "503", "WebSocket"))] == []


def test_what_is_wrong_with_a_plugin_is_told_and_mended(enter, ann, faults) -> None:
    page = enter("ann", "/console/admin/plugins?state=unwell")
    expect(page.get_by_role("rowheader")).to_have_text(["needy"])
    expect(row(page, "needy")).to_contain_text("idle")
    page.get_by_role("navigation", name="Plugins by state").get_by_role("link", name="Running").click()
    expect(row(page, "mendable")).to_contain_text("A probe")
    expect(row(page, "needy")).to_have_count(0)
    page.go_back()
    page.get_by_role("link", name="needy").click()
    expect(page.get_by_role("heading", name="Plugin needy")).to_be_visible()
    expect(page.get_by_text("Give it what it misses")).to_be_visible()
    page.get_by_role("link", name="idle").click()
    expect(page.get_by_role("heading", name="Plugin idle")).to_be_visible()
    press(page, "Switch on")
    expect(page.get_by_role("status").filter(has_text="Switched on: idle.")).to_be_visible()
    # What needed it is tried again, and needs it from now on.
    expect(page.get_by_text("Needed by")).to_be_visible()
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("dialog")).to_contain_text("These plugins need it, and stop as well: needy.")
    page.get_by_role("dialog").get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("status").filter(has_text="Switched off: idle.")).to_contain_text("Not well: needy")
    page.get_by_role("status").get_by_role("link", name="needy").click()
    expect(page.get_by_role("heading", name="Plugin needy")).to_be_visible()
    assert faults == []


def test_a_wrong_setting_is_told_and_the_former_one_stays(enter, server, ann, faults) -> None:
    page = enter("ann", "/console/admin/plugins/mendable")
    expect(page.get_by_text("Runs", exact=True)).to_be_visible()
    before = server.config_file.read_text()
    server.config_file.write_text(before.replace('greeting = "aye"', 'greeting = "aye"\nsize = "big"'))
    page.get_by_role("link", name="All plugins").click()
    press(page, "Reload")
    expect(page.get_by_role("status").filter(has_text="Not well")).to_contain_text("mendable")
    page.get_by_role("status").get_by_role("link", name="mendable").click()
    expect(page.get_by_text("It goes on with its former settings")).to_be_visible()
    # The whole file is wrong: the dialog says why, and stays.
    server.config_file.write_text(before + "\n[nonsense]\n")
    press(page, "Reload")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("nonsense")
    box, size = page.get_by_role("dialog").bounding_box(), page.viewport_size
    assert box is not None
    assert size is not None
    assert abs(box["x"] + box["width"] / 2 - size["width"] / 2) < 2
    assert abs(box["y"] + box["height"] / 2 - size["height"] / 2) < 2
    server.config_file.write_text(before)
    page.get_by_role("dialog").get_by_role("button", name="Reload").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("It goes on with its former settings")).to_have_count(0)
    assert [fault for fault in faults if "409" not in fault] == []


def test_a_switch_that_is_refused_says_what_to_do(enter, faults) -> None:
    page = enter("ann", "/console/admin/plugins/fixed")
    press(page, "Switch off")
    alert = page.get_by_role("dialog").get_by_role("alert")
    expect(alert).to_contain_text("MOORAGE__PLUGINS__FIXED__ENABLED")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Runs", exact=True)).to_be_visible()
    page.goto(page.url.replace("fixed", "none"))
    expect(page.get_by_role("heading", name="There is no plugin none")).to_be_visible()
    assert [fault for fault in faults if "409" not in fault and "404" not in fault] == []


def test_settings_show_where_they_come_from_and_no_secrets(enter, faults) -> None:
    page = enter("ann", "/console/admin/plugins/chat")
    settings = page.get_by_role("table", name="Settings")
    key = settings.get_by_role("row").filter(has_text="providers.far.api_key")
    expect(key.first).to_be_visible()
    page.get_by_label("Only what somebody has set").check()
    expect(settings.get_by_role("row").filter(has_text="providers.far.base_url")).to_contain_text("moorage.toml:")
    expect(settings.get_by_text("default", exact=True)).to_have_count(0)
    page.get_by_label("Find a setting").fill("ENABLED")
    expect(settings.get_by_role("rowheader")).to_have_text(["enabled"])
    page.reload()
    expect(settings.get_by_role("rowheader")).to_have_text(["enabled"])
    page.get_by_label("Find a setting").fill("zeppelin")
    expect(page.get_by_text("No setting is like this")).to_be_visible()
    expect(page.get_by_role("table", name="Permissions").get_by_text("chat:model:use")).to_be_visible()
    assert SECRET not in page.content()
    assert faults == []


def test_roles_are_explained_and_compared(enter, faults) -> None:
    page = enter("ann", "/console/admin/roles")
    expect(page.get_by_role("heading", name="What admin may do")).to_be_visible()
    row(page, "helper").get_by_role("link").click()
    expect(page.get_by_role("heading", name="What helper may do")).to_be_visible()
    audit = page.get_by_role("row").filter(has_text="core:audit:read")
    expect(audit).to_contain_text("Read the audit log")
    page.get_by_label("Say why").check()
    expect(audit).to_contain_text("granted by 'core:audit:read' in [access.roles.helper]")
    expect(page.get_by_role("row").filter(has_text="core:key:create")).to_have_count(0)
    page.get_by_role("link", name="Show what it may not, too").click()
    expect(page.get_by_role("row").filter(has_text="core:key:create")).to_contain_text("no")

    page.get_by_label("Compare with").select_option("viewer")
    expect(page.get_by_role("status").filter(has_text="They differ in 2 of")).to_be_visible()
    key = page.get_by_role("row").filter(has_text="core:key:create")
    expect(key.get_by_role("cell")).to_have_text(["core:key:create", "no", "one's own"])
    page.get_by_role("link", name="The other way round").click()
    expect(key.get_by_role("cell")).to_have_text(["core:key:create", "one's own", "no"])
    expect(page.get_by_role("heading", name="viewer and helper")).to_be_visible()

    page.get_by_label("Who").fill("bob")
    page.get_by_role("combobox", name="What").select_option("core:user:read")
    page.get_by_label("With the things of").fill("vic")
    page.get_by_role("button", name="Ask").click()
    answer = page.get_by_role("status").filter(has_text="bob (operator)")
    expect(answer).to_contain_text("No")
    expect(answer).to_contain_text("nothing grants core:user:read:any")
    page.get_by_label("With the things of").fill("")
    page.get_by_role("button", name="Ask").click()
    expect(answer).to_contain_text("Yes")
    # The address holds the question.
    page.reload()
    expect(answer).to_contain_text("Yes")
    page.get_by_label("Who").fill("nobody")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert").filter(has_text="There is no such user")).to_be_visible()
    assert [fault for fault in faults if "404" not in fault] == []


def test_figures_are_drawn_read_off_and_listed(enter, server, faults) -> None:
    page = enter("ann", "/console/admin/metrics")
    requests = page.get_by_role("figure", name="Requests", exact=True)
    # The first comes five seconds after the start, each further one five seconds later.
    expect(requests.locator("path.line").last).to_have_attribute("d", re.compile(r"^M[\d.]+ [\d.]+h0.*L"))
    expect(page.get_by_role("figure")).to_have_count(8)
    expect(page.get_by_role("figure", name="Memory").locator(".legend")).to_contain_text("MiB")
    expect(page.get_by_role("meter", name="Memory of the machine")).to_be_visible()
    expect(page.get_by_text("No workload of a session is known")).to_be_visible()
    read = requests.get_by_role("slider")
    read.focus()
    newest = read.get_attribute("aria-valuetext")
    page.keyboard.press("Home")
    expect(read).to_have_attribute("aria-valuenow", "0")
    expect(read).not_to_have_attribute("aria-valuetext", newest or "")
    expect(requests.locator(".moment")).to_have_count(1)
    expect(page.get_by_role("figure", name="Memory").locator(".moment")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(requests.locator(".moment")).to_have_count(0)

    page.get_by_role("link", name="Table", exact=True).click()
    table = page.get_by_role("table", name="Figures by the minute")
    expect(table.get_by_role("row").nth(1)).to_contain_text("MiB")
    page.reload()
    expect(table).to_be_visible()
    assert faults == []


def test_who_may_only_look_is_offered_no_switch_and_others_see_nothing(enter, faults) -> None:
    wim = enter("wim", "/console/admin/plugins/chat")
    expect(wim.get_by_role("table", name="Settings")).to_be_visible()
    expect(wim.get_by_role("button", name="Switch off")).to_have_count(0)
    vic = enter("vic", "/console/admin/plugins/chat")
    expect(vic.get_by_role("heading", name="Not for you")).to_be_visible()
    assert faults == []


@pytest.mark.parametrize(
    "path", ["plugins", "plugins/chat", "roles", "roles?role=helper&with=admin", "metrics", "metrics?as=table"]
)
def test_on_a_phone(enter, path: str, faults) -> None:
    page = enter("ann", f"/console/admin/{path}", **PHONE)
    expect(page.get_by_role("main").get_by_role("table").or_(page.get_by_role("figure")).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert faults == []
