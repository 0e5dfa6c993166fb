"""Providers' keys: read from where the settings say when they are needed, and kept nowhere else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from moorage_chat.config import KeySource
from moorage_chat.providers.base import ErrorCode, ProviderError

MAX_KEY = 64 * 1024


async def key(source: KeySource | None) -> str:
    """The key, "" where none is set up. ProviderError AUTH when it is not where it should be.

    A file is read each time, so that a key can be changed without a restart.
    """
    if source is None:
        return ""
    if source.env is not None:
        found = os.environ.get(source.env, "").strip()
        where = f"the environment variable {source.env}"
    else:
        assert source.file is not None
        where = f"the file {source.file}"
        found = await asyncio.to_thread(_read, source.file)
    # What cannot be in a header would be refused with the key in the error's text.
    if not found or not found.isascii() or not found.isprintable():
        raise ProviderError(ErrorCode.AUTH, f"no key in {where}")
    return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY).decode("utf-8", "replace").strip()
    except OSError:
        return ""
