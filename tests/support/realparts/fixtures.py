"""Fixtures over the real parts. A part that is not installed skips its tests and says which package is missing.

session-scoped: postgres, redis_server, chromium, docker_engine, identity_provider, opencode_binary, opencode_sdk,
mcp_parts. Per test: postgres_url (a new database), redis_url (emptied), own_redis (may be stopped), tmux_server, llm,
free_port.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from realparts import npm, opencode, ports
from realparts.docker_engine import DockerEngine, no_busybox
from realparts.identity_provider import IdentityProvider
from realparts.llm import Llm
from realparts.podman import Podman
from realparts.postgres import Postgres, find_bindir
from realparts.redis_server import RedisServer
from realparts.tmux import TmuxServer


def need(reason: str | None) -> None:
    """Skip with the reason; where MOORAGE_REQUIRE_PARTS is set, a missing part is a failure instead."""
    if reason is None:
        return
    if os.environ.get("MOORAGE_REQUIRE_PARTS"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that gives a spare port of loopback."""
    return ports.free_port


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster for the whole run; `postgres.new_database()` gives a URL."""
    need(Postgres.missing())
    bindir = find_bindir()
    assert bindir is not None
    cluster = Postgres(bindir)
    yield cluster
    cluster.stop()


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The URL of a new, empty database."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server for the whole run. Do not stop it: see `own_redis`."""
    need(RedisServer.missing())
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of the run's Redis, emptied."""
    redis_server.command("FLUSHALL")
    return redis_server.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server of this test's own: `stop()` and `start()` as you like."""
    need(RedisServer.missing())
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def identity_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    """A provider of identities for the whole run; `tell()` it how to answer before each test."""
    provider = IdentityProvider(tmp_path_factory.mktemp("identity"))
    yield provider
    provider.stop()


@pytest.fixture
def tmux_server() -> Iterator[TmuxServer]:
    """A tmux server on a private socket, named `tmux_server.socket_name`."""
    need(TmuxServer.missing())
    server = TmuxServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The path of the Chromium that is installed."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    need(None if found else "no Chromium is installed (Debian: chromium)")
    return Path(str(found))


def start_docker_engine() -> DockerEngine:
    """A new engine; where none can run, the test is skipped."""
    need(DockerEngine.missing())
    try:
        return DockerEngine()
    except RuntimeError as error:
        need(f"no Docker engine starts here: {str(error)[-1000:]}")
        raise


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """A Docker engine without any image, for the whole run. Do not end it: see `own_docker_engine`."""
    engine = start_docker_engine()
    yield engine
    engine.stop()


@pytest.fixture(scope="module")
def own_docker_engine() -> Iterator[DockerEngine]:
    """A Docker engine of the module's own: `end()` and `start()` it as you like."""
    engine = start_docker_engine()
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def busybox_image(docker_engine: DockerEngine) -> str:
    """The name of an image with busybox in the engine."""
    need(no_busybox())
    return docker_engine.import_busybox()


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """Podman, answering as Docker does, with the busybox image. Tests that use it are slow."""
    need(Podman.missing() or no_busybox())
    podman = Podman()
    podman.import_busybox()
    yield podman
    podman.stop()


@pytest.fixture(scope="session")
def debian_image(docker_engine: DockerEngine) -> str:
    """The name of a minimal Debian image in the engine."""
    need(None if shutil.which("debootstrap") else "debootstrap is not installed (Debian: debootstrap)")
    return docker_engine.import_debian()


@pytest.fixture(scope="session")
def opencode_binary() -> Path:
    """The path of the OpenCode program."""
    need(opencode.missing())
    return opencode.binary()


@pytest.fixture(scope="session")
def opencode_sdk() -> Path:
    """The `node_modules` folder that has `@opencode-ai/sdk` and `ttyd` (its web client) in it, for `node`."""
    need(opencode.missing())
    return opencode.node_modules()


@pytest.fixture(scope="session")
def mcp_parts() -> None:
    """What npm has of MCP: the conformance suite and servers. See `realparts.mcpservers.parts`."""
    need(npm.missing())
    npm.node_modules(npm.MCP)


@pytest.fixture
def llm() -> Iterator[Llm]:
    """A scripted provider of language models."""
    provider = Llm()
    yield provider
    provider.stop()
