"""Providers' keys: read from where the settings say when they are needed, and kept nowhere else."""

from __future__ import annotations

from moorage.api import SecretSource

from moorage_chat.providers.base import ErrorCode, ProviderError


async def key(source: SecretSource | None) -> str:
    """The key, "" where none is set up. ProviderError AUTH when it is not where it should be."""
    if source is None:
        return ""
    if not (found := await source.read()):
        raise ProviderError(ErrorCode.AUTH, f"no key in {source.where}")
    return found
