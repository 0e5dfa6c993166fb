"""Peers from PyPI, each in an environment of its own below `bench/.peers/`, made at the first run."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from bench.proxies import PEERS

PACKAGES = {
    "fastmcp": "fastmcp>=4.1,<5",
    "mcp-proxy": "mcp-proxy>=0.13,<1",
    "contextforge": "mcp-contextforge-gateway>=1.0.7,<2",
    "litellm": "litellm[proxy]>=1.106,<2",
}


def installed(peer: str) -> Path:
    """The folder of a peer's programs."""
    place = PEERS / peer
    done = place / "installed"
    if not done.exists():
        print(f"  (installing {PACKAGES[peer]} into {place.relative_to(PEERS.parent.parent)})")
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([place / "bin" / "python", "-m", "pip", "install", "-q", PACKAGES[peer]], check=True)
        done.touch()
    return place / "bin"
