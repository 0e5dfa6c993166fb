"""Workloads as containers of a Docker engine (or of Podman's Docker API), through the Docker SDK in threads."""

from __future__ import annotations

from pathlib import Path

from moorage.config.settings import DockerSettings


class DockerRuntime:
    """Workloads as containers. folder: where it keeps the name of this server's own among the engine's containers."""

    kind = "docker"

    def __init__(self, settings: DockerSettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
