"""The embedded runtime: workloads as processes of this machine, each below a keeper that outlives the server."""

from __future__ import annotations

from pathlib import Path

from moorage.config.settings import ProcessSettings


class ProcessRuntime:
    """Workloads as processes. folder: where each has a folder of its own (mode 0700)."""

    kind = "process"

    def __init__(self, settings: ProcessSettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
