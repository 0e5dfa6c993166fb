"""What a session runs: OpenCode's server, its environment and settings, and when it is ready."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from moorage.api import Endpoint, Limits, Mount, Unavailable, ValidationFailed, WorkloadSpec

from moorage_opencode.config import OpenCodeConfig

if TYPE_CHECKING:
    import aiohttp

PORT = "opencode"
"""The name of the port among the workload's endpoints."""
PROCESS = "process"
"""The runtime that runs the programs of this machine; others have theirs in an image."""
DOCKER = "docker"
"""The one that needs an image."""
IN_IMAGE = "opencode"
PROBE_SECONDS = 1.5
"""OpenCode never answers what comes between its opening the port and its being ready: such a question is given up soon,
and put again on another connection."""
OFFLINE = {
    f"OPENCODE_DISABLE_{name}": "1"
    for name in (
        "AUTOUPDATE",
        "MODELS_FETCH",
        "LSP_DOWNLOAD",
        "DEFAULT_PLUGINS",
        "SHARE",
        "EXTERNAL_SKILLS",
        "CLAUDE_CODE",
    )
}

MAX_ANSWER = 1024 * 1024
MAX_CONFIG = 96 * 1024
"""Bytes of the operator's settings: one variable may have 128 KiB in Linux."""
MAX_VARIABLES, MAX_VALUE, MAX_VALUES = 64, 8 * 1024, 64 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OURS = frozenset(("HOME", "PATH", "PWD", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "IFS", "BASH_ENV", "ENV"))
_OURS_BEGIN = ("OPENCODE_", "XDG_", "LD_", "MOORAGE_", "LC_")
_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./ -]{0,63}")


class SessionRow(Protocol):
    """What is needed of a session's row."""

    pid: str
    workspace_path: str
    agent: str | None
    runtime: str
    workload: str
    image: str | None
    generation: int


class SessionSecrets(Protocol):
    """password: OpenCode's, of this session alone. env: the variables that its maker gave, which may be keys."""

    @property
    def password(self) -> str: ...
    @property
    def env(self) -> Mapping[str, str]: ...


def variables(env: Mapping[str, str]) -> dict[str, str]:
    """A client's variables for its session, checked. ValidationFailed names the first that cannot be, by its name."""
    if len(env) > MAX_VARIABLES:
        raise _wrong("env", f"no more than {MAX_VARIABLES} variables")
    for name, value in env.items():
        if not _NAME.fullmatch(name):
            raise _wrong("env", f"{name[:64]!r} is no name of a variable")
        if name.upper() in _OURS or name.upper().startswith(_OURS_BEGIN):
            raise _wrong(f"env.{name}", "this variable is set by the server")
        if "\x00" in value or len(value.encode("utf-8", "surrogatepass")) > MAX_VALUE:
            raise _wrong(f"env.{name}", f"no more than {MAX_VALUE} bytes, and no NUL")
        if not _encodable(value):
            raise _wrong(f"env.{name}", "this is no text")
    if sum(len(value) for value in env.values()) > MAX_VALUES:
        raise _wrong("env", f"no more than {MAX_VALUES} characters together")
    return dict(env)


def agent(name: str) -> str:
    """The name of an agent of OpenCode's, checked. OpenCode falls back to its own if it does not know it."""
    if not _AGENT.fullmatch(name):
        raise _wrong("agent", "letters, digits and - _ . / only, at most 64")
    return name


def spec(config: OpenCodeConfig, session: SessionRow, secrets: SessionSecrets, home: Path) -> WorkloadSpec:
    """The workload of a session. home: its own folder, which is there.

    Unavailable when the program is not there, ValidationFailed when the operator's settings are too long.
    """
    program, mounts = (IN_IMAGE, []) if session.runtime != PROCESS else _program(config.binary)
    return WorkloadSpec(
        name=session.workload,
        command=(program, "serve", "--hostname", "{host}", "--port", f"{{port:{PORT}}}"),
        workdir=session.workspace_path,
        home=home,
        image=session.image,
        env=OFFLINE if config.offline else {},
        # What is in OpenCode's settings may be keys too, and none of it is for whoever may look at the workload.
        secrets={
            **{name: os.environ[name] for name in config.pass_env if name in os.environ},
            **secrets.env,
            "OPENCODE_CONFIG_CONTENT": settings(config, session.agent),
            "OPENCODE_SERVER_PASSWORD": secrets.password,
        },
        mounts=(Mount(Path(session.workspace_path), plain=True), *mounts),
        ports=(PORT,),
        limits=Limits(
            memory_bytes=config.memory_bytes,
            cpus=config.cpus,
            processes=config.processes,
            log_bytes=config.log_bytes,
        ),
        labels={"session": session.pid, "generation": str(session.generation)},
    )


def settings(config: OpenCodeConfig, agent: str | None) -> str:
    """OpenCode's own settings for a session, as JSON. They count for more than those of the project.

    Source: OpenCode's documentation, "Config", and its schema (`https://opencode.ai/config.json`).
    """
    whole: dict[str, Any] = {"autoupdate": False, "share": "disabled", **config.opencode_config}
    if config.offline:
        whole |= {"autoupdate": False, "share": "disabled"}
    if agent is not None:
        whole["default_agent"] = agent
    text = json.dumps(whole, separators=(",", ":"))
    if len(text.encode()) > MAX_CONFIG:
        raise ValidationFailed(f"[plugins.opencode] opencode_config is longer than {MAX_CONFIG} bytes")
    return text


def _program(name: str) -> tuple[str, list[Mount]]:
    """The program's real path, and the folder that a workload must see so that it can run."""
    found = shutil.which(name)
    if found is None:
        raise Unavailable(
            f"OpenCode is not installed ({name!r} is no program here): "
            "install it (npm install -g opencode-ai) or set [plugins.opencode] binary to where it is"
        )
    path = Path(found).resolve()
    folder = path.parent
    for parent in path.parents:
        if parent.name == "node_modules":  # A package's program needs the packages beside it.
            folder = parent
    return str(path), [Mount(folder, read_only=True)]


async def ready(endpoint: Endpoint, authorization: str) -> bool:
    """Whether OpenCode answers there. False too when something else does, or it takes another password."""
    return await version(endpoint, authorization) is not None


async def version(endpoint: Endpoint, authorization: str) -> str | None:
    """The version of the OpenCode that answers there; None when none does."""
    told = await _get(endpoint, "/global/health", authorization)
    if not isinstance(told, dict) or told.get("healthy") is not True:
        return None
    return str(told.get("version", ""))[:64]


async def busy(endpoint: Endpoint, authorization: str) -> bool | None:
    """Whether an agent is at work. None when that cannot be found out."""
    found = await _get(endpoint, "/session/status", authorization)
    if not isinstance(found, dict):
        return None
    return any(isinstance(one, dict) and one.get("type") not in (None, "idle") for one in found.values())


async def _get(endpoint: Endpoint, path: str, authorization: str) -> Any:
    """The JSON of a good answer, or None."""
    import aiohttp

    connector = aiohttp.UnixConnector(str(endpoint.path)) if endpoint.path else aiohttp.TCPConnector()
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    authority = "localhost" if endpoint.path else f"{host}:{endpoint.port}"
    try:
        async with (
            asyncio.timeout(PROBE_SECONDS),
            aiohttp.ClientSession(connector=connector, trust_env=False) as client,
            client.get(
                f"http://{authority}{path}", headers={"Authorization": authorization}, allow_redirects=False
            ) as answer,
        ):
            return json.loads(await _read(answer.content)) if answer.status == 200 else None
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError):
        return None


async def _read(content: aiohttp.StreamReader) -> bytes:
    """All of a body. ValueError for one that is too long: it is not OpenCode's."""
    data = bytearray()
    async for chunk in content.iter_any():
        data += chunk
        if len(data) > MAX_ANSWER:
            raise ValueError("the answer is too long")
    return bytes(data)


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(field: str, message: str) -> ValidationFailed:
    return ValidationFailed(f"{field}: {message}", problems=[{"field": field, "message": message}])
