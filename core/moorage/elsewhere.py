"""Servers elsewhere, as plugins' settings name them: where one is, and where the secret is that it takes."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from moorage.plugin import PluginConfig

MAX_SECRET = 64 * 1024
"""Bytes of a file that are read."""


def server_url(url: str, *schemes: str) -> str:
    """A server's address and path, and nothing else, without a slash at its end. For validators of settings.

    ValueError, whose text does not repeat it: there may be a password in it.

    .. versionadded:: 0.1
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in schemes or not host or port == 0:
        raise ValueError(f"must begin with {' or '.join(f'{one}://' for one in schemes)} and name a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or a password: they would be seen in logs")
    if parts.query or parts.fragment:
        raise ValueError("must not have a query or a fragment")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("has characters that no URL may have")
    if _link_local(host):
        # Where clouds tell a machine its secrets; no server that is meant is there.
        raise ValueError("is a link-local address")
    return url.rstrip("/")


def _link_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_link_local)


class SecretSource(PluginConfig):
    """Where a secret is (a key, a token): never in the settings themselves.

    .. versionadded:: 0.1
    """

    env: str | None = Field(None, description="The environment variable that has it.")
    file: Path | None = Field(None, description="The file that has it.")

    @model_validator(mode="before")
    @classmethod
    def check_table(cls, value: Any) -> Any:
        """Who writes a secret here is told where it goes."""
        if isinstance(value, str):
            text = 'is not the secret itself: say where it is, { env = "NAME" } or { file = "/run/secrets/name" }'
            raise ValueError(text)  # noqa: TRY004 - pydantic takes this one for a refusal
        return value

    @model_validator(mode="after")
    def check_one(self) -> SecretSource:
        """One of both."""
        if (self.env is None) == (self.file is None):
            raise ValueError('give one of them: { env = "NAME" } or { file = "/run/secrets/name" }')
        return self

    @property
    def where(self) -> str:
        """The place, for operators."""
        return f"the environment variable {self.env}" if self.env is not None else f"the file {self.file}"

    async def read(self) -> str:
        """The secret; "" where there is none, or one that no header can carry: an error's text would repeat it.

        A file is read each time, so that a secret can be changed without a restart.
        """
        if self.file is None:
            found = os.environ.get(self.env or "", "").strip()
        else:
            found = await asyncio.to_thread(_read, self.file)
        return found if found.isascii() and found.isprintable() else ""


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SECRET).decode("utf-8", "replace").strip()
    except OSError:
        return ""
