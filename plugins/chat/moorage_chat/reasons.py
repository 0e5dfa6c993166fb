"""Errors for the log."""

from __future__ import annotations

from moorage.api import MoorageError


def reason_of(error: Exception) -> str:
    """An error for the log, in a line."""
    return error.message if isinstance(error, MoorageError) else f"{type(error).__name__}: {error}"
