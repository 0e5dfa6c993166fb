"""What one person makes and another sees of it, or does not: sessions, conversations, workspaces, memories, voice."""

from __future__ import annotations

import re
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from harness import Server
from playwright.sync_api import Page, expect
from realparts.llm import Hang
from wholehouse import House

Come = Callable[..., Page]
SENTENCE = "Stop the running container and delete the session."


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the browser's microphone plays; it is read anew each time that it is opened."""
    return tmp_path_factory.mktemp("microphone") / "said.wav"


@pytest.fixture(scope="module")
def browser_arguments(microphone: Path) -> list[str]:
    return ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}"]


@pytest.fixture
def server(house: House) -> Server:
    return house.server


def find(page: Page, text: str):
    """The dialog of the search of everything, in which this was asked for and answered."""
    page.keyboard.press("Control+k")
    dialog = page.get_by_role("dialog", name="Search")
    with page.expect_response(re.compile("/api/console/search")):
        dialog.get_by_role("combobox").fill(text)
    return dialog


def look_again(page: Page) -> None:
    """As somebody who comes back to the tab."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def real(faults: list[str], *asked_for: str) -> list[str]:
    return [fault for fault in faults if not any(word in fault for word in asked_for)]


def test_a_session_is_seen_among_everybodys_and_ended_by_another(house: House, come: Come, faults) -> None:
    project = house.project("orchard", README="apples\n")
    ada, ann = come("ada", "/console/admin/running"), come("ann", "/console/sessions")
    expect(ada.get_by_role("heading", name="Running")).to_be_visible()
    ann.get_by_role("button", name="New session").click()
    ann.get_by_label("Folder of the project").fill(str(project))
    ann.keyboard.press("Enter")
    expect(ann.get_by_role("heading", name="orchard")).to_be_visible()
    expect(ann.get_by_role("status").filter(has_text="Running")).to_be_visible()

    # In the administrator's list without a reload, with whose it is; not among the administrator's own.
    row = ada.get_by_role("row").filter(has_text="orchard")
    expect(row).to_contain_text("ann")
    row.get_by_role("button", name="End the coding session orchard of ann").click()
    ada.get_by_role("dialog", name="End orchard?").get_by_role("button", name="End it").click()
    expect(ann.get_by_role("status").filter(has_text="Stopped")).to_be_visible()
    expect(ada.get_by_text("Ended: orchard.")).to_be_visible()
    expect(row).to_have_count(0)
    # For good on its own page.
    ada.goto(ann.url)
    ada.get_by_role("button", name="Delete orchard").click()
    ada.get_by_role("button", name="Delete it").click()
    expect(ann.get_by_role("heading", name="orchard was deleted")).to_be_visible()
    expect(ann.get_by_role("alert")).to_contain_text("An administrator ended it, or you did elsewhere.")
    assert (project / "README").exists()
    ann.get_by_role("link", name="Your sessions").click()
    expect(ann.get_by_text("You have no sessions")).to_be_visible()
    assert real(faults, "404") == []


def test_an_answer_goes_on_over_a_reload_and_only_a_link_shows_it_to_another(house: House, come: Come, faults) -> None:
    house.llm.clear()
    house.llm.script("estuary", Hang("An estuary is where", then=" a **river** meets the sea."))
    ann, bob = come("ann", "/console/chat/new"), come("bob", "/console/chat")
    ann.get_by_label("Message", exact=True).fill("What is an estuary?")
    ann.keyboard.press("Enter")
    said = ann.get_by_role("article", name="Model")
    expect(said).to_contain_text("An estuary is where")
    expect(ann).to_have_url(re.compile(r"/console/chat/\d+$"))
    ann.reload()
    expect(said).to_contain_text("An estuary is where")
    # It is ann's alone: not in the other's list, not by its address, not by a search.
    expect(bob.get_by_role("navigation", name="Conversations")).to_be_visible()
    expect(bob.get_by_role("link", name="What is an estuary?")).to_have_count(0)
    address = ann.url
    bob.goto(address)
    expect(bob.get_by_role("heading", name="There is no such conversation")).to_be_visible()
    expect(find(bob, "estuary").get_by_role("status")).to_contain_text("Nothing of yours")
    house.llm.release()
    expect(said.locator("strong")).to_have_text("river")
    expect(ann.get_by_role("button", name="Send")).to_be_visible()

    ann.get_by_role("button", name="About this conversation").click()
    dialog = ann.get_by_role("dialog")
    dialog.get_by_role("button", name="Make a link").click()
    link = dialog.get_by_label("Link", exact=True).input_value()
    bob.goto(link)
    expect(bob.get_by_text("a river meets the sea.")).to_be_visible()
    expect(bob.get_by_role("textbox", name="Message")).to_have_count(0)
    dialog.get_by_role("button", name="Take the link back").click()
    expect(dialog.get_by_text("The link leads nowhere any more.")).to_be_visible()
    bob.reload()
    expect(bob.get_by_role("heading", name="Nothing is shared here")).to_be_visible()
    ann.keyboard.press("Escape")
    ann.get_by_role("link", name="Home").first.click()
    expect(find(ann, "estuary").get_by_role("option").filter(has_text="What is an estuary?").first).to_be_visible()
    assert real(faults, "404") == []


def test_a_workspace_is_made_and_tried_and_is_not_for_another(house: House, come: Come, faults) -> None:
    ann, bob = come("ann", "/console/workspaces"), come("bob", "/console/workspaces")
    ann.get_by_role("button", name="New workspace").click()
    ann.get_by_role("dialog").get_by_label("Name").fill("boathouse")
    ann.keyboard.press("Enter")
    expect(ann.get_by_role("heading", name="boathouse")).to_be_visible()
    ann.get_by_role("link", name="Tools", exact=True).click()
    ann.get_by_role("link", name="write_file", exact=True).click()
    ann.get_by_label("path (needed)").fill("boats.txt")
    ann.get_by_label("content (needed)").fill("three")
    ann.get_by_role("button", name="Run").click()
    expect(ann.get_by_label("Result", exact=True)).to_contain_text('"created": true')

    expect(bob.get_by_text("You have no workspaces")).to_be_visible()
    bob.goto(ann.url)
    expect(bob.get_by_role("heading", name="There is no such workspace")).to_be_visible()
    expect(bob.get_by_role("main")).to_contain_text("somebody else's")
    expect(find(bob, "boathouse").get_by_role("status")).to_contain_text("Nothing of yours")
    assert real(faults, "403", "404") == []


def test_memories_are_each_persons_own(house: House, come: Come, faults) -> None:
    pages = {}
    for who, said in (("ann", "The lighthouse key hangs in the pantry"), ("bob", "The lighthouse lamp needs oil")):
        page = pages[who] = come(who, "/console/memories")
        page.get_by_role("button", name="New memory").click()
        page.get_by_role("dialog").get_by_label("What is to be remembered").fill(said)
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("Remembered.")).to_be_visible()
    for who, own, other in (("ann", "pantry", "oil"), ("bob", "oil", "pantry")):
        page = pages[who]
        page.get_by_role("searchbox").fill("lighthouse")
        expect(page.get_by_text("Found one")).to_be_visible()
        expect(page.locator("li.memory")).to_contain_text(own)
        # The search of everything keeps them apart as well.
        dialog = find(page, "lighthouse")
        expect(dialog.get_by_role("option").filter(has_text=own)).to_be_visible()
        expect(dialog.get_by_role("option").filter(has_text=other)).to_have_count(0)
    assert real(faults) == []


def test_what_one_says_aloud_is_typed_and_answered_while_another_works(
    house: House, come: Come, microphone: Path, faults
) -> None:
    with house.server.client("ann") as api:
        voice = api.get("/api/features").json()["voice"]
        spoken = api.post("/voice/v1/audio/speech", json={"model": "x", "input": SENTENCE, "voice": "af_heart"})
    assert spoken.is_success, spoken.text
    assert voice["stt_url"]
    sound = (np.frombuffer(spoken.content[44:], "<f4") * 32767).astype("<i2")
    with wave.open(str(microphone), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        pause = np.zeros(12_000, "<i2")
        file.writeframes(np.concatenate([pause, sound, np.zeros(60 * 24_000, "<i2")]).tobytes())
    ann, bob = come("ann", "/console/chat/new", permissions=["microphone"]), come("bob", "/console/chat/new")
    ann.get_by_role("button", name="Speak", exact=True).click()
    field = ann.get_by_label("Message", exact=True)
    expect(field).to_have_value(re.compile("container.*session", re.IGNORECASE))
    bob.get_by_label("Message", exact=True).fill("I only type")
    bob.keyboard.press("Enter")
    expect(bob.get_by_role("article", name="Model")).to_contain_text("You said: I only type")
    ann.get_by_role("button", name="Stop listening").click()
    expect(ann.get_by_role("button", name="Speak", exact=True)).to_be_visible()
    ann.get_by_role("button", name="Send", exact=True).click()
    expect(ann.get_by_role("article", name="Model")).to_contain_text(re.compile("You said: .*container", re.IGNORECASE))
    assert real(faults) == []
