"""The process runtime against the suite that every runtime must pass."""

from pathlib import Path

from moorage.config.settings import ProcessSettings
from moorage.runtimes import Runtime
from moorage.runtimes.process import ProcessRuntime
from moorage.testing.runtimes import RuntimeConformance

from .conftest import need_bubblewrap


class TestPlain(RuntimeConformance):
    """Without isolation."""

    def make(self, folder: Path) -> Runtime:
        return ProcessRuntime(ProcessSettings(isolation="none"), folder)


class TestIsolated(RuntimeConformance):
    """In bubblewrap's sandbox."""

    def make(self, folder: Path) -> Runtime:
        need_bubblewrap()
        return ProcessRuntime(ProcessSettings(isolation="bubblewrap"), folder)
