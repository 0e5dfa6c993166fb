"""The line numbers of keys: agree with tomllib on what there is, and with the eye on where."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from moorage.config.lines import locate

TEXT = '''\
# comment with [brackets] = and "quotes"
top = 1
"quoted key" = 'a # b'
dotted.key . inner = 2

[table]
text = """
fake = 1
[fake]
""\\"""" # end
raw = \'\'\'
fake = 2\'\'\'\'
items = [ # one
  "a", # ]
  [1, 2],

  { x = 1, y.z = "}" },
  1979-05-27 07:32:00,
  "last"
]
after = 1979-05-27T07:32:00Z
[table.sub."a.b"]
k = {} # empty
l = []
[[many]]
n = 1
[[many]]
n = 2
[many.inside]
m = 1
[[many.deep]]
d = 1
[[many.deep]]
d = 2
[ spaced . "out" ]
z = -inf'''

EXPECTED = {
    ("top",): 2,
    ("quoted key",): 3,
    ("dotted", "key", "inner"): 4,
    ("table",): 6,
    ("table", "text"): 7,
    ("table", "raw"): 11,
    ("table", "items"): 13,
    ("table", "items", 0): 14,
    ("table", "items", 1): 15,
    ("table", "items", 1, 1): 15,
    ("table", "items", 2): 17,
    ("table", "items", 2, "y", "z"): 17,
    ("table", "items", 3): 18,
    ("table", "items", 4): 19,
    ("table", "after"): 21,
    ("table", "sub", "a.b"): 22,
    ("table", "sub", "a.b", "k"): 23,
    ("table", "sub", "a.b", "l"): 24,
    ("many", 0): 25,
    ("many", 0, "n"): 26,
    ("many", 1): 27,
    ("many", 1, "n"): 28,
    ("many", 1, "inside"): 29,
    ("many", 1, "inside", "m"): 30,
    ("many", 1, "deep", 0): 31,
    ("many", 1, "deep", 1, "d"): 34,
    ("spaced", "out", "z"): 36,
}


def places(value: Any, at: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Every place in a parsed document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {at} if at else set()
    for key, one in items:
        found |= places(one, (*at, key))
    return found


def test_lines_are_where_the_eye_finds_them() -> None:
    lines = locate(TEXT)
    assert {loc: lines.get(loc) for loc in EXPECTED} == EXPECTED


def test_all_that_tomllib_reads_is_found_and_nothing_else() -> None:
    assert set(locate(TEXT)) == places(tomllib.loads(TEXT))


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only", "a=1", "a=[]", "a={}", "[a]", "[a.b]\n[a]", 'a=""""x"""', "a=[[],[{}]]"]
)
def test_small_documents(text: str) -> None:
    assert set(locate(text)) == places(tomllib.loads(text))
