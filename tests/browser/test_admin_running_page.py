"""What runs of everybody's, in front of an operator: a session of OpenCode, MCP servers, a terminal, an answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import Server
from playwright.sync_api import Locator, Page, expect
from realparts.llm import MODEL, Hang
from waits import PAGE, WAIT
from wholehouse import House, whole_house

RUNNING = "/api/core/admin/running"
SECRET = "A secret of ann's"
PHONE = {"viewport": {"width": 360, "height": 640}}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, opencode_binary) -> Iterator[House]:
    """ann has a session, a workspace whose servers run, and a model that answers her without an end."""
    more = {"access": {"roles": {"watcher": {"includes": "viewer", "grants": ["core:session:read:any"]}}}}
    with whole_house(tmp_path_factory.mktemp("house"), opencode_binary, more=more) as house:
        house.server.add_users({"wim": "watcher"})
        house.tmux.new_session("deploy")
        house.session("ann", house.project("garden", README="Roses.\n"))
        number = house.workspace("ann", "garden-tools")
        house.llm.script("without an end", Hang("So far and"))
        with house.client("ann") as ann:
            tools = ann.get("/api/v1/mcp/tools", params={"workspace_id": number}, timeout=4 * WAIT)
            assert tools.is_success, tools.text
            talk = f"/conversations/{ann.post('/conversations', json={'title': SECRET}).json()['id']}"
            ann.post(f"{talk}/messages", json={"content": "Answer without an end"})
            with ann.stream("POST", f"{talk}/stream", json={}) as answer:
                assert answer.status_code == 200, answer.read()
                house.llm.wait_hanging()
                yield house


@pytest.fixture
def server(house: House) -> Server:
    return house.server


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)


def test_everybodys_are_listed_and_ended_by_who_may(house: House, sign_in, faults) -> None:
    with house.client("wim") as wim, house.client("vic") as vic:
        assert vic.get(RUNNING).status_code == 403
        # Whoever may see logins and no more is told of what people share.
        assert [(one["kind"], one["ending"]) for one in wim.get(RUNNING).json()["running"]] == [("terminal", "")]
        told = wim.post(f"{RUNNING}/end", json={"plugin": "tmux", "kind": "terminal", "id": "deploy"})
        assert told.status_code == 403
    page = sign_in("ada", "/console/admin/running")
    for text in ("garden", "garden-tools", "deploy", f"Answer of {MODEL}"):
        expect(row(page, text).first).to_be_visible()
    expect(row(page, "deploy")).to_contain_text("shared")
    expect(page.get_by_text(SECRET)).to_have_count(0)
    page.get_by_label("Kind").select_option("MCP servers")
    expect(page.get_by_role("rowheader")).to_have_count(1)
    expect(row(page, "garden-tools")).to_contain_text("every")
    page.get_by_label("Kind").select_option("all")
    page.get_by_label("Of the user").fill("ann")
    expect(row(page, "deploy")).to_have_count(0)

    for name, told in (
        (f"answer Answer of {MODEL}", f"Ended: Answer of {MODEL}."),
        ("MCP servers garden-tools", "Ended: garden-tools."),
        ("coding session", "Ended: "),
    ):
        button = page.get_by_role("button", name=f"End the {name}")
        button.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("It is ann's.")
        dialog.get_by_role("button", name="End it").click()
        expect(page.get_by_role("status").filter(has_text=told)).to_be_visible(timeout=2 * PAGE)
        expect(page.get_by_role("heading", name="Running")).to_be_focused()
        expect(button).to_have_count(0)
    expect(page.get_by_text("Nothing like this runs.")).to_be_visible()
    with house.client("ada") as ada, house.client("ann") as ann:
        found = ada.get("/api/core/admin/audit", params={"action": "running.ended"}).json()
        outcomes = [(event["target"].split(":")[0], event["data"]["outcome"]) for event in found["events"]]
        assert [plugin for plugin, outcome in outcomes if outcome == "ended"] == ["opencode", "mcp", "chat"]
        assert [plugin for plugin, outcome in outcomes if outcome != "ended"] == ["tmux"], "who tried is on record"
        assert [one["status"] for one in ann.get("/api/sessions").json()] == ["stopped"]
        gone = ada.post(f"{RUNNING}/end", json={"plugin": "tmux", "kind": "terminal", "id": "none"})
        assert gone.status_code == 404
        assert ada.post(f"{RUNNING}/end", json={"plugin": "none", "kind": "x", "id": "x"}).status_code == 404
        assert ada.get(RUNNING, params={"user": "nobody"}).status_code == 404
    assert [fault for fault in faults if "404" not in fault] == []


def test_of_one_user_and_on_a_phone(house: House, sign_in, faults) -> None:
    with house.client("ada") as ada:
        pid = ada.get("/api/core/admin/users", params={"search": "ann"}).json()["users"][0]["id"]
    page = sign_in("ada", f"/console/admin/users/{pid}", **PHONE)
    expect(page.get_by_role("region", name="What runs for them")).to_be_visible()
    page.goto(f"{house.url}/console/admin/running")
    page.get_by_role("button", name="End the terminal deploy").click()
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    expect(page.get_by_role("status").filter(has_text="Ended: deploy.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert faults == []
