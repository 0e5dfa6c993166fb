"""Whether what an engine needs is installed, without importing it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def folder_of(module: str) -> Path | None:
    """Where a package lies; None: not installed."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def lacking(modules: dict[str, str], extras: str) -> str:
    """What is not installed of {module: package}, as a sentence with the mend; "": nothing."""
    missing = [package for module, package in modules.items() if folder_of(module) is None]
    if not missing:
        return ""
    return f'not installed: {", ".join(missing)} (pip install "moorage[{extras}]").'
