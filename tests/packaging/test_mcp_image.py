"""The example's image for MCP workspaces, built on a real engine and used as workspaces use it."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
from moorage.config.settings import DockerSettings
from moorage.runtimes import Limits, WorkloadSpec
from moorage.runtimes.docker import DockerRuntime
from moorage_mcp import folders, programs
from realparts.docker_engine import DockerEngine, debian_mirror
from realparts.lines import Lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
IMAGE = "mcp:test"


@pytest.fixture(scope="module")
def image(docker_engine: DockerEngine, debian_image: str, root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image, built with this machine's own package settings as secrets."""
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "apt").write_text(f"deb {debian_mirror()} bookworm main\n")
    arguments = ["--secret", f"id=apt,src={secrets / 'apt'}"]
    if bundle := os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile:
        arguments += ["--secret", f"id=ca,src={bundle}"]
    docker_engine.docker(
        "build", "--network", "host", "-t", IMAGE, "--build-arg", f"BASE={debian_image}", *arguments,
        "-f", str(root / "examples/mcp-image/Containerfile"), str(root),
        timeout=1200, env={"DOCKER_BUILDKIT": "1"},
    )  # fmt: skip
    return IMAGE


async def test_a_workspace_of_the_image_has_files_and_git(
    docker_engine: DockerEngine, image: str, tmp_path: Path
) -> None:
    home = tmp_path / "ws_1"
    folders.make(home, "Ada", "ada@example.org")
    spec = WorkloadSpec(
        name="mcp.one", image=image, command=programs.HOLD, workdir=str(home), home=home,
        limits=Limits(memory_bytes=512 * 2**20, processes=64),
    )  # fmt: skip
    runtime = DockerRuntime(DockerSettings(url=docker_engine.url), tmp_path / "runtime")
    await runtime.open()
    try:
        await runtime.create(spec)
        await runtime.start(spec.name)
        command = ("python3", *programs.PROVIDED)
        talk = Lines(await runtime.exec(spec.name, command, workdir=str(home / folders.FILES)))
        assert (await talk.open())["serverInfo"]["name"] == "moorage-workspace"
        assert (await talk.tool("git_status"))["status"] == "clean"
        await talk.tool("write_file", path="a.txt", content="hello\n")
        await talk.tool("git_add", files=["."])
        await talk.tool("git_commit", message="First")
        assert "Author: Ada" in (await talk.tool("git_log"))["text"]
        assert (home / "files/a.txt").read_text() == "hello\n"
        await talk.program.close()
    finally:
        for name in await runtime.list():
            await runtime.remove(name)
        await runtime.close()
