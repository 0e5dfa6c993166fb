"""The Docker runtime against the suite that every runtime must pass."""

from pathlib import Path
from typing import ClassVar

import pytest
from moorage.config.settings import DockerSettings
from moorage.runtimes import Runtime
from moorage.runtimes.docker import DockerRuntime
from moorage.testing.runtimes import RuntimeConformance
from realparts.docker_engine import SMALL, DockerEngine


@pytest.fixture(autouse=True, scope="module")
def engine(docker_engine: DockerEngine, busybox_image: str) -> None:
    """The engine, with the image in it."""
    TestDocker.url = docker_engine.url


class TestDocker(RuntimeConformance):
    """Over an engine of the run's own."""

    image = SMALL
    listener: ClassVar[tuple[str, ...]] = ("httpd", "-f", "-p", "{host}:{port:web}")
    url: ClassVar[str]

    def make(self, folder: Path) -> Runtime:
        return DockerRuntime(DockerSettings(url=self.url), folder)
