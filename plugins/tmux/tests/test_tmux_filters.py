"""What viewers' terminals must not see is not there, however the stream is cut."""

from __future__ import annotations

import codecs
import random
import re

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


STRAYS = (b"\x00", b"\n", b"\x1c", b"\x7f", b"\xc2\x90", b"\xc2\xc2\x90\x90", b"\xff")
FORBIDDEN = [
    *(question for kind in QUESTIONS.values() for question in kind if question[1:2] not in b"PkXG_^"),
    b"\x1b]52;c;QUJD" + BEL,
    b"\x1b]052;c;QUJD" + ST,
    b"\x1b[018t",
    b"\x1b[18:1t",
    b"\x1b[?4m",
    b"\x1b[1;2;3;4#|",
]


def shown(stream, cut):
    """What a viewer's terminal is sent, as `PaneStream` makes it."""
    seen, decoder = StreamFilter(), codecs.getincrementaldecoder("utf-8")("replace")
    return "".join(re.sub("[\x80-\x9f]", "", decoder.decode(seen.feed(piece))) for piece in cut(stream))


def obeyed(text):
    """The sequences that a terminal finds in a text: controls inside of them do not end them (xterm.js, DEC)."""
    found, sequence, kind = [], "", ""
    for character in text:
        if kind == "]" and character in "\x07\x1b\x18\x1a":
            found.append(sequence)
            sequence, kind = ("\x1b", "\x1b") if character == "\x1b" else ("", "")
        elif character == "\x1b":
            sequence, kind = "\x1b", "\x1b"
        elif character in "\x18\x1a":
            sequence, kind = "", ""
        elif character < " " or character == "\x7f":
            continue
        elif kind == "\x1b" and len(sequence) == 1 and character in "[]":
            sequence, kind = sequence + character, character
        elif kind:
            sequence += character
            if character >= ("@" if kind == "[" else "0") and kind != "]":
                found.append(sequence)
                sequence, kind = "", ""
    return found


def asks(sequence):
    """Whether a whole sequence asks something, or sets the clipboard."""
    if sequence.startswith("\x1b]"):
        number, _, rest = sequence[2:].partition(";")
        return number.lstrip("0") == "52" or (number.lstrip("0") in ("4", "10", "11", "12") and "?" in rest.split(";"))
    return re.fullmatch(
        r"\x1b(Z|\[([>=]?[0-9;]*c|\??[0-9;]*n|\??[0-9;]*\$p|0*1[13-9]([;:][0-9;:]*)?t|>[0-9;]*q|\?[0-9;]*[um]))",
        sequence,
    )


def test_what_is_strewn_into_a_sequence_does_not_hide_it():
    chance = random.Random(4)
    for sequence in FORBIDDEN:
        assert not list(filter(asks, obeyed(shown(sequence, lambda data: [data])))), sequence
        for place in range(1, len(sequence)):
            for stray in STRAYS:
                stream = b"a" + sequence[:place] + stray * chance.choice((1, 1, 3)) + sequence[place:] + b"\x1b[1mz"
                for cut in (lambda data: [data], lambda data: pieces(data, chance)):
                    text = shown(stream, cut)
                    assert not list(filter(asks, obeyed(text))), (stream, text)
                    assert text.endswith("\x1b[1mz"), (stream, text)


def test_no_noise_becomes_a_question():
    chance = random.Random(5)
    parts = [
        *map(bytes, zip(b"\x1b\x1b\x1b[[]]>?;$012458cnptuqm\\PZ \x07\x18\x00\x7f")),
        *STRAYS,
        *FORBIDDEN,
        b"52;c;QQ",
    ]
    for _ in range(5000):
        stream = b"".join(chance.choices(parts, k=12))
        text = shown(stream, lambda data: pieces(data, chance))
        assert not list(filter(asks, obeyed(text))), (stream, text)


def test_controls_in_a_sequence_are_obeyed_before_it():
    assert shown(b"\x1b[3\n1\x7f;\r4mx", lambda data: [data]) == "\n\r\x1b[31;4mx"
    assert shown(b"\x1b[3\n\x18mx", lambda data: [data]) == "\n\x18mx"
    assert shown(b"\x1b]2;a\x00b\xc2\x9bc\x07", lambda data: [data]) == "\x1b]2;abc\x07"


def test_a_sequence_without_end_is_dropped_and_keeps_no_memory():
    for head, end in ((b"\x1b[", b"c"), (b"\x1b[>", b"q"), (b"\x1b[\x00", b"c")):
        seen = StreamFilter()
        out = seen.feed(b"a" + head)
        for _ in range(40):
            out += seen.feed(b"0" * 8192)
            assert len(seen._held) < 8192
        assert out + seen.feed(end + b"b") == (b"a\x00b" if b"\x00" in head and b"\x00" in out else b"ab")
    seen = StreamFilter()
    assert seen.feed(b"a\x1b" + b" " * 200_000 + b"Fb") in (b"ab", b"a\x1b" + b" " * 200_000 + b"Fb")
