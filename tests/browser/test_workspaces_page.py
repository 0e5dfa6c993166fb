"""MCP workspaces in front of people: made, used, changed and deleted in the page; over real MCP servers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from harness import Server
from playwright.sync_api import Page, expect
from realparts.mcpservers.parts import HERE, everything

PHONE = {"width": 360, "height": 640}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """ann and bob are operators, vic is a viewer."""
    plugin = {"enabled": True, "programs": [str(HERE)], "keep_arguments": "full"}
    config = {"plugins": {"mcp": plugin}, "limits": {"enabled": False}}
    server = Server(tmp_path_factory.mktemp("workspaces"), config)
    server.add_users({"ann": "operator", "bob": "operator", "vic": "viewer"})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def server(place: Server) -> Server:
    return place


def make(server: Server, user: str, workspace: str, **upstream: object) -> int:
    """A workspace with one server."""
    with server.client(user) as api:
        token = api.get("/api/auth/csrf").json()["csrf_token"]
        api.headers["X-CSRF-Token"] = token
        made = api.post("/api/v1/workspaces", json={"name": workspace})
        assert made.status_code == 201, made.text
        number = int(made.json()["data"]["id"])
        if upstream:
            added = api.post(f"/api/v1/workspaces/{number}/upstreams", json=upstream)
            assert added.status_code == 201, added.text
    return number


def test_a_workspace_from_its_beginning_to_its_end(place: Server, sign_in, faults) -> None:
    page = sign_in("ann", "/console/workspaces")
    expect(page.get_by_text("You have no workspaces")).to_be_visible()

    # By keyboard alone; what is wrong with a name is told while it is typed.
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Name")).to_be_focused()
    page.keyboard.type("my project")
    expect(dialog.get_by_role("alert").filter(has_text="Letters, digits")).to_be_visible()
    expect(dialog.get_by_role("button", name="Make it")).to_be_disabled()
    page.keyboard.press("Control+a")
    page.keyboard.type("Terminal")
    expect(dialog.get_by_text("This name is reserved")).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.type("garden")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="garden")).to_be_visible()
    expect(page.get_by_text(f"{place.url}/ws/garden/mcp", exact=True)).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Nothing runs")).to_be_visible()

    tools_of_a_workspace(page)
    calls_of_a_workspace(page)

    # The list tells how it is, without starting anything.
    page.get_by_role("navigation", name="Places").get_by_role("link", name="Workspaces").click()
    expect(page.get_by_text("1 server, 20 tools")).to_be_visible()
    expect(page.locator(".mark.running")).to_be_visible()

    # Deleted only by its name, and had back.
    page.get_by_role("link", name="garden", exact=True).click()
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Delete this workspace").click()
    button = page.get_by_role("dialog").get_by_role("button", name="Delete it")
    page.keyboard.type("gard")
    expect(button).to_be_disabled()
    page.keyboard.type("en")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Deleted: garden.")).to_be_visible()
    expect(page.get_by_text("You have no workspaces")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Restored: garden")).to_be_visible()
    expect(page.get_by_role("link", name="garden", exact=True)).to_be_visible()
    assert [fault for fault in faults if "422" not in fault and "404" not in fault] == []


def tools_of_a_workspace(page: Page) -> None:
    """They are found, tried, and it is told what went wrong and where."""
    page.get_by_role("link", name="Tools", exact=True).click()
    expect(page.get_by_role("heading", name="Tools (20)")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("git stat")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="git_status")).to_be_focused()
    expect(page.get_by_text("read only")).to_be_visible()
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("status").filter(has_text="Done in")).to_be_visible()
    expect(page.locator(".result")).to_contain_text("main")

    use(page, "write_file")
    expect(page.get_by_text("destructive", exact=True)).to_be_visible()
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Fill this in.")).to_be_visible()
    expect(page.get_by_label("path (needed)")).to_be_focused()
    page.keyboard.type("beds/roses.txt")
    page.get_by_label("content (needed)").focus()
    page.keyboard.type("red/\nwhite\n")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_label("Result", exact=True)).to_contain_text('"created": true')

    use(page, "read_file")
    page.get_by_label("path (needed)").fill("beds/roses.txt")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Result", exact=True)).to_contain_text("red/\\nwhite\\n")

    # A tool that fails has answered; parameters that do not fit never reached it.
    page.get_by_label("path (needed)").fill("nowhere.txt")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The tool says that it failed")).to_be_visible()
    page.get_by_role("button", name="Write it as JSON").click()
    page.get_by_label("Parameters, as JSON").fill('{"path": 7}')
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("The tool could not be used")).to_be_visible()
    page.get_by_role("button", name="Fill in a form").click()
    expect(page.get_by_label("path (needed)")).to_have_value("7")


def use(page: Page, tool: str) -> None:
    page.get_by_role("link", name="All tools").click()
    page.get_by_label("Search tools").fill(tool)
    page.get_by_role("link", name=tool, exact=True).click()


def calls_of_a_workspace(page: Page) -> None:
    """Newest first, and only those that are wanted."""
    page.get_by_role("link", name="Calls", exact=True).click()
    rows = page.locator("table.calls tbody tr")
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text("Not let through")
    expect(rows.nth(1)).to_contain_text("Tool failed")
    expect(rows.nth(3)).to_contain_text("write_file")
    expect(rows.nth(3)).to_contain_text("You")
    page.get_by_label("Outcome").select_option("Tool failed")
    expect(rows).to_have_count(1)
    page.get_by_label("Outcome").select_option("All")
    page.get_by_label("Tool", exact=True).fill("git_status")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/calls\?tool=git_status$"))


def test_what_clients_are_told(place: Server, sign_in) -> None:
    number = make(place, "ann", "clients")
    page = sign_in("ann", f"/console/workspaces/{number}", permissions=["clipboard-read", "clipboard-write"])
    url = f"{place.url}/ws/clients/mcp"
    page.get_by_role("button", name="Copy the address").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == url
    panel = page.get_by_role("tabpanel")
    expect(panel).to_contain_text("promptString")
    page.get_by_role("tab", name="VS Code").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Claude Code")).to_be_focused()
    expect(panel).to_contain_text("${MOORAGE_API_KEY}")
    page.get_by_label("By OAuth").check()
    expect(panel).not_to_contain_text("MOORAGE_API_KEY")
    text = page.get_by_label("Configuration for .mcp.json").text_content() or ""
    assert json.loads(text) == {"mcpServers": {"clients": {"type": "http", "url": url}}}

    page.get_by_role("button", name="Make an API key").click()
    secret = page.get_by_label("The key “MCP clients”").input_value()
    page.get_by_role("button", name="I have stored it").click()
    expect(page.get_by_label("The key “MCP clients”")).to_have_count(0)
    with place.client() as api:
        api.headers["Authorization"] = f"Bearer {secret}"
        assert api.get("/api/v1/mcp/tools", params={"workspace_id": number}).status_code == 200
        assert api.get("/api/v1/users").status_code == 403


def test_servers_of_ones_own(place: Server, sign_in, faults) -> None:
    number = make(place, "bob", "own")
    page = sign_in("bob", f"/console/workspaces/{number}/servers")
    page.get_by_role("button", name="Add a server").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("things")
    dialog.get_by_label("Program and its arguments").fill("\n".join(everything()))
    dialog.get_by_role("button", name="Add a secret").click()
    page.keyboard.type("TOKEN")
    dialog.get_by_label("Value of TOKEN").fill("hush")
    dialog.get_by_text("Names, rules, and more").click()
    dialog.get_by_label("Tools that are not").fill("slow*\nclient")
    dialog.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("Added: things.")).to_be_visible()
    expect(page.get_by_text("things__")).to_be_visible()

    # A secret is never told again, and stays when something else is changed.
    page.get_by_role("button", name="Change things").click()
    expect(dialog.get_by_label("Value of TOKEN")).to_have_value("")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Changed: things.")).to_be_visible()
    page.get_by_role("link", name="Tools", exact=True).click()
    page.get_by_label("Search tools").fill("things__")
    expect(page.get_by_role("link", name="things__echo", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="things__client", exact=True)).to_have_count(0)
    page.get_by_role("link", name="things__environment", exact=True).click()
    page.get_by_label("name (needed)").fill("TOKEN")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Text", exact=True)).to_have_text("hush")

    # Pictures, numbers, and what is more than a form can show.
    use(page, "things__test_image_content")
    page.get_by_role("button", name="Run").click()
    picture = page.get_by_role("img", name="A picture")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") == 1
    use(page, "things__add")
    page.get_by_label("a (needed)").fill("one")
    page.get_by_label("b (needed)").fill("2.5")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This is no number.")).to_be_visible()
    page.get_by_label("a (needed)").fill("1")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Result", exact=True)).to_contain_text("3.5")

    # A server that cannot start is told as such, and is switched off.
    page.get_by_role("link", name="Servers", exact=True).click()
    expect(page.get_by_text("things", exact=True).locator("xpath=..").locator(".mark.running")).to_be_visible()
    page.get_by_role("button", name="Change things").click()
    dialog.get_by_label("Program and its arguments").fill("no-such-program")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Changed: things.")).to_be_visible()
    page.get_by_role("link", name="Tools", exact=True).click()
    page.get_by_role("link", name="Servers", exact=True).click()
    expect(page.get_by_text("Failing")).to_be_visible()
    page.get_by_role("button", name="Switch off things").click()
    expect(page.get_by_text("things is off now.")).to_be_visible()
    page.get_by_role("button", name="Restart all").click()
    expect(page.get_by_text("Restarted:")).to_be_visible()
    page.get_by_role("button", name="Remove things").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("Removed: things.")).to_be_visible()

    # Rules of the whole workspace.
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_label("Tools that are allowed").fill("git_*")
    page.get_by_label("Tools that are not").fill("git_reset")
    page.get_by_label("Calls per minute").fill("git_log thirty")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("is no limit")).to_be_visible()
    page.get_by_label("Calls per minute").fill("git_log 30")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. It counts at once.")).to_be_visible()
    page.get_by_role("link", name="Tools", exact=True).click()
    expect(page.get_by_role("link", name="git_status", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="git_reset", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="read_file", exact=True)).to_have_count(0)
    assert [fault for fault in faults if "exception" in fault or "Refused" in fault] == []


def test_a_call_is_cancelled(place: Server, sign_in) -> None:
    number = make(place, "bob", "slowly", name="things", kind="stdio", command=everything(), prefix="t_")
    page = sign_in("bob", f"/console/workspaces/{number}/tools?tool=t_slow")
    page.get_by_label("seconds (needed)").fill("60")
    page.get_by_label("steps (needed)").fill("60")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled after")).to_be_visible()
    page.get_by_role("link", name="Calls", exact=True).click()
    expect(page.locator("table.calls tbody tr").first).to_contain_text("Cancelled")


def test_what_somebody_may_not_is_not_offered(place: Server, sign_in) -> None:
    number = make(place, "vic", "watching")
    other = make(place, "bob", "bobs")
    page = sign_in("vic", f"/console/workspaces/{number}/servers")
    page.get_by_role("button", name="Add a server").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("option", name="An address (Streamable HTTP)")).to_be_attached()
    expect(dialog.get_by_role("option", name="A program")).to_have_count(0)
    dialog.get_by_label("Name", exact=True).fill("inside")
    dialog.get_by_role("textbox", name="Address").fill("http://127.0.0.1:9/mcp")
    dialog.get_by_role("button", name="Add it").click()
    expect(dialog.get_by_role("alert")).not_to_be_empty()
    page.goto(f"{place.url}/console/workspaces/{other}")
    expect(page.get_by_role("heading", name="There is no such workspace")).to_be_visible()


def test_on_a_phone(place: Server, sign_in) -> None:
    number = make(place, "vic", "pocket-" + "x" * 80)
    page = sign_in("vic", "/console/workspaces", viewport=PHONE)
    for path in ("", f"/{number}", f"/{number}/servers", f"/{number}/tools", f"/{number}/tools?tool=write_file"):
        page.goto(f"{place.url}/console/workspaces{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("Loading…")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    page.get_by_label("path (needed)").fill("a/" + "long" * 40)
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".result")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for tab in ("calls", "settings"):
        page.goto(f"{place.url}/console/workspaces/{number}/{tab}")
        expect(page.get_by_role("heading", level=2).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, tab
