"""What of a pane's stream must not reach every viewer's terminal.

tmux has answered the program's questions already: a viewer's terminal that sees them too would type its own
answers into the program. And what tmux swallows (device control strings, titles of `ESC k`, private strings)
must not be shown either, nor smuggle a sequence that only the viewer's terminal understands. So the cutting
follows tmux's own grammar (its input.c states): what tmux takes for one sequence is one sequence here.
"""

from __future__ import annotations

import re
from typing import Literal

Clipboard = Literal["deny", "write"]

MAX_SEQUENCE = 128 * 1024
"""Bytes of an operating-system command that are held until its end is seen; a longer one is dropped whole."""
MAX_CONTROL = 4096
"""The same for any other sequence: beyond 64 bytes of parameters tmux ignores it."""

_ESC = b"\x1b"
_OBEYED = rb"\x00-\x17\x19\x1c-\x1f"
"""Controls inside of a sequence that are obeyed at once, and after which it goes on."""
_STRAY = _OBEYED + rb"\x7f-\xff"
"""With what is passed over there. A terminal that sees what is left would see another sequence than a plain search."""
_ENDED = b"\x18\x1a\x1b"
"""What ends a sequence as nothing."""
_SUSPECT = re.compile(
    # Most sequences only colour: for those it has to be fast, hence what looks far-fetched.
    rb"\x1b(?:"
    rb"\[(?:(?P<body>[ -?]*+)(?P<final>[cnpqtuvwxyRS|" + _ENDED + _STRAY + rb"])|\?[0-9;:]*+m)"  # XTQMODKEYS
    rb"|(?P<string>[\]PX^_k])"
    rb"|Z"  # DECID
    rb"|\x1b++"
    rb"|[ -/]*+(?P<stray>[" + _ENDED + _STRAY + rb"])"
    rb")"
)
_DEVICE_STRING = re.compile(rb"\x1b[" + _STRAY + rb"]*+P")
_BODY = re.compile(rb"(?P<mark>[<=>?]?)(?P<parameters>[0-9;:]*)(?P<middle>[ -/]*)")
_PARTIAL = re.compile(rb"\x1b[" + _STRAY + rb"]*+(?:(?P<control>\[)[ -?" + _STRAY + rb"]*+|[ -/" + _STRAY + rb"]*+)")
"""A sequence without its last byte, and with whatever is strewn in."""
_STRAYS = bytes(byte for byte in range(256) if re.match(b"[" + _STRAY + b"]", bytes((byte,))))
_ALL_BUT_OBEYED = bytes(byte for byte in range(256) if not re.match(b"[" + _OBEYED + b"]", bytes((byte,))))
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f]")
_FINALS = {True: re.compile(rb"[@-~]"), False: re.compile(rb"[0-~]")}
"""The last bytes of control sequences, and of other escape sequences."""
_CUT_SHORT = {b"[": re.compile(rb"[@-~\x18\x1a\x1b]"), b" ": re.compile(rb"[0-~\x18\x1a\x1b]")}
"""The same for sequences that are being dropped, by what `_skipping` is then."""
_STRING_END = re.compile(rb"[\x07\x18\x1a\x1b]")
_CONTROL_END = re.compile(rb"[\x18\x1a\x1b]")
_REPORTS = frozenset(b"11 13 14 15 16 18 19 20 21".split())
"""First parameters of `CSI t` that ask for the window's state, size or titles."""
_ASKED = frozenset((question[:1], question[1:]) for question in rb"$p $w $u *y +p \"v '| #| #R".split())
"""DECRQM; requests for presentation state and tables; checksum of an area; DECSR, DECRQDE, DECRQLP, XTREPORTSGR,
XTREPORTCOLORS."""


def _is_query(match: re.Match[bytes]) -> bool:
    """Whether a control sequence asks the terminal to answer."""
    body, final = match.group("body", "final")
    if final is None:
        return True
    parts = _BODY.fullmatch(body)
    if parts is None:
        return False  # Terminals pass over it.
    mark, parameters, middle = parts.group("mark", "parameters", "middle")
    if middle:
        return (middle, final) in _ASKED
    if final == b"t":
        return not mark and re.split(rb"[;:]", parameters)[0].lstrip(b"0") in _REPORTS
    if final == b"n":
        return mark in {b"", b"?"}
    return (mark, final) in {
        *((kind, b"c") for kind in (b"", b">", b"=")),
        (b"", b"x"),
        (b">", b"q"),
        (b"?", b"u"),
        (b"?", b"S"),
    }


class StreamFilter:
    """Takes a pane's bytes as they come, cut anywhere, and gives those that may be shown.

    clipboard: "deny" drops what would set a viewer's clipboard (OSC 52), "write" lets it through; questions
    about the clipboard never pass. Holds at most `MAX_SEQUENCE` bytes.
    """

    def __init__(self, clipboard: Clipboard = "deny") -> None:
        self._clipboard = clipboard
        self._held = b""
        self._skipping: bytes = b""
        self._fed = 0
        self._offset = 0
        self._began = 0

    @property
    def unended(self) -> int | None:
        """Where, in all that was fed, the control string begins that has not ended; None outside of one."""
        if self._skipping in (b"", *_CUT_SHORT) and not self._held.startswith(b"\x1b]"):
            return None
        return self._began

    @property
    def withholding(self) -> bool:
        """True while a sequence is open of which nothing has been given out."""
        return bool(self._held or self._skipping)

    def feed(self, data: bytes) -> bytes:
        """The part of `data`, and of what was held before, that may be shown now."""
        self._offset, self._fed = self._fed - len(self._held), self._fed + len(data)
        if not self._held and not self._skipping and _ESC not in data:
            return data
        data = self._held + data
        self._held = b""
        out: list[bytes] = []
        position = self._skip(data, 0) if self._skipping else 0
        while position < len(data):
            match = _SUSPECT.search(data, position)
            if match is None:
                break
            out.append(data[position : match.start()])
            position = match.start()
            if match.group("string"):
                position = self._string(data, match.group("string"), match.end(), out)
            elif data[match.end() - 1] in _ENDED:
                position = match.end() - 1  # As nothing, but it would go on if what comes next were dropped.
            elif data[match.end() - 1] in _STRAYS:
                partial = _PARTIAL.match(data, position)
                if partial is None or partial.end() == len(data):
                    break
                position = self._tidied(data, partial, out)
            else:
                if not _is_query(match):
                    out.append(match.group())
                position = match.end()
        rest = data[position:]
        escape = rest.rfind(_ESC)
        partial = _PARTIAL.fullmatch(rest, escape) if escape >= 0 else None
        if partial is not None:
            if len(rest) - escape < MAX_CONTROL:
                self._held = rest[escape:]
            else:
                self._skipping = b"[" if partial.group("control") else b" "
            rest = rest[:escape]
        out.append(rest)
        return b"".join(out)

    def _tidied(self, data: bytes, partial: re.Match[bytes], out: list[bytes]) -> int:
        """Deal with a sequence into which something is strewn, without that; return where to go on.

        What is obeyed comes first: it is obeyed before the sequence is.
        """
        out.append(partial.group().translate(None, _ALL_BUT_OBEYED))
        whole, end = partial.group().translate(None, _STRAYS), partial.end()
        if data[end] in _ENDED:
            return end
        if _FINALS[partial.group("control") is not None].match(data, end):
            whole, end = whole + data[end : end + 1], end + 1
        match = _SUSPECT.match(whole)
        if match is not None and match.group("string"):
            return self._string(data, match.group("string"), end, out)
        if match is None or not _is_query(match):
            out.append(whole)
        return end

    def _string(self, data: bytes, kind: bytes, begin: int, out: list[bytes]) -> int:
        """Deal with a string of that kind whose text begins there; return where to go on."""
        self._began = self._offset + begin
        if kind != b"]":
            self._skipping = kind
            return self._skip(data, begin)
        end = _STRING_END.search(data, begin)
        if end is None or (end.group() == _ESC and end.end() == len(data)):
            refused = self._clipboard == "deny" and data.startswith(b"52;", begin)
            if refused or len(data) - begin > MAX_SEQUENCE:
                self._skipping = kind
                return self._skip(data, begin)
            self._held = b"\x1b]" + data[begin:]
            return len(data)
        stop = end.end()
        if end.group() == _ESC:
            # ESC ends the string whatever follows; only the backslash of ST belongs to it.
            stop = end.end() + 1 if data[end.end() : end.end() + 1] == b"\\" else end.start()
        body = _printable(data[begin : end.start()])
        if not self._forbidden(body) and end.group() not in b"\x18\x1a":
            out.append(b"\x1b]" + body + data[end.start() : stop])
        return stop

    def _skip(self, data: bytes, position: int) -> int:
        """Go over the rest of a dropped string; stay in it when its end is not there yet."""
        if self._skipping == b"P":
            # Only ST ends it for tmux. The escape may be the last byte so far.
            end = data.find(b"\x1b\\", position)
            if end >= 0:
                self._skipping = b""
                return end + 2
            self._held = _ESC if data.endswith(_ESC) and len(data) > position else b""
            return len(data)
        if self._skipping in _CUT_SHORT:
            found = _CUT_SHORT[self._skipping].search(data, position)
            if found is None:
                return len(data)
            self._skipping = b""
            return found.start() if found.group() == _ESC else found.end()
        found = (_STRING_END if self._skipping == b"]" else _CONTROL_END).search(data, position)
        if found is None:
            return len(data)
        if found.group() != _ESC:
            self._skipping = b""
            return found.end()
        if found.end() == len(data):
            self._held = _ESC
            return len(data)
        self._skipping = b""
        return found.end() + 1 if data[found.end() : found.end() + 1] == b"\\" else found.start()

    def _forbidden(self, body: bytes) -> bool:
        """Whether an operating-system command asks something, or touches the clipboard against the policy."""
        code, _, rest = body.partition(b";")
        code = code.lstrip(b"0") or code[:1]
        parts = rest.split(b";")
        if code == b"52":
            return self._clipboard == "deny" or b"?" in parts
        if code == b"1337":
            return rest.startswith((b"Report", b"Copy", b"EndCopy", b"RequestUpload"))
        if code in {b"0", b"1", b"2", b"7", b"8"}:
            return False
        return b"?" in parts


def after_given_up(pending: bytes) -> bytes:
    """What tmux is in the middle of, of what it says is pending, when that begins with a string that it gave up.

    It goes on calling the string pending, until the next sequence ends.
    """
    if _DEVICE_STRING.match(pending):
        return b""  # Any escape may be the string's own. What is shown in error stays harmless: it was filtered.
    escape = pending.find(_ESC, 1)
    return pending[escape:] if escape > 0 else b""


def _printable(body: bytes) -> bytes:
    """A string's text as terminals take it, which leave out controls: also those that are cut out later on."""
    text = body.decode("utf-8", "replace")
    return _UNPRINTABLE.sub("", text).encode() if _UNPRINTABLE.search(text) else body
