"""Plugins written by a test and installed as distributions of their own, for a server in another process."""

from __future__ import annotations

import textwrap
from pathlib import Path

PROBE = """
import asyncio
from quart import Response, request
from moorage.api import *

class Config(PluginConfig):
    greeting: str = "hello"
    size: int = 1

class {cls}(Plugin):
    manifest = Manifest(
        name="{name}", version="1.0", summary="A probe", mounts=("/{name}",), config=Config, dialect={dialect},
        permissions=(Permission("{name}:thing:read", "Read", default="viewer"),
                     Permission("{name}:thing:write", "Write", default="operator")),
        {manifest}
    )

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()
        self.hub = hub

        @routes.get("/greet", access=PUBLIC)
        async def greet():
            return json_response({{"greeting": hub.config.greeting, "plugin": id(self)}})

        @routes.get("/read", access="{name}:thing:read")
        async def read():
            actor = current_actor()
            return json_response({{"user": actor.user.username, "role": actor.user.role, "method": actor.method}})

        @routes.post("/write", access="{name}:thing:write")
        async def write():
            return json_response({{"got": parse_json(await request.get_data())}})

        @routes.post("/upload", access="{name}:thing:write", max_body=50_000_000)
        async def upload():
            size = 0
            async for chunk in request.body:
                size += len(chunk)
            return json_response({{"size": size}})

        @routes.get("/raise", access=PUBLIC)
        async def fail():
            raise RuntimeError("secret detail")

        @routes.get("/slow", access=PUBLIC, timeout=0.5)
        async def slow():
            await asyncio.sleep(30)
            return ""

        @routes.get("/wait/{{seconds}}", access=PUBLIC)
        async def wait(seconds):
            await asyncio.sleep(float(seconds))
            return json_response({{"waited": seconds}})

        @routes.get("/download", access="{name}:thing:read")
        async def download():
            chunks, pause = int(request.args.get("chunks", "50")), float(request.args.get("pause", "0.02"))

            async def body():
                for index in range(chunks):
                    yield b"%08d" % index + b"." * 1016
                    await asyncio.sleep(pause)
            return Response(body(), content_type="application/octet-stream")

        @routes.socket("/echo", access="{name}:thing:read")
        async def echo(socket):
            await socket.accept()
            async for message in socket:
                if message == "who":
                    message = socket.actor.user.role
                elif message == "raise":
                    raise RuntimeError("secret detail")
                elif message == "flood":
                    sent = 0
                    while socket.post("x" * 65536):
                        sent += 1
                        await asyncio.sleep(0)
                    hub.log.info("outbox full", sent=sent, pending=socket.pending)
                    continue
                await socket.send(message)

        @routes.socket("/coded", access="{name}:thing:write", close_codes={{401: 4001, 403: 4003}})
        async def coded(socket):
            await socket.accept()
            await socket.send("in")

        {routes}
        return routes

    {body}
"""


def install(site: Path, name: str, source: str, *, cls: str = "Thing") -> None:
    """Write module `<name>_module` and its metadata into `site`, to be put on PYTHONPATH."""
    info = site / f"{name}_dist-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[moorage.plugins]\n{name} = {name}_module:{cls}\n")
    (site / f"{name}_module.py").write_text(textwrap.dedent(source))


def probe(
    site: Path, name: str, *, manifest: str = "", routes: str = "", body: str = "", dialect: str = "CHROTE"
) -> None:
    """Install a probe: a plugin with a route for everything that the core promises."""
    indented = textwrap.indent(textwrap.dedent(body), "    ").strip()
    more = textwrap.indent(textwrap.dedent(routes), "        ").strip()
    source = PROBE.format(name=name, cls="Thing", manifest=manifest, routes=more, body=indented, dialect=dialect)
    install(site, name, source)
