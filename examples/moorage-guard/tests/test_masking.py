"""The mask by itself."""

from __future__ import annotations

import re

import pytest

from moorage_guard.masking import MAX_WORD, Mask

PATTERNS = (r"\bsk-\w{3,}", "hunter2")
SEQUENCE = re.compile(r"\x1b(?:\[[0-9]*[A-Za-z]|\])")
SAMPLES = {
    "key=sk-abc123 ok": "key=********* ok",
    "sk-ab": "sk-ab",
    "it is hunter2, hunter3": "it is *******, hunter3",
    "\x1b[31msk-\x1b[1mabc\x1b[0m b": "\x1b[31m***\x1b[1m***\x1b[0m b",
    "\x1b[2Jsk-abc\x1b[Ksk-abc": "\x1b[2J******\x1b[K******",
    "\x1b]2;sk-abc\x07sk-größe\r\n": "\x1b]2;******\x07********\r\n",
}


def through(mask: Mask, *parts: str) -> str:
    return "".join(mask.feed(part) for part in parts) + mask.flush()


@pytest.mark.parametrize("text", SAMPLES)
def test_secrets_become_stars_wherever_the_stream_is_cut(text: str) -> None:
    wanted = SAMPLES[text]
    assert through(Mask(PATTERNS), text) == wanted
    assert Mask(PATTERNS).whole(text) == wanted
    within = {at for match in SEQUENCE.finditer(text) for at in range(match.start() + 1, match.end())}
    for cut in set(range(1, len(text))) - within:  # The server cuts no sequence in two.
        assert through(Mask(PATTERNS), text[:cut], text[cut:]) == wanted, cut


def test_what_follows_a_beginning_that_was_given_out_is_masked() -> None:
    mask = Mask(PATTERNS)
    shown = [mask.feed(part) + mask.flush() for part in ("sk-ab", "c", "de", " sk-")]
    assert shown == ["sk-ab", "*", "**", " sk-"]


def test_nothing_is_held_back_for_ever() -> None:
    mask = Mask(PATTERNS)
    given = sum(len(mask.feed("x" * 100)) for _ in range(100))
    assert given >= 100 * 100 - MAX_WORD
    assert len(mask.flush()) == 100 * 100 - given


def test_a_secret_that_the_terminal_wrapped_is_found_in_rows() -> None:
    assert Mask(PATTERNS).whole("my key sk-abc\r\ndef is sk-xyz\nhere") == "my key ******\r\n*** is ******\n****"
    assert Mask(PATTERNS).whole("a key sk-abc\r\nis what you see\r\nhere") == "a key ******\r\nis what you see\r\nhere"


def test_without_patterns_nothing_changes() -> None:
    assert through(Mask(()), "sk-abc ", "hunter2") == "sk-abc hunter2"
