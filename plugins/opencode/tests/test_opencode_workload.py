"""What a session runs: its variables, its settings, and the answer to whether it is ready."""

from __future__ import annotations

import asyncio
import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moorage.api import Endpoint, Unavailable, ValidationFailed
from moorage_opencode import workload
from moorage_opencode.config import OpenCodeConfig
from realparts.llm import Llm
from realparts.opencode import OpenCode

PASSWORD = "the-password-of-this-session"


def made(config: OpenCodeConfig, env: dict[str, str] | None = None, **row: Any) -> Any:
    defaults = {
        "pid": "0b54f7de-9a4c-4d5e-8f0e-3c1d2b3a4f5e",
        "workspace_path": "/srv/project",
        "agent": None,
        "runtime": "process",
        "workload": "s-1",
        "image": None,
        "generation": 1,
    }
    session = types.SimpleNamespace(**(defaults | row))
    secrets = types.SimpleNamespace(password=PASSWORD, env=env or {})
    return workload.spec(config, session, secrets, Path("/srv/home"))


def test_the_program_is_shown_to_the_workload_and_secrets_stay_out_of_sight(
    opencode_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_KEY", "a-key-of-the-operator")
    config = OpenCodeConfig(
        binary=str(opencode_binary), pass_env=["PROVIDER_KEY", "NOT_SET"], opencode_config={"username": "moorage"}
    )
    spec = made(config, {"OTHER_KEY": "a-key-of-the-user"})
    assert spec.command == (str(opencode_binary), "serve", "--hostname", "{host}", "--port", "{port:opencode}")
    shown = {mount.source: mount.read_only for mount in spec.mounts}
    assert shown[Path("/srv/project")] is False
    assert any(opencode_binary.is_relative_to(folder) and read_only for folder, read_only in shown.items())
    assert spec.env["OPENCODE_DISABLE_AUTOUPDATE"] == "1"
    assert spec.secrets["PROVIDER_KEY"] == "a-key-of-the-operator"
    assert spec.secrets["OTHER_KEY"] == "a-key-of-the-user"
    assert "NOT_SET" not in spec.secrets
    for secret in (PASSWORD, "a-key-of", '"moorage"'):
        assert secret not in repr(spec)


def test_a_runtime_with_images_runs_the_program_of_the_image() -> None:
    spec = made(OpenCodeConfig(binary="/nowhere/opencode"), runtime="docker", image="opencode:1")
    assert spec.command[0] == "opencode"
    assert [mount.source for mount in spec.mounts] == [Path("/srv/project")]


def test_a_missing_program_is_told_with_what_to_do() -> None:
    with pytest.raises(Unavailable, match=r"npm install -g opencode-ai"):
        made(OpenCodeConfig(binary="opencode-that-is-not-there"))


def test_offline_settings_win_over_the_operators() -> None:
    chosen = {"share": "auto", "autoupdate": True, "username": "x"}
    offline = json.loads(workload.settings(OpenCodeConfig(opencode_config=chosen), "plan"))
    assert offline == {"share": "disabled", "autoupdate": False, "username": "x", "default_agent": "plan"}
    online = json.loads(workload.settings(OpenCodeConfig(opencode_config=chosen, offline=False), None))
    assert online == chosen
    with pytest.raises(ValidationFailed, match="longer than"):
        workload.settings(OpenCodeConfig(opencode_config={"username": "x" * 100_000}), None)


@pytest.mark.parametrize(
    "env",
    [
        {"OPENCODE_SERVER_PASSWORD": "x"},
        {"opencode_config_content": "{}"},
        {"HOME": "/"},
        {"PATH": "/tmp"},
        {"LD_PRELOAD": "/tmp/x.so"},
        {"XDG_DATA_HOME": "/"},
        {"MOORAGE_SECRET": "x"},
        {"": "x"},
        {"A=B": "x"},
        {"A B": "x"},
        {"1A": "x"},
        {"Ä": "x"},
        {"A": "x\x00y"},
        {"A": "\ud800"},
        {"A": "x" * 8193},
        {f"A{n}": "x" for n in range(65)},
        {f"A{n}": "x" * 2000 for n in range(40)},
    ],
    ids=lambda env: f"{next(iter(env), '')[:24]!a} of {len(env)}",
)
def test_variables_that_cannot_be_are_refused(env: dict[str, str]) -> None:
    with pytest.raises(ValidationFailed) as refused:
        workload.variables(env)
    assert refused.value.problems
    assert "x" * 100 not in refused.value.message


def test_variables_are_taken_as_they_are() -> None:
    env = {"ANTHROPIC_API_KEY": "sk-1", "_x": "", "https_proxy": "http://proxy:1", "TEXT": "a=b\nc {port:opencode}"}
    assert workload.variables(env) == env


@pytest.mark.parametrize("name", ["", "-x", "a" * 65, "a\nb", "ä", "$(x)"])
def test_agents_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(ValidationFailed):
        workload.agent(name)


@pytest.fixture
def opencode(opencode_binary: Path, llm: Llm, tmp_path: Path) -> Iterator[OpenCode]:
    """An OpenCode with the settings that sessions get, in a project that has its own."""
    project = tmp_path / "workspace"
    project.mkdir()
    own = {"username": "of-the-project", "instructions": ["READ.md"], "agent": {"tiny": {"mode": "primary"}}}
    (project / "opencode.json").write_text(json.dumps(own))
    chosen = llm.config(username="of-the-operator")
    config = OpenCodeConfig(binary=str(opencode_binary), opencode_config=chosen)
    server = OpenCode(tmp_path, json.loads(workload.settings(config, "tiny")))
    yield server
    server.stop()


async def test_a_running_opencode_is_ready_and_has_the_settings(opencode: OpenCode) -> None:
    endpoint = Endpoint(port=opencode.port)
    assert await workload.version(endpoint, opencode.authorization) == "1.18.33"
    assert not await workload.busy(endpoint, opencode.authorization)
    assert not await workload.ready(endpoint, "Basic b3BlbmNvZGU6d3Jvbmc=")
    with opencode.client() as client:
        config = client.get("/config").json()
    # The project's own settings hold where the operator has none.
    assert (config["username"], config["instructions"]) == ("of-the-operator", ["READ.md"])
    assert (config["share"], config["autoupdate"], config["default_agent"]) == ("disabled", False, "tiny")
    assert list(config["provider"]) == ["scripted"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
        b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"healthy": 1}',
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 2_000_000,
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        None,
    ],
    ids=["nothing", "rubbish", "null", "other", "much", "redirect", "hangs"],
)
async def test_what_is_no_opencode_is_never_ready(answer: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "PROBE_SECONDS", 0.3)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        endpoint = Endpoint(port=server.sockets[0].getsockname()[1])
        assert not await workload.ready(endpoint, "Basic eA==")
        assert not await workload.busy(endpoint, "Basic eA==")
    assert not await workload.ready(endpoint, "Basic eA==")
