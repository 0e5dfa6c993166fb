"""What viewers' terminals must not see is not there, however the stream is cut."""

from __future__ import annotations

import random

import pytest
from moorage_tmux.filters import MAX_SEQUENCE, StreamFilter

ST, BEL = b"\x1b\\", b"\x07"
QUESTIONS = {
    "device attributes": [b"\x1b[c", b"\x1b[0c", b"\x1b[>c", b"\x1b[>0c", b"\x1b[=c", b"\x1bZ"],
    "status reports": [b"\x1b[5n", b"\x1b[6n", b"\x1b[?6n", b"\x1b[?996n"],
    "mode requests": [b"\x1b[4$p", b"\x1b[?2026$p"],
    "colours": [
        b"\x1b]10;?" + BEL,
        b"\x1b]11;?" + ST,
        b"\x1b]4;7;?" + ST,
        b"\x1b]4;1;#fff;2;?" + BEL,
        b"\x1b]12;?" + ST,
    ],
    "clipboard": [b"\x1b]52;c;?" + BEL, b"\x1b]52;;?" + ST],
    "window": [b"\x1b[18t", b"\x1b[14;2t", b"\x1b[21t"],
    "others": [b"\x1b[x", b"\x1b[>q", b"\x1b[?u", b"\x1b[?1;1;0S", b"\x1b[1;1;1;1;1;1*y", b"\x1b[1$w"],
    "strings": [
        b"\x1bP$qm" + ST,
        b"\x1bP+q544e" + ST,
        b"\x1b_Gi=1,a=q;AAAA" + ST,
        b"\x1b^private" + ST,
        b"\x1bXsos" + ST,
    ],
    "names": [b"\x1bkbash" + ST],
    "passed through": [b"\x1bPtmux;\x1b\x1b]52;c;aGk=\x07\x1b\\", b"\x1bPq\x1b[6n\x1b]11;?\x07" + ST],
}
KEPT = [
    b"plain text\r\n",
    b"\x1b[1;31mred\x1b[0m\x1b[2J\x1b[5;5H",
    b"\x1b]0;title with ?" + BEL,
    b"\x1b]8;;http://x.example/?a=1;?" + ST + b"link\x1b]8;;" + ST,
    b"\x1b[22;0t\x1b[23;0t\x1b[u\x1b[s\x1b[!p\x1b[>4;2m\x1b[2 q\x1b[3S",
    b"\x1b]11;#000000" + ST + b"\x1b]104" + ST,
    b"\x1b(0lqk\x1b(B\x1b7\x1b8\x1bM",
    "größe 漢字 \U0001f600".encode(),
]


def pieces(data, chance):
    while data:
        size = chance.choice((1, 1, 2, 3, 8))
        yield data[:size]
        data = data[size:]


@pytest.mark.parametrize("kind", QUESTIONS)
def test_questions_never_reach_a_viewer(kind):
    for question in QUESTIONS[kind]:
        stream = b"".join(kept + question for kept in KEPT)
        for seed in range(20):
            kept_only = StreamFilter("write")
            assert b"".join(map(kept_only.feed, pieces(stream, random.Random(seed)))) == b"".join(KEPT), question
            assert not kept_only.withholding


@pytest.mark.parametrize(("policy", "passes"), [("deny", False), ("write", True)])
def test_setting_the_clipboard_is_a_policy(policy, passes):
    copy = b"\x1b]52;c;" + b"QUJD" * 20_000 + BEL
    seen = StreamFilter(policy)
    stream = b"before" + copy + b"after"
    out = b"".join(seen.feed(stream[start : start + 1000]) for start in range(0, len(stream), 1000))
    assert out == b"before" + (copy if passes else b"") + b"after"


def test_an_endless_string_is_dropped_whole_and_keeps_no_memory():
    seen = StreamFilter("write")
    out = seen.feed(b"a\x1b]52;c;")
    for _ in range(20):
        out += seen.feed(b"x" * (MAX_SEQUENCE // 10))
        assert len(seen._held) <= MAX_SEQUENCE
    assert out + seen.feed(BEL + b"b") == b"ab"


def test_a_string_that_is_broken_off_ends_where_tmux_ends_it():
    for stream, wanted in (
        (b"\x1b]0;ti\x18text", b"text"),
        (b"\x1b_x\x1b[1mtext", b"\x1b[1mtext"),
        (b"\x1bPq\x1b[1mno\x18no" + ST + b"text", b"text"),
        (b"\x1b]2;ti\x1b[1mtext", b"\x1b]2;ti\x1b[1mtext"),
    ):
        for seed in range(10):
            seen = StreamFilter()
            assert b"".join(map(seen.feed, pieces(stream, random.Random(seed)))) == wanted
