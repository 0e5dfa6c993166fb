"""Source code with colours, as a table in HTML.

The lexers are regular expressions that were not written for hostile text: one match can take minutes, and holds up
every thread of its process. So they run in a process of their own, with a bounded time and memory; when it does not
get done, the table has no colours.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import sys

MAX_BYTES = 1024 * 1024
SECONDS = 10.0
_AT_ONCE = 2
_OUTPUT = 16 * 1024 * 1024
_STYLE = (
    "body{margin:0}table{border-collapse:collapse;font:13px/1.5 ui-monospace,monospace;width:100%}"
    "td{padding:0 .75em;white-space:pre;vertical-align:top}td:first-child{text-align:right;opacity:.5;user-select:none}"
)


class Highlighter:
    """Colours source code, a few files at a time."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def page(self, source: bytes, name: str, theme: str) -> bytes:
        """A page of HTML with one table: a row for each line, its number and its text. Nothing in it can run.

        theme: a style of Pygments; another name is its default.
        """
        text = source.decode("utf-8", "replace")
        lines = None
        with contextlib.suppress(TimeoutError, OSError):
            async with self._places, asyncio.timeout(SECONDS):
                lines = await _coloured(text, name, theme)
        if lines is None or len(lines) < len(text.splitlines()):
            lines = [html.escape(line) for line in text.splitlines()]
        rows = "".join(
            f'<tr><td class="line-number" data-line="{number}">{number}</td><td class="line-content">{line}</td></tr>'
            for number, line in enumerate(lines, 1)
        )
        head = f'<!doctype html><meta charset="utf-8"><title>{html.escape(name)}</title><style>{_STYLE}</style>'
        return f'{head}<table class="highlight"><tbody>{rows}</tbody></table>\n'.encode()


async def _coloured(text: str, name: str, theme: str) -> list[str] | None:
    """The lines with `<span style=…>` in them; None when it went wrong."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-c",
        _WORKER,
        name,
        theme,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _, out = await asyncio.gather(_feed(process.stdin, text.encode()), _take(process.stdout))
        await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        return None
    return out.decode().split("\n")[:-1]


async def _feed(stdin: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        stdin.write(data)
        await stdin.drain()
    stdin.close()


async def _take(stdout: asyncio.StreamReader) -> bytes:
    """All that comes. OSError when it is too much."""
    out = bytearray()
    while piece := await stdout.read(65536):
        out += piece
        if len(out) > _OUTPUT:
            raise OSError("too much")
    return bytes(out)


_WORKER = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.styles import get_style_by_name
from pygments.util import ClassNotFound
name, theme = sys.argv[1:]
text = sys.stdin.read()
options = {"stripnl": False, "stripall": False, "ensurenl": True}
try:
    lexer = get_lexer_for_filename(name, text[:10000], **options)
except ClassNotFound:
    lexer = TextLexer(**options)
try:
    style = get_style_by_name(theme)
except ClassNotFound:
    style = get_style_by_name("default")
sys.stdout.write(highlight(text, lexer, HtmlFormatter(nowrap=True, noclasses=True, style=style)))
"""
