"""From asking for a session until it is ready, per runtime: a small server as the workload, then the real OpenCode."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from moorage.config.settings import DockerSettings, ProcessSettings
from moorage.runtimes import Runtime, WorkloadSpec
from moorage.runtimes.docker import DockerRuntime
from moorage.runtimes.process import ProcessRuntime, sandbox

import bench.processes  # noqa: F401  (makes the tests' parts importable)
from bench import report

import realcode  # isort: skip  (found through bench.processes)
from realparts import opencode  # isort: skip
from realparts.docker_engine import SMALL, DockerEngine  # isort: skip

Start = Callable[[int], Awaitable[float]]
COMMAND = ("busybox", "httpd", "-f", "-p", "{host}:{port:web}")


async def _answers(host: str, port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.002)
            continue
        writer.close()
        return


def _through(runtime: Runtime, image: str | None = None) -> Start:
    """Create, start, and wait until the port is listened on."""

    async def start(number: int) -> float:
        name = f"bench.n{number}"
        command = COMMAND if image is None else COMMAND[1:]
        begun = time.perf_counter()
        await runtime.create(WorkloadSpec(name=name, command=command, ports=("web",), image=image))
        where = (await runtime.start(name)).endpoints["web"]
        await _answers(where.host, where.port)
        took = time.perf_counter() - begun
        await runtime.remove(name)
        return took

    return start


async def _bare(number: int) -> float:
    """The same program without anything around it."""
    port = 31_000 + number
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec("busybox", "httpd", "-f", "-p", f"127.0.0.1:{port}")
    await _answers("127.0.0.1", port)
    took = time.perf_counter() - begun
    process.kill()
    await process.wait()
    return took


def _by_client(engine: DockerEngine) -> Start:
    """The same container by docker's own client."""

    async def start(number: int) -> float:
        port = 32_000 + number
        wanted = ("run", "-d", "--name", f"peer{number}", "-p", f"127.0.0.1:{port}:80", SMALL)
        begun = time.perf_counter()
        await asyncio.to_thread(engine.docker, *wanted, "httpd", "-f", "-p", "80")
        await _answers("127.0.0.1", port)
        took = time.perf_counter() - begun
        await asyncio.to_thread(engine.docker, "rm", "-f", f"peer{number}")
        return took

    return start


@contextlib.asynccontextmanager
async def _ways(folder: Path) -> AsyncIterator[dict[str, Start]]:
    found: dict[str, Start] = {"the program alone": _bare}
    async with contextlib.AsyncExitStack() as stack:

        async def opened(runtime: Runtime) -> Runtime:
            await runtime.open()
            stack.push_async_callback(runtime.close)
            return runtime

        kinds = ["none"] + (["bubblewrap"] if sandbox.find() else [])
        for kind in kinds:
            settings = ProcessSettings(isolation=kind)  # type: ignore[arg-type]
            found[f"process, isolation {kind}"] = _through(await opened(ProcessRuntime(settings, folder / kind)))
        if (why := DockerEngine.missing()) is None:
            engine = DockerEngine()
            stack.callback(engine.stop)
            engine.import_busybox()
            runtime = await opened(DockerRuntime(DockerSettings(url=engine.url), folder / "docker"))
            found["docker"] = _through(runtime, SMALL)
            found["docker's own client"] = _by_client(engine)
        else:
            print(f"  ({why}: docker is left out)")
        yield found


async def _small(rounds: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        async with _ways(Path(folder)) as ways:
            times: dict[str, list[float]] = {name: [] for name in ways}
            for number in range(rounds + 1):
                for name, start in ways.items():
                    took = await start(number)
                    if number:  # The first of each is not counted.
                        times[name].append(took * 1000)
    alone = report.median(times["the program alone"])
    return {
        name: {"ms": report.median(all_), "over alone": report.median(all_) - alone, "most": max(all_)}
        for name, all_ in times.items()
    }


def _sessions(rounds: int) -> dict[str, dict[str, float]]:
    binary = opencode.binary()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        places = {
            kind: stack.enter_context(
                realcode.coding(Path(folder, kind), binary, {"runtimes": {"process": {"isolation": kind}}})
            )
            for kind in ["none"] + (["bubblewrap"] if sandbox.find() else [])
        }
        for number in range(rounds):
            begun = time.perf_counter()
            alone = opencode.OpenCode(Path(folder, f"alone{number}"), {})
            with alone.client() as client:
                client.get("/session").raise_for_status()
            found.setdefault("opencode serve alone", []).append(time.perf_counter() - begun)
            alone.stop()
            for kind, place in places.items():
                project = place.project(f"p{number}")
                begun = time.perf_counter()
                session = place.session("ann", project)
                found.setdefault(f"POST /api/sessions, {kind}", []).append(time.perf_counter() - begun)
                with place.client("ann") as client:
                    client.delete(f"/api/sessions/{session}").raise_for_status()
    base = report.median(found["opencode serve alone"])
    return {
        name: {"s": report.median(times), "over alone": report.median(times) / base, "most": max(times)}
        for name, times in found.items()
    }


def run(*, rounds: int) -> None:
    """Measure and print."""
    subprocess.run(["busybox", "true"], check=True)
    data: dict[str, Any] = {"small": asyncio.run(_small(rounds)), "opencode": _sessions(max(2, rounds // 3))}
    heads = ("way", "ms until it answers", "ms over alone", "most ms")
    report.table("a small server as the workload", heads, [(n, *row.values()) for n, row in data["small"].items()])
    heads = ("way", "s until ready", "× alone", "most s")
    report.table("a session with OpenCode", heads, [(n, *row.values()) for n, row in data["opencode"].items()])
    print(f"  kept in {report.save('sessions', data)}")
