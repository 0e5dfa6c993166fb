"""Logs: one line per event on stderr, as JSON or for people; with the request in hand, and without secrets."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Protocol, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from moorage.context import optional_request
from moorage.observe.redact import redact

QUIET = {
    "asyncio": logging.WARNING,
    "hypercorn.access": logging.ERROR,
    "hypercorn.error": logging.WARNING,
    "httpx": logging.WARNING,
    "httpx2": logging.WARNING,
    "uvicorn.access": logging.ERROR,
    "uvicorn.error": logging.WARNING,
}
"""Loggers of libraries that tell what we tell ourselves; `debug` lets them speak."""


class LogRule(Protocol):
    """`[log]` of the configuration."""

    @property
    def level(self) -> str: ...
    @property
    def format(self) -> str: ...


def setup(rule: LogRule, *, stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to `stream` (stderr) in one form. May be called again.

    format "auto" is "console" on a terminal, else "json".
    """
    out = stream if stream is not None else sys.stderr
    level = logging.getLevelNamesMapping()[rule.level.upper()]
    as_json = rule.format == "json" or (rule.format == "auto" and not out.isatty())
    colors = not as_json and out.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_request,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        add_time,
        structlog.processors.format_exc_info,
        mask,
    ]
    render: Processor = render_json if as_json else ConsoleLine(colors=colors)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(rule.level)
    logging.captureWarnings(True)
    # A broken pipe on stderr must not print a traceback per line.
    logging.raiseExceptions = level <= logging.DEBUG


def set_level(level: str) -> None:
    """Change the least level that is written, while running."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(number)
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(logging.NOTSET if number <= logging.DEBUG else quiet)


def add_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the request's id, plugin and actor, where a request is in hand."""
    info = optional_request()
    if info is not None:
        event.setdefault("request_id", info.id)
        event.setdefault("plugin", info.plugin)
        if info.actor.user is not None:
            event.setdefault("actor", info.actor.label)
    return event


def add_time(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the time in UTC, to the millisecond."""
    event["timestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return event


def mask(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask secrets in every value, the exception's text included."""
    meta = {key: event.pop(key) for key in ("_record", "_from_structlog") if key in event}
    masked: EventDict = redact(event)
    masked.update(meta)
    return masked


def render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """One JSON object; JSON itself escapes what would break the line."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "logger", "event") if key in event}
    return json.dumps({**first, **event}, default=str, ensure_ascii=True, separators=(",", ":"))


class ConsoleLine:
    """Renders for people: what a client sent cannot begin a new line nor move the cursor; tracebacks keep theirs."""

    def __init__(self, *, colors: bool) -> None:
        self._render = structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False, pad_event_to=30)

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> str:
        """The line, and the traceback under it."""
        escaped: EventDict = {
            key: escape(value) if isinstance(value, str) and key != "exception" else value
            for key, value in event.items()
        }
        if "exception" in escaped:
            escaped["exception"] = "\n".join(escape(line) for line in escaped["exception"].split("\n"))
        return str(self._render(logger, name, escaped))


def escape(text: str) -> str:
    """Control characters as `\\n`, `\\x1b`, so that one event stays one line and a terminal is not steered."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
