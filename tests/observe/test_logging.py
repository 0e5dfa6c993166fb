"""Log lines: one form for ours and the libraries', the request in hand, one line per event, no secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from moorage.access import Actor, Credential, Method, UserInfo
from moorage.context import RequestInfo, bind_request
from moorage.observe import logs

TOKEN = "mses_" + "aB3-_x" * 8


@dataclass
class Rule:
    level: str = "info"
    format: str = "json"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is one per process: what a test sets up is undone."""
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raises
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


@pytest.fixture
def lines() -> Callable[[], list[dict[str, Any]]]:
    """What was logged as JSON until now."""
    out = io.StringIO()
    logs.setup(Rule(), stream=out)
    return lambda: [json.loads(line) for line in out.getvalue().splitlines()]


Lines = Callable[[], list[dict[str, Any]]]


def test_ours_and_the_libraries_look_the_same(lines: Lines) -> None:
    structlog.get_logger("moorage.tmux").info("session opened", session="main")
    logging.getLogger("tortoise").warning("slow %s", "query")
    ours, theirs = lines()
    assert list(ours) == ["timestamp", "level", "logger", "event", "session"]
    assert ours | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "logger": "moorage.tmux",
        "event": "session opened",
        "session": "main",
    }
    assert theirs | {"timestamp": ""} == {
        "timestamp": "",
        "level": "warning",
        "logger": "tortoise",
        "event": "slow query",
    }
    at = datetime.fromisoformat(ours["timestamp"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60


def test_the_request_in_hand_is_named(lines: Lines) -> None:
    info = UserInfo(7, "user_7", "ann", "Ann", None, "viewer", None, True, datetime.now(UTC))
    actor = Actor(info, Credential(Method.SESSION, 1, "ses_1"))

    def handle() -> None:
        bind_request(RequestInfo(id="req-1", address="192.0.2.1", plugin="tmux", actor=actor))
        structlog.get_logger("x").info("inside")
        logging.getLogger("library").warning("inside too")

    copy_context().run(handle)
    structlog.get_logger("x").info("outside")
    inside, library, outside = lines()
    for line in (inside, library):
        assert (line["request_id"], line["plugin"], line["actor"]) == ("req-1", "tmux", "user_7")
    assert "request_id" not in outside


def test_one_event_is_one_line_in_both_forms(lines: Lines) -> None:
    evil = 'name\nlevel=critical event=fake\r\x1b[2J\u2028"'
    structlog.get_logger("x").info(evil, user=evil)
    assert [line["user"] for line in lines()] == [evil], "JSON keeps the text and escapes it"
    out = io.StringIO()
    logs.setup(Rule(format="console"), stream=out)
    structlog.get_logger("x").info(evil, user=evil)
    text = out.getvalue()
    assert text.count("\n") == 1
    assert not any(char in text for char in "\r\x1b\u2028")
    assert "name\\nlevel=critical" in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_never_get_out(form: str) -> None:
    out = io.StringIO()
    logs.setup(Rule("debug", form), stream=out)
    log = structlog.get_logger("x").bind(cookie=TOKEN)
    log.info(f"in the text {TOKEN}", password="hunter2", nested={"authorization": "hunter2"}, items=[TOKEN])
    log.debug("positional %s", TOKEN)
    logging.getLogger("library").error("password=hunter2 and %s", TOKEN)
    for logger in (log, logging.getLogger("library")):
        try:
            raise ValueError(f"token {TOKEN}")
        except ValueError:
            logger.exception("failed")
    text = out.getvalue()
    assert TOKEN not in text
    assert "hunter2" not in text
    assert text.count("ValueError: token mses_***") == 2, "tracebacks are there, masked"


def test_tracebacks_cannot_be_forged() -> None:
    out = io.StringIO()
    logs.setup(Rule(format="console"), stream=out)
    try:
        raise ValueError("a\x1b[31mb")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    assert "\x1b" not in out.getvalue()
    assert "a\\x1b[31mb" in out.getvalue()


def test_levels_also_while_running(lines: Lines) -> None:
    log = structlog.get_logger("x")
    log.debug("one")
    logging.getLogger("httpx").info("two")
    logs.set_level("debug")
    log.debug("three")
    logging.getLogger("httpx").info("four")
    logs.set_level("error")
    log.warning("five")
    logging.getLogger("library").warning("six")
    assert [line["event"] for line in lines()] == ["three", "four"]


def test_auto_is_for_people_on_a_terminal() -> None:
    piped, terminal = io.StringIO(), Terminal()
    for out in (piped, terminal):
        logs.setup(Rule(format="auto"), stream=out)
        structlog.get_logger("x").info("hello", n=1)
    assert json.loads(piped.getvalue())["n"] == 1
    assert not terminal.getvalue().startswith("{")
    assert "hello" in terminal.getvalue()


def test_setting_up_again_does_not_double_lines(lines: Lines) -> None:
    out = io.StringIO()
    for _ in range(3):
        logs.setup(Rule(), stream=out)
    logging.getLogger("library").warning("once")
    structlog.get_logger("x").warning("once")
    assert out.getvalue().count("once") == 2
    assert lines() == []


def test_values_that_json_does_not_know(lines: Lines) -> None:
    structlog.get_logger("x").info("odd", path=object, at=datetime(2026, 1, 1, tzinfo=UTC), items={1, 2}, lone="\udc80")
    (line,) = lines()
    assert line["at"] == "2026-01-01 00:00:00+00:00"
    assert line["items"] == [1, 2]
    assert line["lone"] == "\udc80"
