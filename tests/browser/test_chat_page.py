"""Chat in front of people: answers that survive a reload, are seen in two tabs and stopped in either; over a scripted
provider of models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from cable import Cable
from harness import Server
from playwright.sync_api import Page, expect
from realparts.llm import MODEL, Call, Fail, Hang, Llm, Say

PHONE = {"width": 360, "height": 640}
HARM = """# Roses

Some *soft*, **strong**, `code`, ~~gone~~ and a [link](https://example.org/a?b=1&amp;c=2), a [trap](javascript:hit()).

- [x] planted
- watered
  1. in the morning

| Name | Number |
|------|-------:|
| red  | 22     |

```python
def grow(): ...
```

![a rose](https://elsewhere.example/rose.png?said=secret) <img src=x onerror="hit()">

<script>hit()</script>
<style>body { display: none }</style>

&copy; &lt;b&gt; <b onclick="hit()">bold</b> [odd](data:text/html,<script>hit()</script>)
"""


@pytest.fixture(scope="module")
def llm() -> Iterator[Llm]:
    provider = Llm()
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, llm: Llm) -> Iterator[Server]:
    """ann and bob are operators; viewers may have little."""
    provider = {"base_url": llm.url, "name": "Scripted"}
    plugin = {
        "enabled": True,
        "providers": {"scripted": provider},
        "limits": {"viewer": {"messages_per_day": 2, "tokens_per_day": 1_000_000}},
    }
    config = {"plugins": {"chat": plugin, "mcp": {"enabled": True}}, "limits": {"enabled": False}}
    server = Server(tmp_path_factory.mktemp("chat"), config)
    server.add_users({"ann": "operator", "bob": "operator"})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def server(place: Server, llm: Llm) -> Server:
    llm.clear()
    return place


def bring(server: Server, user: str, title: str, *said: tuple[str, str]) -> int:
    """A conversation of these (role, text)s."""
    messages = [
        {"id": number, "parent": number - 1 or None, "role": role, "content": text}
        for number, (role, text) in enumerate(said, 1)
    ]
    file = {"format": "moorage-chat", "version": 1, "title": title, "messages": messages}
    with server.client(user) as api:
        api.headers["X-CSRF-Token"] = api.get("/api/auth/csrf").json()["csrf_token"]
        made = api.post("/conversations/import", json={**file, "head": len(said) or None})
        assert made.status_code == 200, made.text
        return int(made.json()["conversations"][0]["id"])


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    # An answer's words are there before its end is; until then nothing more is sent.
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    page.keyboard.press("Enter")


def answer(page: Page, number: int = -1):
    """What the model said."""
    return page.get_by_role("article", name="Model").nth(number)


def test_an_answer_survives_a_reload(server: Server, sign_in, llm: Llm, faults) -> None:
    llm.script("roses", Hang("Roses are **red** and", then=" some are *white*."))
    page = sign_in("ann", "/console/chat")
    # By keyboard alone.
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("Tell me of roses")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and their colours")
    page.keyboard.press("Enter")
    expect(answer(page).locator("strong")).to_have_text("red")
    expect(page).to_have_url(re.compile(r"/console/chat/\d+$"))
    expect(page.get_by_role("heading", name="Tell me of roses")).to_be_visible()
    listed = page.get_by_role("navigation", name="Conversations")
    expect(listed.get_by_role("link", name="Tell me of roses").first).to_have_attribute("aria-current", "page")

    # What was said is there at once, what is said after comes by itself.
    page.get_by_label("Message", exact=True).fill("not sent yet")
    page.reload()
    expect(answer(page)).to_contain_text("Roses are red and")
    expect(page.get_by_role("article", name="You").locator("p.plain")).to_have_text(
        "Tell me of roses\nand their colours"
    )
    expect(page.get_by_label("Message", exact=True)).to_have_value("not sent yet")
    expect(page.get_by_role("button", name="Stop")).to_be_enabled()
    llm.release()
    expect(answer(page).locator("em")).to_have_text("white")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    expect(answer(page)).to_contain_text("18 tokens")
    page.reload()
    expect(answer(page)).to_contain_text("Roses are red and some are white.")
    expect(page.get_by_role("article")).to_have_count(2)
    assert len(llm.requests) == 1
    assert faults == []


def test_two_tabs_see_one_answer_and_either_stops_it(server: Server, sign_in, llm: Llm, faults) -> None:
    llm.script("tulips", Hang("Tulips have"))
    page = sign_in("ann", "/console/chat/new")
    say(page, "Tell me of tulips")
    expect(answer(page)).to_contain_text("Tulips have")
    other = page.context.new_page()
    other.goto(page.url)
    expect(answer(other)).to_contain_text("Tulips have")
    other.get_by_role("button", name="Stop").click()
    for each in (page, other):
        expect(each.get_by_text("Stopped.")).to_be_visible()
        expect(answer(each)).to_contain_text("Tulips have")
        expect(each.get_by_role("button", name="Send")).to_be_visible()
    llm.wait_left()

    # What one tab says the other shows, and the answer while it comes.
    llm.clear()
    llm.script("daisies", Hang("Daisies", then=" are small."))
    say(other, "And of daisies")
    expect(page.get_by_role("article", name="You").last).to_contain_text("And of daisies")
    expect(answer(page)).to_contain_text("Daisies")
    page.get_by_label("Message", exact=True).focus()
    page.keyboard.press("Escape")
    expect(other.get_by_text("Stopped.")).to_have_count(2)
    assert faults == []


@pytest.fixture
def cable(server: Server) -> Iterator[Cable]:
    way = Cable(server.port)
    yield way
    way.stop()


def test_a_connection_that_breaks_loses_nothing(server: Server, cable: Cable, sign_in, llm: Llm) -> None:
    llm.script("lilies", Hang("Lilies grow", then=" in ponds."))
    page = sign_in("ann", "/console/chat/new", base=cable.url)
    say(page, "Tell me of lilies")
    expect(answer(page)).to_contain_text("Lilies grow")
    cable.cut()
    expect(page.get_by_text("The connection is away.")).to_be_visible()
    llm.release()
    cable.mend()
    expect(answer(page)).to_contain_text("Lilies grow in ponds.")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert len(llm.requests) == 1


def test_nothing_that_was_said_is_lost_by_saying_it_otherwise(server: Server, sign_in, llm: Llm, faults) -> None:
    llm.script("two", Say("You said: two"))
    page = sign_in("bob", "/console/chat/new")
    say(page, "one")
    expect(answer(page)).to_contain_text("You said: one")
    say(page, "two")
    expect(answer(page)).to_contain_text("You said: two")
    yours = page.get_by_role("article", name="You")

    # The first one, said otherwise: what followed it is on another branch.
    yours.first.get_by_role("button", name="Edit").click()
    field = page.get_by_label("The message, changed")
    expect(field).to_be_focused()
    field.fill("eins")
    page.keyboard.press("Enter")
    expect(answer(page)).to_contain_text("You said: eins")
    expect(page.get_by_role("article")).to_have_count(2)
    expect(yours.first).to_contain_text("2/2")
    yours.first.get_by_role("button", name="Earlier version").click()
    expect(answer(page)).to_contain_text("You said: two")
    expect(page.get_by_role("article")).to_have_count(4)

    # The newest one is answered again, beside the first answer.
    llm.script("two", Say("Another answer"))
    page.get_by_role("button", name="Try again").click()
    expect(answer(page)).to_contain_text("Another answer")
    expect(yours.last).to_contain_text("2/2")
    yours.last.get_by_role("button", name="Earlier version").click()
    expect(answer(page)).to_contain_text("You said: two")
    page.reload()
    expect(answer(page)).to_contain_text("You said: two")

    # What the model was sent is the branch alone.
    say(page, "three")
    expect(answer(page)).to_contain_text("You said: three")
    sent = [message["content"] for message in llm.requests[-1]["messages"]]
    assert sent == ["one", "You said: one", "two", "You said: two", "three"]

    # A branch goes on in a conversation of its own; the last message is changed from an empty field.
    answer(page, 0).get_by_role("button", name="Branch off").click()
    expect(page.get_by_role("article")).to_have_count(2)
    expect(answer(page)).to_contain_text("You said: one")
    page.get_by_label("Message", exact=True).focus()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("The message, changed")).to_have_value("one")
    expect(page.get_by_label("The message, changed")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_label("The message, changed")).to_have_count(0)
    assert faults == []


def test_what_a_model_writes_is_text_and_never_runs(server: Server, sign_in, faults) -> None:
    number = bring(server, "ann", "<img src=x onerror=hit()>", ("user", "<b>Say</b>"), ("assistant", HARM))
    page = sign_in("ann", "/console/account")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server.url}/console/chat/{number}")
    shown = page.locator(".markdown")
    expect(shown.get_by_role("heading", name="Roses")).to_be_visible()
    expect(shown.locator("em")).to_have_text("soft")
    link = shown.get_by_role("link", name="link", exact=True)
    expect(link).to_have_attribute("href", "https://example.org/a?b=1&c=2")
    expect(link).to_have_attribute("rel", re.compile("noopener.*nofollow"))
    expect(shown.get_by_role("link", name="a rose (picture)")).to_be_visible()
    expect(shown.get_by_role("link")).to_have_count(2)
    expect(shown.get_by_role("checkbox", checked=True)).to_be_disabled()
    expect(shown.get_by_role("cell", name="22")).to_have_class("right")
    expect(shown.get_by_label("Code, python")).to_have_text("def grow(): ...")
    expect(shown).to_contain_text('<img src=x onerror="hit()">')
    expect(shown).to_contain_text("<script>hit()</script>")
    expect(shown).to_contain_text('© <b> <b onclick="hit()">bold</b>')
    assert shown.locator("img, script, style, b, iframe, [style], [onclick], [onerror]").count() == 0
    expect(page.get_by_role("heading", name="<img src=x onerror=hit()>")).to_be_visible()
    expect(page.get_by_role("article", name="You").locator("p.plain")).to_have_text("<b>Say</b>")
    assert [url for url in asked if not url.startswith((server.url, "data:"))] == []
    assert faults == []


def test_what_comes_in_pieces_is_shown_as_the_whole_is(server: Server, sign_in, llm: Llm) -> None:
    text = (
        HARM.replace("\n\n", "\n \n")
        + "\n- a\n- b\n\n  still b\n\n    code of b\n\nSetext\n---\n> one\ntwo\n\n***\n[x]: y\nEnd"
    )
    llm.script("pieces", Hang(text))
    page = sign_in("ann", "/console/chat/new")
    say(page, "In pieces")
    shown = page.locator(".markdown")
    expect(shown).to_contain_text("End")
    while_it_came = shown.inner_html()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    assert shown.inner_html() == while_it_came
    assert "still b" in shown.locator("li").last.inner_text()


def test_what_fails_is_told_and_tried_again(server: Server, sign_in, llm: Llm) -> None:
    llm.script("ferns", Fail(401))
    page = sign_in("ann", "/console/chat/new")
    say(page, "Tell me of ferns")
    expect(page.get_by_role("alert").filter(has_text=re.compile("provider", re.I))).to_be_visible()
    page.reload()
    expect(page.get_by_role("alert").filter(has_text=re.compile("provider", re.I))).to_be_visible()
    llm.script("ferns", Say("Ferns are green.", think="They ask of ferns."))
    page.get_by_role("button", name="Try again").click()
    expect(answer(page)).to_contain_text("Ferns are green.")
    page.get_by_text("Thoughts").click()
    expect(answer(page)).to_contain_text("They ask of ferns.")
    expect(page.get_by_role("article")).to_have_count(2)


def test_found_named_shared_carried_out_and_in_and_deleted(
    server: Server, sign_in, open_page, tmp_path: Path, faults
) -> None:
    said = [(role, f"{role} {number}") for number in range(40) for role in ("user", "assistant")]
    orchid = f"orchid{uuid4().hex}"
    said[3] = ("assistant", f"The hidden {orchid} 🌸 blooms")
    number = bring(server, "bob", "Long", *said)
    title = f"Garden <i>{uuid4().hex}</i>"
    page = sign_in("bob", "/console/chat")
    places = page.get_by_role("navigation", name="Conversations")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type(orchid[:-1])
    expect(places.locator("mark")).to_have_text(orchid[:-1])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/{number}\?at=\d+$"))
    expect(page.get_by_role("article").filter(has_text=orchid)).to_be_focused()
    expect(page.get_by_role("article").filter(has_text=orchid)).to_be_in_viewport()
    page.get_by_label("Search conversations").fill("nothing like it")
    expect(places.get_by_text("Nothing was found.")).to_be_visible()
    page.get_by_label("Search conversations").fill("")

    # Only the end of a long one is shown at first.
    page.goto(f"{server.url}/console/chat/{number}")
    expect(page.get_by_role("article")).to_have_count(60)
    expect(page.get_by_role("article").last).to_be_in_viewport()
    page.get_by_role("button", name="Earlier messages (20)").click()
    expect(page.get_by_role("article")).to_have_count(80)

    page.get_by_role("button", name="About this conversation").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Title").fill(title)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    expect(places.get_by_role("link", name=title)).to_be_visible()

    page.get_by_role("button", name="About this conversation").click()
    dialog.get_by_role("button", name="Make a link").click()
    link = dialog.get_by_label("Link", exact=True).input_value()
    stranger = open_page(link.removeprefix(server.url))
    expect(stranger.get_by_role("heading", name=title)).to_be_visible()
    expect(stranger.get_by_text(f"The hidden {orchid} 🌸 blooms")).to_be_visible()
    expect(stranger.get_by_role("button", name="Edit")).to_have_count(0)
    dialog.get_by_role("button", name="Take the link back").click()
    expect(dialog.get_by_text("The link leads nowhere any more.")).to_be_visible()
    stranger.reload()
    expect(stranger.get_by_role("heading", name="Nothing is shared here")).to_be_visible()

    with page.expect_download() as told:
        dialog.get_by_role("link", name="Export as Markdown").click()
    assert f"The hidden {orchid} 🌸 blooms" in Path(told.value.path()).read_text()
    with page.expect_download() as told:
        dialog.get_by_role("link", name="Export as JSON").click()
    file = tmp_path / "garden.json"
    told.value.save_as(file)
    assert len(json.loads(file.read_text())["messages"]) == 80

    dialog.get_by_role("button", name="Delete it…").click()
    dialog.get_by_role("button", name="Delete it", exact=True).click()
    expect(page).to_have_url(f"{server.url}/console/chat")
    expect(places.get_by_role("link", name=title)).to_have_count(0)
    page.goto(f"{server.url}/console/chat/{number}")
    expect(page.get_by_role("heading", name="There is no such conversation")).to_be_visible()

    places.get_by_label("Import").set_input_files(file)
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    expect(page.get_by_role("article").last).to_contain_text("assistant 39")
    (tmp_path / "wrong.json").write_text('{"format": "else"}')
    places.get_by_label("Import").set_input_files(tmp_path / "wrong.json")
    expect(places.get_by_role("alert")).not_to_be_empty()
    assert [fault for fault in faults if "404" not in fault and "400" not in fault and "422" not in fault] == []


def test_the_model_is_chosen_and_what_it_costs_is_told(server: Server, sign_in, llm: Llm) -> None:
    name = f"vic-{uuid4().hex[:8]}"
    server.add_user(name, "viewer")
    page = sign_in(name, "/console/chat/new")
    expect(page.get_by_text("You have no conversations yet")).to_be_visible()
    page.get_by_label("Model", exact=True).select_option(label=MODEL)
    page.get_by_role("button", name="Options").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Temperature").fill("0.5")
    dialog.get_by_label("Longest answer").fill("77")
    expect(dialog.get_by_text("There are none.")).to_be_visible()
    dialog.get_by_role("button", name="Use these").click()
    say(page, "dear")
    expect(answer(page)).to_contain_text("You said: dear")
    asked = llm.requests[-1]
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == (MODEL, 0.5, 77)
    expect(answer(page)).to_contain_text(MODEL)
    page.get_by_role("link", name="Usage").click()
    expect(page.get_by_text("Answers: 1 of 2")).to_be_visible()
    expect(page.get_by_text("Tokens: 18 of 1,000,000")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text=MODEL)).to_contain_text("11")
    page.go_back()
    say(page, "dearer")
    expect(answer(page)).to_contain_text("You said: dearer")
    say(page, "dearest")
    expect(page.get_by_role("alert").filter(has_text="You have used up the 2 messages")).to_be_visible()
    expect(page.get_by_role("article", name="You").last).to_contain_text("dearest")


def test_tools_of_a_workspace_are_used_and_shown(server: Server, sign_in, llm: Llm, faults) -> None:
    garden = f"garden-{uuid4().hex[:8]}"
    with server.client("ann") as api:
        api.headers["X-CSRF-Token"] = api.get("/api/auth/csrf").json()["csrf_token"]
        assert api.post("/api/v1/workspaces", json={"name": garden}).status_code == 201
    write = Call("write_file", {"path": "bed.txt", "content": "🌷 tulips"}, say="🌷🌷 I plant them.")
    llm.script("Plant", write, Hang("**Planted", then=".** All of them."))
    page = sign_in("ann", "/console/chat/new")
    page.get_by_role("button", name="Options").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text(f"Its tools ({garden})").click()
    expect(dialog.get_by_text("write_file").or_(dialog.get_by_text("Write")).first).to_be_visible()
    dialog.get_by_role("checkbox", name=garden).check()
    dialog.get_by_role("button", name="Use these").click()
    say(page, "Plant tulips")
    used = answer(page).get_by_text("Tool write_file done")
    expect(used).to_be_visible()
    expect(answer(page)).to_contain_text("**Planted")
    used.click()
    expect(page.get_by_label("What write_file was given")).to_contain_text('"path": "bed.txt"')
    expect(page.get_by_label("What write_file said")).to_contain_text("created")
    llm.release()
    expect(answer(page).locator("strong")).to_have_text("Planted.")
    # The same once it is stored: what was said before the tool was used stands before it.
    page.reload()
    pieces = answer(page).locator(".piece")
    expect(pieces.first.locator(".markdown")).to_have_text("🌷🌷 I plant them.")
    expect(pieces.first).to_contain_text("Tool write_file done")
    expect(pieces.last.locator(".markdown")).to_have_text("Planted. All of them.")
    expect(page.get_by_role("button", name="Options, 1 set of tools")).to_be_visible()
    assert faults == []


def test_on_a_phone(server: Server, sign_in) -> None:
    wide = "x" * 300 + "\n\n```\n" + "y" * 300 + "\n```\n\n| " + "z" * 200 + " | b |\n|---|---|\n| 1 | 2 |"
    number = bring(server, "bob", "w" * 200, ("user", "u" * 300), ("assistant", wide))
    page = sign_in("bob", "/console/chat", viewport=PHONE, has_touch=True)
    expect(page.get_by_role("heading", name="Conversations")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("link", name="w" * 200).first.click()
    expect(page.locator(".markdown table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.get_by_role("heading", name="Conversations")).to_be_hidden()
    expect(page.get_by_label("Message", exact=True)).to_be_in_viewport()
    page.get_by_role("link", name="Conversations").click()
    expect(page.get_by_role("heading", name="Conversations")).to_be_visible()
    page.get_by_role("link", name="New").click()
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
    page.goto(f"{server.url}/console/chat/usage")
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.goto(f"{server.url}/console/chat/{number}")
    expect(page.locator(".markdown pre")).to_be_visible()
