"""The proxies that are compared: Moorage on its engines, nginx, configurable-http-proxy, jupyter-server-proxy."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.processes import Plain, children, first_ready
from bench.targets import engines

import fakedist  # isort: skip  (found through bench.processes)
import harness  # isort: skip

PEERS = Path(__file__).parent / ".peers"
"""What npm and pip bring for peers; made once, not kept by git."""

PLUGIN = """
from moorage.api import *

class Bench(Plugin):
    manifest = Manifest(name="bench", version="1.0", summary="A proxy", mounts=("/bench",),
                        permissions=(Permission("bench:thing:read", "Read", default="viewer"),))

    @hookimpl
    def moorage_routes(self, hub):
        hub.upstreams.register("it", port=%d)
        routes = Routes()

        @routes.proxy("/{rest:path}", access="bench:thing:read", sockets=True, max_body=1 << 30, max_frame=1 << 24)
        async def behind(request):
            return Target(hub.upstreams.get("it"), "/" + request.rest, prefix="/bench")

        return routes
"""
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream it {{ server 127.0.0.1:{upstream}; keepalive 256; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://it; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 300s;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Way:
    """One way to the upstream, whose "/" is at `url`. pid: whose CPU and memory count, if any."""

    name: str
    url: str
    pid: int | None
    cookie: str = ""


@contextlib.contextmanager
def ways(folder: Path) -> Iterator[list[Way]]:
    """All that can be had on this machine, started; the upstream itself is the first."""
    with contextlib.ExitStack() as stack:
        upstream = Plain([sys.executable, "-m", "bench.upstream", "{port}"], "/small")
        stack.enter_context(upstream.running())
        found = [Way("direct", upstream.url, None)]
        site = folder / "site"
        site.mkdir()
        fakedist.install(site, "bench", PLUGIN % upstream.port, cls="Bench")
        for engine in engines():
            for name, guarded in (("", False), (", limits and log", True)):
                config = {
                    "server": {"engine": engine, "access_log": guarded},
                    "limits": {"enabled": guarded, "general": "1000000/second"},
                    "plugins": {"bench": {"enabled": True}},
                }
                server = first_ready(folder / f"{engine}{len(found)}", config, PYTHONPATH=str(site))
                server.start()
                stack.callback(server.stop)
                found.append(Way(f"Moorage, {engine}{name}", server.url + "/bench", server.pid, server.cookie("ann")))
        for peer in (_nginx, _configurable, _jupyter):
            way = peer(stack, folder, upstream.port)
            if way is not None:
                found.append(way)
        yield found


def _nginx(stack: contextlib.ExitStack, folder: Path, upstream: int) -> Way | None:
    if shutil.which("nginx") is None:
        print("  (nginx is not installed: left out)")
        return None
    port = harness.free_port()
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, upstream=upstream, port=port))
    server = Plain(["nginx", "-p", str(folder), "-c", str(file)], "/small")
    server.port, server.url = port, f"http://127.0.0.1:{port}"
    stack.enter_context(server.running())
    return Way("nginx", server.url, children(server.pid)[0])


def _configurable(stack: contextlib.ExitStack, folder: Path, upstream: int) -> Way | None:
    program = PEERS / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    if not program.exists():
        if shutil.which("npm") is None:
            print("  (there is no npm: configurable-http-proxy is left out)")
            return None
        PEERS.mkdir(exist_ok=True)
        wanted = ["npm", "install", "--no-audit", "--no-fund", "--silent", "configurable-http-proxy@5"]
        subprocess.run(wanted, cwd=PEERS, check=True, stdin=subprocess.DEVNULL)
    command = ["node", str(program), "--ip=127.0.0.1", "--port={port}", f"--api-port={harness.free_port()}"]
    server = Plain([*command, f"--default-target=http://127.0.0.1:{upstream}", "--log-level=error"], "/small")
    stack.enter_context(server.running())
    return Way("configurable-http-proxy", server.url, server.pid)


def _jupyter(stack: contextlib.ExitStack, folder: Path, upstream: int) -> Way | None:
    python = PEERS / "jupyter" / "bin" / "python"
    if not python.exists():
        venv.create(PEERS / "jupyter", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "jupyter-server", "jupyter-server-proxy"], check=True)
    options = ["--ServerApp.token=", "--ServerApp.password=", "--ServerApp.disable_check_xsrf=True", "--no-browser"]
    options += ["--allow-root", "--ip=127.0.0.1", "--port={port}", f"--ServerApp.root_dir={folder}"]
    options += ["--ServerApp.log_level=ERROR", "--IdentityProvider.token="]
    path = f"/proxy/{upstream}"
    server = Plain(
        [str(python), "-m", "jupyter_server", *options],
        path + "/small",
        {"JUPYTER_CONFIG_DIR": str(folder), "JUPYTER_DATA_DIR": str(folder), "HOME": str(folder)},
    )
    stack.enter_context(server.running())
    with urllib.request.urlopen(server.url + path + "/small") as answer:
        assert answer.status == 200
    return Way("jupyter-server-proxy", server.url + path, server.pid)
