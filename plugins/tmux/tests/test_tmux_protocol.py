"""The parser of control mode: whatever the pieces, the same events; what looks like the protocol may be a screen."""

from __future__ import annotations

import random

import pytest
from moorage_tmux.protocol import MAX_LINE, Notice, Output, Parser, ProtocolError, Reply, unescape

STREAM = (
    b"%begin 100 1 0\n%end 100 1 0\n%session-changed $0 main\n"
    b"%output %0 a\\015\\012\xc3\xa4\\134\n"
    b"%begin 100 7 1\nfirst\n%end 100 6 1\n%output %9 not output\n%begin 1 2 3\n\n%end 100 7 1\n"
    b"%extended-output %12 17 : b : c\n"
    b"%begin 101 8 1\nno such thing\n%error 101 8 1\n"
    b"%exit server exited\n"
)
EVENTS = [
    Reply(True, False, []),
    Notice("session-changed", "$0 main"),
    Output("%0", b"a\\015\\012\xc3\xa4\\134"),
    Reply(True, True, [b"first", b"%end 100 6 1", b"%output %9 not output", b"%begin 1 2 3", b""]),
    Output("%12", b"b : c"),
    Reply(False, True, [b"no such thing"]),
    Notice("exit", "server exited"),
]


@pytest.mark.parametrize("seed", range(30))
def test_cut_anywhere(seed):
    chance, parser, events = random.Random(seed), Parser(), []
    rest = STREAM
    while rest:
        size = chance.choice((1, 2, 5, 40))
        events += parser.feed(rest[:size])
        rest = rest[size:]
    assert events == EVENTS


def test_a_body_of_known_length_may_hold_its_own_end():
    parser = Parser()
    events = parser.feed(
        b"%begin 5 5 1\nx\n%end 5 5 1\n%begin 5 6 1\n%end 5 6 1\n%error 5 6 1\n%exit\n%end 5 6 1\n%exit\n"
    )
    assert next(events) == Reply(True, True, [b"x"])
    parser.minimum = 3
    assert list(events) == [Reply(True, True, [b"%end 5 6 1", b"%error 5 6 1", b"%exit"]), Notice("exit", "")]
    assert list(parser.feed(b"%begin 5 7 1\n%end 5 7 1\n")) == [Reply(True, True, [])], "the length counts once"


def test_every_byte_comes_out_of_its_escape():
    def escaped(byte):
        return b"\\%03o" % byte if byte < 0x20 or byte == 0x5C else bytes([byte])

    everything = bytes(range(256)) * 2
    assert unescape(b"".join(map(escaped, everything))) == everything


def test_a_line_of_a_reply_is_cut_off_where_it_is_too_long():
    parser, events = Parser(), []
    for piece in (b"%begin 1 2 1\nfirst\n", *[b"x" * 100_000] * 100, b"x\nlast\n", b"%end 1 2 1\n%exit\n"):
        events += parser.feed(piece)
        assert len(parser._tail) <= MAX_LINE + 100_000
    reply, last = events
    assert (reply.lines[0], set(reply.lines[1]), reply.lines[2]) == (b"first", {ord("x")}, b"last")
    assert MAX_LINE < len(reply.lines[1]) < MAX_LINE + 100_000
    assert last == Notice("exit", "")


def test_nonsense_is_an_error():
    with pytest.raises(ProtocolError):
        unescape(b"x\\")
    parser = Parser()
    assert list(parser.feed(b"x" * MAX_LINE)) == []
    with pytest.raises(ProtocolError):
        list(parser.feed(b"x"))
