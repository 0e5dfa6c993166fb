"""Which server this is, among those that share a database or a container engine."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from moorage.errors import Unavailable


def own_id(folder: Path) -> str:
    """Eight hexadecimal digits, made once and kept in the folder: no other server has them.

    Unavailable when something else is kept there; OSError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "id"
    with contextlib.suppress(FileExistsError):
        new = folder / f"id.{os.getpid()}"
        new.write_text(secrets.token_hex(4) + "\n")
        try:
            os.link(new, path)
        finally:
            new.unlink()
    found = path.read_text().strip()
    if len(found) != 8 or set(found) - set("0123456789abcdef"):
        raise Unavailable(f"{path} does not hold the eight digits that the server wrote: mend or remove it")
    return found
