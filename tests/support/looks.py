"""What every page must be, looked at in a browser: for assistive programs, for narrow windows, in its picture."""

from __future__ import annotations

import re
from functools import cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from pages import View
from PIL import Image
from playwright.sync_api import Page, expect
from realparts import npm

WEB = Path(__file__).parents[2] / "core/moorage/console/web"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
NARROW = (640, 360, 320)
"""Widths in CSS pixels: a window at 200 %, a phone, and 400 % (WCAG 1.4.10)."""

RUN = """async (only) => {
  const options = { resultTypes: ["violations"], runOnly: only };
  const { violations } = await axe.run(document, options);
  return violations.map(({ id, impact, help, nodes }) => ({
    id, impact, help, nodes: nodes.map((node) => [node.target.join(" "), node.failureSummary]),
  }));
}"""
TOO_WIDE = """() => {
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  const out = (element) => element.getBoundingClientRect().right > innerWidth + 1;
  const found = [...document.querySelectorAll("body *")].filter((one) => out(one) && ![...one.children].some(out));
  return [`${document.documentElement.scrollWidth} px`, ...found.slice(0, 5).map((one) => one.outerHTML.slice(0, 150))];
}"""
OUTLINE = """() => {
  const seen = (one) => one.checkVisibility();
  const all = (what) => [...document.querySelectorAll(what)].filter(seen);
  return {
    headings: all("h1, h2, h3, h4, h5, h6").filter((one) => one.closest("dialog") === null)
      .map((one) => [Number(one.tagName[1]), one.innerText]),
    mains: all("main").length,
    title: document.title,
    lang: document.documentElement.lang,
  };
}"""
# A style sheet of the document's own would be refused by the page's policy; one that is constructed is not.
SPACED = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    * { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }
    p { margin-block-end: 2em !important; }`);
  document.adoptedStyleSheets.push(sheet);
}"""
TIDY = """(changes) => {
  const tidy = (text) => changes.reduce((so, [from, to]) => so.replaceAll(new RegExp(from, "g"), to), text);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode;
    if (tidy(text.data) !== text.data) text.data = tidy(text.data);
  }
  for (const field of document.querySelectorAll("input, textarea")) {
    if (tidy(field.value) !== field.value) field.value = tidy(field.value);
  }
  document.activeElement?.blur?.();
}"""


@cache
def axe() -> str:
    """The source of axe-core, as the page's lock file has it."""
    folder = WEB / "node_modules"
    # What only tests need is taken away when the page is built by itself.
    if not (folder / "axe-core").is_dir():
        folder = npm.node_modules(WEB)
    return (folder / "axe-core/axe.min.js").read_text()


def violations(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe finds, each with its rule and where it is. rules: only these; else all that its tags name."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"() => {{ {axe()} }}")
    only = {"type": "tag", "values": TAGS} if rules is None else {"type": "rule", "values": rules}
    found: list[dict[str, Any]] = page.evaluate(RUN, only)
    return [
        f"{one['impact']} {one['id']} ({one['help']}): {target}\n    {why}"
        for one in found
        for target, why in one["nodes"]
    ]


def too_wide(page: Page) -> list[str]:
    """What makes the page wider than its window."""
    return list(page.evaluate(TOO_WIDE))


def badly_made(page: Page) -> list[str]:
    """What is wrong with the page's headings, main part, title and language."""
    outline = page.evaluate(OUTLINE)
    levels = [level for level, _ in outline["headings"]]
    wrong = []
    if levels.count(1) != 1:
        wrong.append(f"{levels.count(1)} h1")
    # What stands before the h1 in the document is the navigation's.
    own = levels[levels.index(1) :] if 1 in levels else levels
    for before, after in pairwise(own):
        if after > before + 1:
            wrong.append(f"an h{after} follows an h{before}: {outline['headings']}")
    if outline["mains"] != 1:
        wrong.append(f"{outline['mains']} main")
    if not re.fullmatch(r"\S.* – Moorage", outline["title"]):
        wrong.append(f"title {outline['title']!r}")
    if outline["lang"] != "en":
        wrong.append("no language")
    return wrong


def arrive(page: Page, base: str, view: View, names: dict[str, str]) -> None:
    """Open a page and wait until it shows what it is about."""
    page.goto(base + view.address.format(**names))
    expect(page.get_by_role("heading", level=1, name=view.heading.format(**names))).to_be_visible()
    if view.shows:
        expect(page.get_by_text(view.shows.format(**names)).locator("visible=true").first).to_be_visible()
    expect(page.locator(".loading").locator("visible=true")).to_have_count(0)
    if view.fills:
        page.get_by_label(view.fills[0]).fill(view.fills[1])
    if view.types:
        expect(page.locator(".xterm-helper-textarea")).to_be_focused()
        page.keyboard.type(view.types)
        expect(page.locator(".xterm-rows")).to_contain_text(re.compile(r"\$ $|\$\s*$"))
    if view.opens:
        page.get_by_role("button", name=view.opens).first.click()
    if view.dialog:
        expect(page.get_by_role("dialog", name=view.dialog)).to_be_visible()


def picture(page: Page, file: Path, changes: list[tuple[str, str]]) -> None:
    """Take the page's picture. changes: (expression, text) for what differs from run to run."""
    page.evaluate(TIDY, changes)
    whole = Image.open(BytesIO(page.screenshot(animations="disabled", caret="hide")))
    # A hundred colours are enough for text and its smooth edges, and a quarter of the bytes.
    whole.convert("RGB").quantize(100, dither=Image.Dither.NONE).save(file, optimize=True)
