"""The example's image with OpenCode, built on a real engine and run by the Docker runtime as sessions run it."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

import httpx
import pytest
from moorage.config.settings import DockerSettings
from moorage.runtimes import Limits, TerminalSize, WorkloadSpec
from moorage.runtimes.docker import DockerRuntime
from realparts.docker_engine import DockerEngine, debian_mirror

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
IMAGE = "opencode:test"
OFFLINE = {
    f"OPENCODE_DISABLE_{what}": "1" for what in ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS")
}


@pytest.fixture(scope="module")
def image(docker_engine: DockerEngine, debian_image: str, root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image, built with this machine's own package settings as secrets."""
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "apt").write_text(f"deb {debian_mirror()} bookworm main\n")
    arguments = ["--secret", f"id=apt,src={secrets / 'apt'}"]
    if bundle := os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile:
        arguments += ["--secret", f"id=ca,src={bundle}"]
    folder = root / "examples/opencode-image"
    docker_engine.docker(
        "build", "--network", "host", "-t", IMAGE, "--build-arg", f"BASE={debian_image}", *arguments,
        "-f", str(folder / "Containerfile"), str(folder), timeout=1200, env={"DOCKER_BUILDKIT": "1"},
    )  # fmt: skip
    return IMAGE


async def test_opencode_serves_from_an_image_that_cannot_be_written(
    docker_engine: DockerEngine, image: str, tmp_path: Path
) -> None:
    for name in ("home", "project"):
        (tmp_path / name).mkdir()
    spec = WorkloadSpec(
        name="tests.opencode",
        image=image,
        command=("opencode", "serve", "--hostname", "{host}", "--port", "{port:http}"),
        workdir=str(tmp_path / "project"),
        home=tmp_path / "home",
        env=OFFLINE,
        secrets={"OPENCODE_SERVER_PASSWORD": "secret"},
        ports=("http",),
        limits=Limits(memory_bytes=2 * 2**30, processes=512),
    )
    runtime = DockerRuntime(DockerSettings(url=docker_engine.url), tmp_path / "runtime")
    await runtime.open()
    try:
        await runtime.create(spec)
        endpoint = (await runtime.start(spec.name)).endpoints["http"]
        base = f"http://{endpoint.host}:{endpoint.port}"
        async with asyncio.timeout(120):
            while b"listening" not in (said := await runtime.logs(spec.name)):
                assert (await runtime.inspect(spec.name)).running, said.decode()
                await asyncio.sleep(0.2)
        async with httpx.AsyncClient(timeout=30) as client:
            assert (await client.get(f"{base}/session")).status_code == 401
            client.auth = httpx.BasicAuth("opencode", "secret")
            assert (await client.get(f"{base}/global/health")).json()["healthy"] is True
            made = await client.post(f"{base}/session", json={"title": "here"})
            assert made.json()["directory"] == str(tmp_path / "project")
        assert any((tmp_path / "home").iterdir())
        terminal = await runtime.exec(spec.name, ("bash", "-c", "git --version; rg --version"), terminal=TerminalSize())
        said = b""
        while part := await terminal.read():
            said += part
        assert b"git version" in said
        assert b"ripgrep" in said
        await terminal.close()
    finally:
        for name in await runtime.list():
            await runtime.remove(name)
        await runtime.close()
