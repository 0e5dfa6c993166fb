"""The pytest plugin of the kit. It imports the server when a test asks for it, and not before.

pytest loads this module in every project where Moorage is installed: it must cost those nothing, and it must not
import the code whose coverage somebody measures.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # Only the fixtures that need it are lost; pytest then says so.
    async_fixture = pytest.fixture  # type: ignore[assignment]

if TYPE_CHECKING:
    from moorage.plugin import Plugin
    from moorage.testing.server import Server

pytest.register_assert_rewrite(
    "moorage.testing.conformance", "moorage.testing.runtimes", "moorage.testing.runtime_parts"
)


class MakeServer(Protocol):
    """The type of the fixture `moorage_server`."""

    def __call__(self, *plugins: str | type[Plugin], config: dict[str, Any] | None = None) -> Server:
        """A server that is not started yet; see `moorage.testing.server.Server`."""
        ...


@pytest.fixture
def _moorage_logs() -> Iterator[None]:
    """Send the server's log to the standard library's, where pytest (and `caplog`) captures it."""
    import structlog

    # Not `is_configured`: a test that used `capture_logs` leaves the defaults behind, and that true.
    if not isinstance(structlog.get_config()["logger_factory"], structlog.PrintLoggerFactory):
        yield
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def moorage_server(tmp_path: Path, _moorage_logs: None) -> MakeServer:
    """Make servers: `async with moorage_server("hello", config={...}) as server`. All share one data folder.

    Plugins are names of installed ones, or `Plugin` classes.
    """
    from moorage.testing.server import Server

    def make(*plugins: str | type[Plugin], config: dict[str, Any] | None = None) -> Server:
        return Server(tmp_path / "moorage", plugins, config)

    return make


@pytest.fixture
def moorage_config() -> dict[str, Any]:
    """The configuration of `moorage_app`, as in `moorage.toml`. Override it in your conftest.py."""
    return {}


@async_fixture
async def moorage_app(moorage_server: MakeServer, moorage_config: dict[str, Any]) -> AsyncIterator[Server]:
    """A started server with the configuration of `moorage_config`, stopped after the test."""
    async with moorage_server(config=moorage_config) as server:
        yield server
