"""What is wrong with a plugin, found out in a process of its own: a plugin that hangs or dies hurts nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 20.0
"""What the process itself may take, beside the import of the plugin, before it is ended."""
MAX_REPORT = 256 * 1024


@dataclass(slots=True)
class Report:
    """What the examination found. No problems: the plugin can be loaded."""

    name: str
    version: str = ""
    summary: str = ""
    mounts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def examine(name: str, config_path: Path | None, import_timeout: float) -> Report:
    """Import and check a plugin, enabled or not. Never raises for what the plugin does; takes seconds at most."""
    command = [sys.executable, "-m", "moorage.cli.probe", name, "--timeout", str(import_timeout)]
    if config_path is not None:
        command += ["--config", str(config_path)]
    with tempfile.TemporaryFile() as report, tempfile.TemporaryFile() as noise:
        process = subprocess.Popen(
            [*command, "--report", str(report.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=noise,
            pass_fds=[report.fileno()],
            start_new_session=True,
        )
        try:
            code = process.wait(import_timeout + START_SECONDS)
        except subprocess.TimeoutExpired:
            return Report(name, problems=[f"import: did not end within {import_timeout:g} s"])
        finally:
            _end(process)
        report.seek(0)
        told = report.read(MAX_REPORT)
        if told:
            return Report(**json.loads(told))
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        noise.seek(0)
        last = noise.read(MAX_REPORT).decode(errors="replace").strip().splitlines()[-1:]
        return Report(name, problems=[f"import: ended the process with {how}" + (f": {last[0][:200]}" if last else "")])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it has started, which is in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # It has ended, and so have its children.
    process.wait()
