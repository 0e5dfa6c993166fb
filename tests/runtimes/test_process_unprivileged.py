"""The process runtime for a user without rights: all that keeps workloads apart must be had without root."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from moorage.config.settings import ProcessSettings
from moorage.runtimes import Runtime
from moorage.runtimes.process import ProcessRuntime, workload
from moorage.testing.runtimes import RuntimeConformance

from .conftest import need_bubblewrap

NOBODY = 65534
PYTHON = "/usr/bin/python3"
RECENT = "import sys; sys.exit(sys.version_info < (3, 11))"


def usable() -> bool:
    """Whether there is a Python that somebody else may run too."""
    return Path(PYTHON).exists() and subprocess.run([PYTHON, "-c", RECENT], check=False).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root has shown it with the other tests")
@pytest.mark.skipif(not usable(), reason="only this user can run a Python")
class TestNobody(RuntimeConformance):
    """The keeper, and so the workload, runs as somebody who owns nothing but the folders."""

    def make(self, folder: Path) -> Runtime:
        need_bubblewrap()
        return ProcessRuntime(ProcessSettings(isolation="bubblewrap"), folder)

    @pytest.fixture
    def tmp_path(self, monkeypatch: pytest.MonkeyPatch):
        folder = Path(tempfile.mkdtemp(prefix="mr"))
        code = folder / "moorage" / "runtimes" / "keeper"
        shutil.copytree(Path(workload.KEEPER[-1]), code, ignore=shutil.ignore_patterns("__pycache__"))
        who = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        monkeypatch.setattr(workload, "KEEPER", (*who, PYTHON, "-I", "-S", str(code)))
        spawn = workload.Workload._spawn

        async def spawn_as_nobody(self, task):
            give(folder)
            return await spawn(self, task)

        monkeypatch.setattr(workload.Workload, "_spawn", spawn_as_nobody)
        os.chown(folder, NOBODY, NOBODY)
        yield folder
        shutil.rmtree(folder)


def give(folder: Path) -> None:
    """Make it all nobody's."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
