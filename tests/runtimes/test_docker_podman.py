"""The Docker runtime over Podman's Docker API, against the suite that every runtime must pass."""

from pathlib import Path
from typing import ClassVar

import pytest
from moorage.config.settings import DockerSettings
from moorage.runtimes import Runtime
from moorage.runtimes.docker import DockerRuntime
from moorage.testing.runtimes import RuntimeConformance
from realparts.docker_engine import SMALL
from realparts.podman import Podman

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True, scope="module")
def engine(podman: Podman) -> None:
    """Podman, with the image in it."""
    TestPodman.url = podman.url


class TestPodman(RuntimeConformance):
    """What Podman 4.3 does otherwise is told in docs/docker.md."""

    pytestmark = pytest.mark.asyncio

    image = SMALL
    listener: ClassVar[tuple[str, ...]] = ("httpd", "-f", "-p", "{host}:{port:web}")
    url: ClassVar[str]

    def make(self, folder: Path) -> Runtime:
        return DockerRuntime(DockerSettings(url=self.url, network="podman"), folder)

    @pytest.mark.skip(reason="Podman 4.3 begins its log anew when it is full")
    async def test_its_log(self, runtime: Runtime) -> None:
        """See the suite."""

    @pytest.mark.skip(reason="Podman 4.3 does not tell of memory on machines with cgroups of version 1")
    async def test_its_memory(self, runtime: Runtime) -> None:
        """See the suite."""
