"""`scripts/parts`: finds a Python, is silent when nothing is missing, and says what to install when it may not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest


def parts(root: Path, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(root / "scripts" / "parts"), *args], capture_output=True, text=True, timeout=60, **options
    )


def test_it_prints_a_python_that_can_make_environments(root: Path) -> None:
    done = parts(root, "python")
    assert done.returncode == 0
    told = subprocess.run(
        [done.stdout.strip(), "-c", "import ensurepip, sys; print(sys.version_info >= (3, 11))"],
        capture_output=True,
        text=True,
    )
    assert told.stdout.strip() == "True"


def test_it_is_silent_when_everything_is_there(root: Path) -> None:
    done = parts(root, "want", "sh=dash", "bash=bash")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody else needs root")
def test_without_root_it_says_exactly_what_to_install_and_goes_on(root: Path) -> None:
    done = subprocess.run(
        ["bash", "-s", "want", "no-such-command=no-such-package"],
        input=(root / "scripts" / "parts").read_text(),
        capture_output=True,
        text=True,
        user="nobody",
        timeout=60,
        cwd="/",
    )
    assert done.returncode == 0
    assert "sudo apt-get install no-such-package" in done.stderr
    assert "Going on without: no-such-package" in done.stderr
