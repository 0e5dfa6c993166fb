"""What the page does with sound and with what is to be said: its modules without a page, run by Node as built."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from realparts.fixtures import need

CHECKS = Path(__file__).with_name("voice.mjs")
WEB = Path(__file__).parents[2] / "core/moorage/console/web"
ESBUILD = WEB / "node_modules/esbuild/bin/esbuild"
MODULES = ("resample.ts", "pauses.ts", "speakable.ts")


def run(*argv: str | Path) -> None:
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr or done.stdout


def test_sound_and_sentences(tmp_path: Path) -> None:
    need(None if shutil.which("node") and ESBUILD.exists() else "Node or esbuild is not installed (make page)")
    sources = [WEB / "src/voice" / name for name in MODULES]
    run(ESBUILD, *sources, "--bundle", "--format=esm", f"--outdir={tmp_path}", "--log-level=warning")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    run("node", CHECKS, tmp_path)
