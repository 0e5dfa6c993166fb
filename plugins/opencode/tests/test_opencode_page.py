"""OpenCode's own page in a real Chromium: at a host of its own, where it works, and can do nothing to the login."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from realcode import PASSWORD, Coding, coding

pytestmark = pytest.mark.timeout(300)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATIENCE = 60_000

ATTACK = """async ([own, patience]) => {
    const said = {}
    const attempt = async (name, what) => {
        try { said[name] = await what() } catch ({ name: reason }) {
            said[name] = reason === "TimeoutError" ? "late" : `refused: ${reason}`
        }
    }
    const read = async (url, options) => {
        const signal = AbortSignal.timeout(patience)
        return (await fetch(url, { credentials: "include", signal, ...options })).status
    }
    const socket = (url) => new Promise((resolve, reject) => {
        const ws = new WebSocket(url)
        ws.onopen = () => resolve("open")
        ws.onerror = () => reject(new TypeError("socket"))
        setTimeout(() => resolve("neither open nor refused"), patience)
    })
    const framed = (url) => new Promise((resolve) => {
        const frame = document.createElement("iframe")
        frame.onload = () => {
            const shown = frame.contentDocument
            resolve(shown === null ? "refused: no document" : shown.body.innerText)
        }
        setTimeout(() => resolve("nothing was loaded"), patience)
        frame.src = url
        document.body.append(frame)
    })
    await attempt("me", () => read(own + "/api/me"))
    const post = { method: "POST", body: JSON.stringify({ name: "attack" }), mode: "no-cors" }
    await attempt("key", async () => (await read(own + "/api/keys", post)) || "refused: opaque")
    await attempt("socket", () => socket(own.replace("http", "ws") + "/api/ws"))
    await attempt("here", () => read("/api/me"))
    await attempt("frame", () => framed(own + "/api/me"))
    said.cookie = document.cookie
    return said
}"""


CONFIG = "async (patience) => (await fetch('/config', { signal: AbortSignal.timeout(patience) })).status"

# The program says something only once it is asked: OpenCode begins to read a terminal before it listens to what it
# reads, and on a busy machine what comes at once is lost.
TERMINAL = """async (patience) => {
    const said = []
    const talk = async () => {
        const body = JSON.stringify({ command: "/bin/sh", args: ["-c", "read word; echo $word-$((40+2)); cat"] })
        const headers = { "Content-Type": "application/json" }
        const made = await fetch("/pty", { method: "POST", body, headers })
        said.push(`made ${made.status}`)
        const { id } = await made.json()
        await new Promise((resolve) => {
            const ws = new WebSocket(`${location.origin.replace("http", "ws")}/pty/${id}/connect?cursor=0`)
            ws.binaryType = "arraybuffer"
            let seen = ""
            ws.onopen = () => { said.push("open"); ws.send("from-the\\n") }
            ws.onmessage = ({ data }) => {
                seen += typeof data === "string" ? data : new TextDecoder().decode(data)
                said.push(JSON.stringify(seen))
                if (seen.includes("from-the-42")) resolve(said.push("seen"))
            }
            ws.onclose = ({ code }) => resolve(said.push(`closed ${code}`))
        })
    }
    const late = new Promise((resolve) => setTimeout(() => resolve(said.push("late")), patience))
    await Promise.race([talk().catch((error) => said.push(`${error}`)), late])
    return said
}"""


@pytest.fixture(scope="module")
def place(opencode_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coding]:
    with coding(tmp_path_factory.mktemp("page"), opencode_binary) as place:
        yield place


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def session(place: Coding) -> str:
    hostile = "<!doctype html><title>hostile</title><script>document.title = 'it ran'</script>"
    return place.session("ann", place.project("paged", README__md="# hello\n", hostile__html=hostile))


@pytest.fixture
def page(browser: Browser, place: Coding) -> Iterator[Page]:
    """A page of Ann's, signed in."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    answer = context.request.post(f"{place.server.url}/api/auth/login", data={"username": "ann", "password": PASSWORD})
    assert answer.ok
    yield context.new_page()
    context.close()


def test_the_page_works_and_a_prompt_typed_in_it_is_answered(place: Coding, session: str, page: Page) -> None:
    page.goto(f"{place.code(session)}/")
    assert page.url.startswith(f"http://{session}.opencode.localhost:{place.server.port}/")
    assert "ticket" not in page.url
    box = page.locator("[data-component=prompt-input]")
    text = page.get_by_text("typed in the page")
    answer = page.get_by_text("You said: typed in the page")
    for _ in range(20):  # What it loads at first may be late; a button that is not ready does nothing.
        if text.count() == 0:
            box.click()
            page.keyboard.type("typed in the page")
        if "typed in the page" in (box.text_content() or ""):
            page.keyboard.press("Enter")  # Where nothing is typed, it would interrupt the answer.
        with contextlib.suppress(AssertionError):
            expect(answer.first).to_be_visible(timeout=5_000)
            break
    expect(answer.first).to_be_visible(timeout=1_000)


def test_sockets_of_the_page_work(place: Coding, session: str, page: Page) -> None:
    page.goto(f"{place.code(session)}/")
    said = page.evaluate(TERMINAL, PATIENCE)
    assert said[-1:] == ["seen"], said


def test_a_script_there_can_do_nothing_to_the_login(place: Coding, session: str, page: Page) -> None:
    page.goto(f"{place.code(session)}/")
    said = page.evaluate(ATTACK, [place.server.url, PATIENCE])
    for name in ("me", "key", "socket", "frame"):
        assert str(said[name]).startswith("refused"), said
    assert said["here"] == 200, "that is OpenCode's own page, for a path that it does not know"
    assert "moorage" not in said["cookie"]
    assert "auth_token" not in said["cookie"]
    with place.client("ann") as client:
        assert "attack" not in client.get("/api/keys").text


def test_nothing_of_a_session_runs_in_our_own_origin(place: Coding, session: str, page: Page) -> None:
    # As a page of ours would be shown it, were it led there: by a fetch that is turned into a document.
    page.goto(f"{place.server.url}/health")
    html = page.request.get(f"{place.code(session)}/")
    assert html.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    page.route("**/shown", lambda route: route.fulfill(response=html, body="<script>document.title='it ran'</script>"))
    page.goto(f"{place.server.url}/shown")
    assert page.title() != "it ran"
    assert page.evaluate("() => window.origin") == "null"


def test_it_ends_with_the_login(place: Coding, session: str, page: Page) -> None:
    page.goto(f"{place.code(session)}/")
    assert page.evaluate(CONFIG, PATIENCE) == 200
    page.context.request.post(f"{place.server.url}/api/auth/logout", headers={"Origin": place.server.url})
    assert page.evaluate(CONFIG, PATIENCE) == 401
    again = page.reload()
    assert again is not None
    assert again.status == 401
