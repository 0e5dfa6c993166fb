"""Memories in front of people: written down, found, changed, forgotten, taken out and brought in by the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness import Server
from playwright.sync_api import Page, expect
from realparts.llm import Call, Llm, Say

ROLES = {"reader": {"grants": ["memories:memory:view"]}}
CAT = "The cat is called Miezi & sleeps <b>on</b> the boiler"


@pytest.fixture(scope="module")
def llm() -> Iterator[Llm]:
    provider = Llm()
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, llm: Llm) -> Iterator[Server]:
    """ann and bea are operators; rita may read only."""
    chat = {"enabled": True, "providers": {"scripted": {"base_url": llm.url, "name": "Scripted"}}}
    config = {"plugins": {"memories": {"enabled": True}, "chat": chat}, "access": {"roles": ROLES}}
    server = Server(tmp_path_factory.mktemp("memories"), config)
    server.add_users({"ann": "operator", "bea": "operator", "rita": "reader"})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def ann(server: Server) -> Iterator[httpx.Client]:
    yield from forgetful(server, "ann")


@pytest.fixture
def bea(server: Server) -> Iterator[httpx.Client]:
    yield from forgetful(server, "bea")


def forgetful(server: Server, user: str) -> Iterator[httpx.Client]:
    """A user's client; nothing is remembered of them."""
    with server.client(user) as client:
        while found := client.get("/api/memories", params={"limit": 100}).json()["memories"]:
            for memory in found:
                assert client.delete(f"/api/memories/{memory['id']}").is_success
        yield client


def remember(client: httpx.Client, *contents: str, store: str = "default") -> None:
    lines = "".join(json.dumps({"content": content}) + "\n" for content in contents)
    answer = client.post("/api/memories/import", params={"store": store}, content=lines.encode())
    assert answer.is_success, answer.text


def rows(page: Page):
    return page.locator("li.memory")


def test_a_memory_from_its_beginning_to_its_end(server: Server, ann: httpx.Client, sign_in, faults) -> None:
    page = sign_in("ann")
    page.get_by_role("navigation", name="Places").get_by_role("link", name="Memories").click()
    expect(page.get_by_text("Nothing is remembered yet")).to_be_visible()
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog", name="New memory")
    expect(dialog.get_by_label("What is to be remembered")).to_be_focused()
    page.keyboard.type(CAT)
    dialog.get_by_label("Category").fill("pets")
    dialog.get_by_label("Tags").fill("cat, home,, cat")
    dialog.get_by_label("Importance").fill("8")
    dialog.get_by_label("What is to be remembered").press("Control+Enter")
    expect(page.get_by_text("Remembered.")).to_be_visible()
    row = rows(page).filter(has_text=CAT)
    expect(row).to_contain_text("#home")
    expect(row).to_contain_text("importance 8")
    (kept,) = ann.get("/api/memories").json()["memories"]
    assert (kept["content"], kept["category"], kept["tags"], kept["importance"]) == (CAT, "pets", ["cat", "home"], 8)

    row.get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog", name="Change the memory")
    text = dialog.get_by_label("What is to be remembered")
    expect(text).to_have_value(CAT)
    text.fill("  ")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("empty")
    text.fill("The cat moved out")
    dialog.get_by_label("Tags").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    row = rows(page).filter(has_text="The cat moved out")
    expect(row).to_contain_text("pets")
    expect(row).not_to_contain_text("#home")

    row.get_by_role("button", name="Forget").click()
    page.get_by_role("button", name="Keep").press("Escape")
    expect(row).to_be_visible()
    row.get_by_role("button", name="Forget").click()
    page.get_by_role("button", name="Forget it").click()
    expect(page.get_by_text("Nothing is remembered yet")).to_be_visible()
    assert ann.get("/api/memories").json()["total"] == 0
    assert [fault for fault in faults if "400" not in fault and "422" not in fault] == []


def test_found_by_words_in_one_store_or_all(server: Server, ann: httpx.Client, sign_in, faults) -> None:
    remember(ann, CAT, "The boiler is serviced in May", "Ann was born in Kiel")
    remember(ann, "Boil the jars before filling them", store="kitchen")
    page = sign_in("ann", "/console/memories")
    expect(rows(page)).to_have_count(4)
    page.keyboard.press("/")
    page.keyboard.type("boiler")
    page.get_by_label("Search by").select_option(label="All of the words")
    expect(page.get_by_text("Found 2, by all of the words")).to_be_visible()
    expect(rows(page)).to_have_count(2)
    assert "q=boiler" in page.url
    page.get_by_role("searchbox").fill("boiler May")
    expect(page.get_by_text("Found one")).to_be_visible()
    expect(rows(page)).to_contain_text("serviced")
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("boiler May")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("searchbox").fill("zeppelin")
    expect(page.get_by_text("Nothing was found")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    expect(rows(page)).to_have_count(4)

    page.get_by_label("Store").select_option("kitchen")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("jars")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="New memory").click()
    expect(page.get_by_role("dialog").get_by_label("Store")).to_have_value("kitchen")
    page.keyboard.type("Salt the water")
    page.keyboard.press("Control+Enter")
    expect(rows(page)).to_have_count(2)
    assert ann.get("/api/memories", params={"store": "kitchen"}).json()["total"] == 2
    assert faults == []


def test_what_others_write_comes_up(server: Server, bea: httpx.Client, sign_in) -> None:
    """A model, say."""
    page = sign_in("bea", "/console/memories")
    page.clock.install()
    page.reload()
    expect(page.get_by_text("Nothing is remembered yet")).to_be_visible()
    remember(bea, "Written elsewhere")
    page.clock.run_for(20_000)
    expect(rows(page)).to_have_count(1)


def test_a_model_remembers_and_its_user_reads_it(server: Server, bea: httpx.Client, sign_in, llm: Llm, faults) -> None:
    llm.script("Tea, please", Call("remember", {"content": "Bea drinks tea"}), Say("I will **remember** that."))
    page = sign_in("bea", "/console/chat/new")
    page.get_by_role("button", name="Options").click()
    page.get_by_role("dialog").get_by_label("Memories", exact=True).check()
    page.get_by_role("button", name="Use these").click()
    page.get_by_role("textbox", name="Message").fill("Tea, please")
    page.keyboard.press("Enter")
    expect(page.locator("strong", has_text="remember")).to_be_visible()
    page.get_by_role("navigation", name="Places").get_by_role("link", name="Memories").click()
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("Bea drinks tea")
    assert faults == []


def test_taken_out_and_brought_in_by_another(
    server: Server, ann: httpx.Client, bea: httpx.Client, sign_in, faults, tmp_path: Path
) -> None:
    remember(ann, *[f"Number {number}" for number in range(60)])
    page = sign_in("ann", "/console/memories")
    expect(rows(page)).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(rows(page)).to_have_count(10)
    expect(page.get_by_text("51–60 of 60")).to_be_visible()
    page.get_by_role("link", name="Newer").click()
    expect(rows(page)).to_have_count(50)
    with page.expect_download() as coming:
        page.get_by_role("link", name="Export").click()
    file = tmp_path / "memories.jsonl"
    coming.value.save_as(file)
    assert len(file.read_text().splitlines()) == 60

    page = sign_in("bea", "/console/memories")
    page.get_by_label("Import").set_input_files(file)
    expect(page.get_by_text("Brought in: 60 memories.")).to_be_visible()
    expect(rows(page)).to_have_count(50)
    expect(page.get_by_label("Import")).to_be_enabled()
    page.get_by_label("Import").set_input_files(file)
    expect(page.get_by_text("Brought in: 0 memories; 60 were there already.")).to_be_visible()
    expect(page.get_by_label("Import")).to_be_enabled()
    file.write_text('{"content": "good"}\n{"content": 7}\n')
    page.get_by_label("Import").set_input_files(file)
    expect(page.get_by_role("alert").filter(has_text="ine 2")).to_be_visible()
    assert bea.get("/api/memories").json()["total"] == 60, "none of a file that is wrong"
    assert [fault for fault in faults if "400" not in fault and "422" not in fault] == []


def test_a_long_memory_is_shown_whole_when_asked_for(server: Server, ann: httpx.Client, sign_in) -> None:
    remember(ann, "🦆" * 900 + "the end", "line\n" * 30 + "the end")
    page = sign_in("ann", "/console/memories")
    expect(rows(page)).to_have_count(2)
    for number in range(2):
        row = rows(page).nth(number)
        expect(row).not_to_contain_text("the end")
        row.get_by_role("button", name="All of it").click()
        expect(row).to_contain_text("the end")
        row.get_by_role("button", name="Less").click()
        expect(row).not_to_contain_text("the end")


def test_what_somebody_may_not_is_not_offered(server: Server, sign_in) -> None:
    page = sign_in("rita", "/console/memories")
    expect(page.get_by_text("Nothing is remembered yet")).to_be_visible()
    expect(page.get_by_role("button", name="New memory")).to_have_count(0)
    expect(page.get_by_label("Import")).to_have_count(0)


def test_on_a_phone(server: Server, ann: httpx.Client, sign_in) -> None:
    remember(ann, "x" * 500, "Short", store="a-store-with-a-very-long-name-that-goes-on-and-on-and-on-60")
    page = sign_in("ann", "/console/memories", viewport={"width": 360, "height": 640})
    expect(rows(page)).to_have_count(2)
    for width in (320, 375, 420, 360):
        page.set_viewport_size({"width": width, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="New memory").click()
    expect(page.get_by_label("What is to be remembered")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
