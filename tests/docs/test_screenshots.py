"""The pictures in the docs: of each page, each in a guide; none that is blank, or of a page that is gone."""

import re
from pathlib import Path

import pytest
from pages import VIEWS
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "screenshots"
WIDE, PHONE = (1280, 800), (360, 740)
MOST = 3_000_000
"""Bytes of all of them: everybody who clones the repository has them."""


def wanted():
    """Each picture that there has to be, and its size."""
    for view in VIEWS:
        for how in view.pictures:
            yield view.name if how == "light" else f"{view.name}-{how}", PHONE if how == "phone" else WIDE


def test_there_are_those_that_pages_have_and_no_others():
    there = {path.name for path in FOLDER.iterdir()}
    assert there == {f"{name}.png" for name, _ in wanted()}, "run `make screenshots`"
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MOST


def test_each_is_in_a_guide():
    guides = "".join(path.read_text() for path in DOCS.glob("*.md"))
    shown = set(re.findall(r"!\[[^\]]+\]\(screenshots/([\w-]+)\.png\)", guides))
    assert {name for name, _ in wanted()} <= shown


@pytest.mark.parametrize(("name", "size"), list(wanted()))
def test_it_shows_something(name, size):
    with Image.open(FOLDER / f"{name}.png") as image:
        assert image.size == size
        colours = sorted(image.convert("L").getcolors(1 << 16), reverse=True)
    assert len(colours) > 15, "letters have smooth edges"
    assert colours[0][0] < 0.995 * size[0] * size[1]
