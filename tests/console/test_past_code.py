"""How the page plays recordings and pages through the past: its modules without a page, run by Node as built."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from realparts.fixtures import need

CHECKS = Path(__file__).with_name("past.mjs")
WEB = Path(__file__).parents[2] / "core/moorage/console/web"
ESBUILD = WEB / "node_modules/esbuild/bin/esbuild"
NAMES = re.findall(r'^  async "(.+)"\(\)', CHECKS.read_text(), re.MULTILINE)


def run(*argv: str | Path) -> None:
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr or done.stdout


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the modules, bundled as the page's are."""
    need(None if shutil.which("node") and ESBUILD.exists() else "Node or esbuild is not installed (make page)")
    folder = tmp_path_factory.mktemp("replay")
    sources = [WEB / "src" / name for name in ("replay/cast.ts", "replay/player.ts", "terminal/past.ts")]
    # One copy of what both share, so that an error's class is the same.
    run(ESBUILD, *sources, "--bundle", "--splitting", "--format=esm", f"--outdir={folder}", "--log-level=warning")
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_code(bundle: Path, name: str) -> None:
    run("node", CHECKS, bundle, name)


def test_that_every_check_is_run() -> None:
    assert len(NAMES) > 10
