"""A pane's stream: characters whole, messages put together, positions that can be returned to."""

from __future__ import annotations

import asyncio
import random

from moorage_tmux import pane
from moorage_tmux.pane import INTERVAL, MAX_MESSAGE, PaneStream, Ring
from moorage_tmux.pen import Pen, StreamModes
from waits import WAIT


class Seen:
    def __init__(self, **options):
        self.messages = []
        self.stream = PaneStream(lambda text, seq: self.messages.append((text, seq)), **options)
        self.start = self.stream.seq

    @property
    def text(self):
        return "".join(text for text, _ in self.messages)


async def test_characters_and_sequences_cut_anywhere():
    text = "größe 漢字 \U0001f600\x1b[38;2;1;2;3mcolour\x1b[0m é\r\n" * 20
    for seed in range(20):
        chance, seen, rest = random.Random(seed), Seen(), text.encode()
        while rest:
            size = chance.randint(1, 5)
            seen.stream.append(rest[:size])
            rest = rest[size:]
            if chance.random() < 0.3:
                seen.stream.flush()
        seen.stream.flush()
        assert seen.text == text
        assert seen.stream.seq - seen.start == len(text.encode())


async def test_invalid_bytes_and_c1_controls():
    seen = Seen()
    seen.stream.append(b"a\xff\xc3(\xc2\x9bcZ\xc2\x9d52;c;aGk=\xc2\x9c")
    seen.stream.flush()
    assert seen.text == "a\ufffd\ufffd(cZ52;c;aGk=", "no C1 control is left for a terminal to obey"


async def test_quiet_is_told_at_once_and_a_burst_together():
    seen = Seen()
    loop = asyncio.get_running_loop()
    seen.stream.append(b"x")
    seen.stream.settle()
    assert seen.text == "x"
    began = loop.time()
    for _ in range(200):
        seen.stream.append(b"y")
        seen.stream.settle()
    assert seen.text == "x" or loop.time() - began > INTERVAL
    async with asyncio.timeout(WAIT):
        while len(seen.text) < 201:
            await asyncio.sleep(INTERVAL)
    assert len(seen.messages) < 10 or loop.time() - began > 1


async def test_messages_are_bounded():
    seen = Seen()
    for _ in range(300):
        seen.stream.append(b"z" * 2000)
    seen.stream.flush()
    assert len(seen.text) == 600_000
    assert max(len(text) for text, _ in seen.messages) <= MAX_MESSAGE


async def test_what_came_after_a_position():
    seen = Seen(ring_bytes=100_000)
    for number in range(20_000):
        seen.stream.append(b"%d\n" % number)
        if number % 7 == 0:
            seen.stream.flush()
    seen.stream.flush()
    for text, seq in seen.messages[-500::50]:
        rest = seen.stream.since(seq)
        assert rest is not None
        assert seen.text.endswith(text + rest)
    assert seen.stream.since(seen.stream.seq) == ""
    assert seen.stream.since(seen.messages[0][1]) is None, "forgotten"
    assert seen.stream.since(seen.stream.seq + 1) is None, "never was"
    assert Seen().stream.since(seen.stream.seq) is None, "another life of the stream"
    before = seen.stream.seq
    seen.stream.skip()
    assert seen.stream.since(before) is None, "something was lost in between"


async def test_patience_with_a_string_begins_with_the_string(monkeypatch):
    monkeypatch.setattr(pane, "GIVEN_UP", 0.05)
    loop = asyncio.get_running_loop()
    given_up = asyncio.Event()
    seen = Seen(given_up=given_up.set)
    seen.stream.append(b"\x1b]0;one\x07\x1bPtwo\x1b\\\x1b]0;th")
    await asyncio.sleep(0.03)
    seen.stream.append(b"ree\x07\x1b]0;fo")
    began = loop.time()
    seen.stream.append(b"ur")
    async with asyncio.timeout(WAIT):
        await given_up.wait()
    assert loop.time() - began >= 0.04, "the third one, which ended, does not count"
    seen.stream.append(b" five")
    seen.stream.flush()
    assert seen.text == "\x1b]0;one\x07\x1b]0;three\x07 five"
    given_up.clear()
    seen.stream.append(b"\x1b]0;six\x07")
    await asyncio.sleep(0.1)
    assert not given_up.is_set()


async def test_what_was_given_up_is_not_taken_over(monkeypatch):
    monkeypatch.setattr(pane, "GIVEN_UP", 0.01)
    given_up = asyncio.Event()
    for pending, rest, shown in (
        (b"\x1b]0;old", b"text", "text"),
        (b"\x1b_old\x1b[3", b"1mtext", "\x1b[31mtext"),
        (b"\x1b\x00Pold\x1b[1mold", b"text", "text"),
        (b"\x1bkold\x1b]0;new", b"er\x07text", "\x1b]0;newer\x07text"),
    ):
        seen = Seen(given_up=given_up.set)
        given_up.clear()
        seen.stream.append(b"\x1b]0;old")
        async with asyncio.timeout(WAIT):
            await given_up.wait()
        seen.stream.take_over(pending)
        seen.stream.append(rest)
        seen.stream.flush()
        assert seen.text == shown
        seen.stream.close()


def test_small_pieces_do_not_cost_memory():
    ring = Ring(1000_000, 0)
    for _ in range(100_000):
        ring.append(b"k")
    assert len(ring._blocks) < 10
    assert len(ring.since(0) or b"") == 100_000


def test_a_pen_says_what_it_took():
    pen = Pen()
    pen.apply(b"1;4:3;38;2;9;8;7;48;5;200")
    assert pen.sequence() == b"\x1b[1;4:3;38;2;9;8;7;48;5;200m"
    pen.apply(b"22;39;7")
    assert pen.sequence() == b"\x1b[4:3;7;48;5;200m"
    pen.apply(b"24;27;49")
    assert pen.plain
    pen.apply(b"38;5")
    pen.apply(b"")
    assert pen.plain
    pen.feed(b"\x1b[" + b"9" * 5000 + b"m\x1b[" + b"9" * 200 + b"m")


def test_modes_of_the_stream():
    modes = StreamModes()
    modes.feed(b"\x1b[?2004hx\x1b[?1004;2004h\x1b[4 q")
    assert modes.sequence() == b"\x1b[?2004h\x1b[?1004h\x1b[4 q"
    modes.feed(b"\x1b[?2004l")
    assert modes.sequence() == b"\x1b[?1004h\x1b[4 q"
    modes.feed(b"\x1bc")
    assert modes.sequence() == b""
