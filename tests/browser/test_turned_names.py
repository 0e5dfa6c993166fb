"""Names that turn the direction of writing around: the words beside them stay where they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

STYLE = Path(__file__).parents[2] / "core/moorage/console/web/src/style.css"
IN_ORDER = """() => {
  const text = document.querySelector("p").lastChild;
  const at = (word) => {
    const range = document.createRange();
    range.setStart(text, text.data.indexOf(word));
    range.setEnd(text, text.data.indexOf(word) + 1);
    return range.getBoundingClientRect().x;
  };
  return at("in") < at("you");
}"""


@pytest.mark.parametrize("style", [True, False])
def test_words_after_a_name_keep_their_order(browser: Browser, style: bool) -> None:
    """Without the style they do not: otherwise the browser would need none of it."""
    page = browser.new_page()
    for tag in ("a", "code", "em", "small", "strong", 'span class="name"'):
        page.set_content(f"<p>Let <{tag}>\u202eabc</{tag.split()[0]}> in as you?</p>")
        if style:
            page.add_style_tag(content=STYLE.read_text())
        assert page.evaluate(IN_ORDER) is style, tag
    page.close()
