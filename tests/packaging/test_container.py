"""The Containerfile, built and run on a real engine; and `make serve` on a Debian with hardly anything on it."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from realparts.docker_engine import DockerEngine, debian_mirror
from realparts.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
IMAGE = "moorage:test"


@pytest.fixture(scope="module")
def image(docker_engine: DockerEngine, debian_image: str, root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image, built with this machine's own package settings as secrets."""
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "apt").write_text(f"deb {debian_mirror()} bookworm main\n")
    arguments = ["--secret", f"id=apt,src={secrets / 'apt'}"]
    if bundle := os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile:
        arguments += ["--secret", f"id=ca,src={bundle}"]
    docker_engine.docker(
        "build", "--network", "host", "-t", IMAGE, "--build-arg", f"BASE={debian_image}",
        *arguments, "-f", str(root / "Containerfile"), str(root),
        timeout=1200, env={"DOCKER_BUILDKIT": "1"},
    )  # fmt: skip
    return IMAGE


def test_the_container_runs_as_a_user_of_its_own_and_becomes_healthy(docker_engine: DockerEngine, image: str) -> None:
    docker = docker_engine.docker
    name = docker(
        "run", "-d", "--health-interval", "1s", "-p", "127.0.0.1::8000", "-v", "kept:/data", image
    ).stdout.strip()
    health = wait_for_health(docker_engine, name)
    assert health == "healthy", docker("logs", name, check=False)
    assert docker("exec", name, "id", "-u").stdout.strip() == "10001"
    assert docker("exec", name, "stat", "-c", "%U %a", "/data").stdout.strip() == "moorage 700"
    logs = docker("logs", name)
    assert "/#setup=" in logs.stdout + logs.stderr
    listed = json.loads(docker("exec", name, "moorage", "plugins", "list", "--json").stdout)
    states = {plugin["name"]: plugin["state"] for plugin in listed}
    assert states == dict.fromkeys(("chat", "mcp", "memories", "opencode", "tmux", "voice"), "started")
    port = docker("port", name, "8000").stdout.strip().rpartition(":")[2]
    page = subprocess.run(["curl", "-fsS", f"http://127.0.0.1:{port}/"], capture_output=True, text=True, timeout=20)
    assert '<div id="app">' in page.stdout, page.stderr
    docker("stop", "-t", "20", name)
    assert docker("inspect", "-f", "{{.State.ExitCode}}", name).stdout.strip() == "0"


def test_what_was_kept_is_there_in_the_next_container(docker_engine: DockerEngine, image: str) -> None:
    docker = docker_engine.docker
    docker("run", "--rm", "-v", "second:/data", image, "sh", "-c",
           "echo 'correct horse battery' | moorage users create ada --role owner --password-file -")  # fmt: skip
    listed = docker("run", "--rm", "-v", "second:/data", image, "moorage", "users", "list").stdout
    assert "ada" in listed


def test_nothing_of_the_builder_stays_in_the_image(docker_engine: DockerEngine, image: str) -> None:
    history = docker_engine.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout
    assert debian_mirror() not in history
    looks = "cat /run/secrets/* /etc/apt/sources.list.d/build.list /etc/pip.conf /root/.npmrc 2>/dev/null"
    left = docker_engine.docker("run", "--rm", "--user", "root", image, "sh", "-c", looks, check=False)
    assert left.stdout.strip() == ""


def test_make_serve_on_a_bare_debian(
    docker_engine: DockerEngine, debian_image: str, root: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(root), str(clone)], check=True, timeout=120)
    docker = docker_engine.docker
    bundle = os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
    name = docker(
        "run", "-d", "--network", "host", "-v", f"{clone}:/src", "-v", f"{bundle}:/ca.crt:ro", "-w", "/src",
        "-e", "PIP_CERT=/ca.crt", "-e", "NODE_EXTRA_CA_CERTS=/ca.crt",
        "-e", f'MOORAGE__SERVER__LISTEN=["127.0.0.1:{free_port()}"]', "-e", "MOORAGE__PLUGINS__TMUX__MOUNT=/tmux",
        debian_image, "sh", "-c",
        "apt-get update -q && apt-get install -qy --no-install-recommends make python3 && exec make serve",
    ).stdout.strip()  # fmt: skip
    try:
        deadline = time.monotonic() + 600
        while "First start: make the owner's account at" not in (said := _logs(docker_engine, name)):
            state = docker("inspect", "-f", "{{.State.Running}}", name).stdout.strip()
            assert state == "true", said[-6000:]
            assert time.monotonic() < deadline, said[-6000:]
            time.sleep(1)
        assert "Made moorage.toml" in said
        assert re.search(r"Installing .*tmux", said)
        assert not re.search(r"Plugin \w+ does not run", said)
    finally:
        docker("rm", "-f", name, check=False)


def wait_for_health(engine: DockerEngine, name: str) -> str:
    deadline = time.monotonic() + 60
    while True:
        status = engine.docker("inspect", "-f", "{{.State.Status}} {{.State.Health.Status}}", name).stdout.split()
        if status[0] != "running" or status[1] != "starting" or time.monotonic() > deadline:
            return status[-1]
        time.sleep(0.2)


def _logs(engine: DockerEngine, name: str) -> str:
    done = engine.docker("logs", name, check=False)
    return done.stdout + done.stderr
