"""The plugin: its manifest, and the hooks by which the core calls it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable

from moorage.api import CHROTE, Actor, Entry, Health, Hub, Manifest, Plugin, Route, Running, hookimpl

from moorage_tmux import hooks, sockets, views
from moorage_tmux.config import TmuxConfig
from moorage_tmux.console import Console
from moorage_tmux.rights import PERMISSIONS
from moorage_tmux.service import Terminals
from moorage_tmux.tmux import Tmux

OLDEST = (3, 2)
VERSION_SECONDS, VERSION_TRIES = 5.0, 3
_VERSION = re.compile(r"tmux (?:next-)?(\d+)\.(\d+)")


class TmuxPlugin(Plugin):
    """Shared terminals over tmux's control mode."""

    manifest = Manifest(
        name="tmux",
        version="0.1.0",
        summary="Shared terminals: watch and drive tmux sessions together",
        mounts=("/tmux", ":3000/"),
        config=TmuxConfig,
        permissions=PERMISSIONS,
        models="moorage_tmux.models",
        migrations="moorage_tmux.migrations",
        dialect=CHROTE,
    )

    terminals: Terminals
    console: Console
    _version = ""

    @hookimpl
    def moorage_add_hookspecs(self) -> Iterable[object]:
        """Offer the hooks of shared terminals."""
        return [hooks.Specs]

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """Build the service, and the routes over it."""
        if not isinstance(hub.config, TmuxConfig):
            raise TypeError("the tmux plugin was given another plugin's settings")
        self.terminals = Terminals(hub, hub.config)
        self.console = Console(hub, self.terminals)
        return [*views.routes(self.terminals), *sockets.routes(self.terminals)]

    @hookimpl
    async def moorage_startup(self, hub: Hub) -> None:
        """Check that there is a tmux that can do what is needed, and take claims up again."""
        self._version = await tmux_version(self.terminals.tmux)
        await self.terminals.start()

    @hookimpl
    async def moorage_shutdown(self, hub: Hub) -> None:
        """Detach from every session; tmux and what runs in it go on."""
        await self.terminals.close()

    @hookimpl
    async def moorage_health(self, hub: Hub) -> Health:
        """What is being watched; that no tmux server runs is no fault."""
        terminals = self.terminals
        return Health(
            "ok",
            data={
                "tmux": self._version,
                "watched_sessions": len(terminals.pool),
                "sockets": len(terminals.announce.connections),
                "claims": len(terminals.claims),
                "recordings": len(terminals.recordings),
            },
        )

    @hookimpl
    async def moorage_overview(self, actor: Actor, limit: int) -> Iterable[Entry]:
        """The newest terminals."""
        return await self.console.overview(actor, limit)

    @hookimpl
    async def moorage_search(self, actor: Actor, query: str, limit: int) -> Iterable[Entry]:
        """Terminals by name."""
        return await self.console.search(actor, query, limit)

    @hookimpl
    async def moorage_running(self, actor: Actor, limit: int) -> Iterable[Running]:
        """All terminals."""
        return await self.console.running(actor, limit)

    @hookimpl
    async def moorage_end(self, actor: Actor, kind: str, id: str) -> None:
        """End a terminal."""
        await self.console.end(actor, kind, id)


async def tmux_version(tmux: Tmux) -> str:
    """What `tmux -V` says. RuntimeError for the operator when there is none, when it is too old, or does not answer."""
    said = ""
    for left in reversed(range(VERSION_TRIES)):
        try:
            said = await _ask_version(tmux)
            break
        except TimeoutError as error:  # Before OSError, of which it is one.
            if not left:
                raise RuntimeError(
                    f"{tmux.binary} -V did not answer within {VERSION_SECONDS:g} s, {VERSION_TRIES} times: "
                    "is this machine busy?"
                ) from error
        except OSError as error:
            raise RuntimeError(
                f"{tmux.binary} cannot be run ({error.strerror}): install tmux 3.2 or newer "
                "(Debian: apt install tmux), or set [plugins.tmux] tmux_binary"
            ) from error
    match = _VERSION.match(said)
    if match and (int(match[1]), int(match[2])) < OLDEST:
        raise RuntimeError(f"{said} is too old: tmux 3.2 or newer is needed for control mode's flow control")
    return said


async def _ask_version(tmux: Tmux) -> str:
    """OSError when it cannot be run; TimeoutError after VERSION_SECONDS."""
    process = await asyncio.create_subprocess_exec(
        tmux.binary, "-V", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=tmux.environment()
    )
    try:
        async with asyncio.timeout(VERSION_SECONDS):
            out, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return out.decode("utf-8", "replace").strip()
