"""Workloads outlive the server, and are found again or ended; a keeper that dies leaves nothing."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from moorage.errors import Unavailable
from moorage.runtimes import WorkloadStatus
from moorage.runtimes.process import control, workload

from .conftest import SECONDS, Workshop, alive, script, started, until
from .test_process_faults import _sleepers, each

LIFE = """
import asyncio, os, signal, sys
from pathlib import Path
from moorage.config.settings import ProcessSettings
from moorage.runtimes import WorkloadSpec
from moorage.runtimes.process import ProcessRuntime

async def main():
    folder, isolation, when = sys.argv[1:]
    runtime = ProcessRuntime(ProcessSettings(isolation=isolation), Path(folder))
    await runtime.open()
    spec = WorkloadSpec(name="t.one", command=("sh", "-c", "echo {port:a}; exec sleep 1000"), ports=("a",))
    await runtime.create(spec)
    if when != "after":
        asyncio.get_running_loop().call_later(float(when), os.kill, os.getpid(), signal.SIGKILL)
    state = await runtime.start("t.one")
    print(state.unit, state.endpoints["a"].port, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def keeper_of(workshop: Workshop, name="t.one") -> int:
    """The process number of a keeper."""
    return json.loads(workshop.state(name).read_text())["keeper"]


@each
async def test_it_outlives_a_server_that_is_killed(workshop, isolation):
    life = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", LIFE, workshop.folder, isolation, "after"], capture_output=True
    )
    assert life.returncode == -signal.SIGKILL, life.stderr
    unit, port = life.stdout.splitlines()[-1].split()
    runtime = await workshop.open(isolation)
    state = await runtime.inspect("t.one")
    assert (state.status, state.unit) == (WorkloadStatus.RUNNING, unit.decode())
    assert state.endpoints["a"].port == int(port)
    async with asyncio.timeout(SECONDS):
        while not (said := await runtime.logs("t.one")):  # It had only just been started.
            await asyncio.sleep(0.01)
    assert said == port + b"\n"
    assert (await runtime.stop("t.one")).exit_code == 143


@pytest.mark.parametrize("when", ["0.001", "0.01", "0.03", "0.06"])
async def test_a_server_that_is_killed_while_it_starts_one_finds_it_or_finds_that_it_does_not_run(workshop, when):
    await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", LIFE, workshop.folder, "none", when], capture_output=True
    )
    runtime = await workshop.open()
    state = await runtime.inspect("t.one")
    if state.running:
        assert state.endpoints["a"].port
        assert alive(state.unit)
    # Whichever it was: it is known, and does as it is told.
    if state.status is not WorkloadStatus.MISSING:
        assert (await runtime.start("t.one")).running
        assert (await runtime.stop("t.one", 0.2)).status is WorkloadStatus.EXITED


@each
async def test_a_killed_keeper_leaves_nothing(workshop, isolation):
    runtime = await workshop.open(isolation)
    state = await started(runtime, script("setsid sh -c 'sleep 5678 & sleep 5678'& exec sleep 5678"))
    await until(lambda: len(_sleepers("5678")) == 3)
    os.kill(keeper_of(workshop), signal.SIGKILL)
    async with asyncio.timeout(SECONDS):
        found = await runtime.wait("t.one")
    assert (found.status, found.exit_code) == (WorkloadStatus.EXITED, None)
    assert "keeper was killed" in found.reason
    await until(lambda: _sleepers("5678") == [])
    assert not alive(state.unit)
    assert (await runtime.start("t.one")).running
    assert (await runtime.stop("t.one", 0.2)).reason == ""


@each
async def test_a_keeper_that_was_killed_while_no_server_ran_leaves_nothing(workshop, isolation):
    runtime = await workshop.open(isolation)
    await started(runtime, script("setsid sleep 6789 & exec sleep 6789"))
    await until(lambda: len(_sleepers("6789")) == 2)
    await runtime.close()
    os.kill(keeper_of(workshop), signal.SIGKILL)
    after = await workshop.open(isolation)
    assert "was not found again" in (await after.inspect("t.one")).reason
    await until(lambda: _sleepers("6789") == [])


async def test_after_a_reboot_numbers_of_processes_mean_nothing(workshop):
    """What is on disk says that it runs, and a stranger has the numbers now."""
    runtime = await workshop.open()
    await started(runtime, script("exec sleep 1000", ports=("a",)))
    path = workshop.state("t.one")
    stale = json.loads(path.read_text())
    await runtime.stop("t.one", 0)
    await runtime.close()
    stranger = await asyncio.create_subprocess_exec("sleep", "1000", start_new_session=True)
    path.write_text(json.dumps({**stale, "pid": stranger.pid, "keeper": stranger.pid}))
    after = await workshop.open()
    state = await after.inspect("t.one")
    assert (state.status, state.endpoints) == (WorkloadStatus.EXITED, {})
    assert (await after.stop("t.one", 0)).status is WorkloadStatus.EXITED
    await after.remove("t.one")
    assert stranger.returncode is None
    assert alive(stranger.pid)
    stranger.kill()
    await stranger.wait()


@each
async def test_a_keeper_that_hangs_is_killed_with_what_it_keeps(workshop, isolation, monkeypatch):
    monkeypatch.setattr(control, "SECONDS", 0.5)
    runtime = await workshop.open(isolation)
    state = await started(runtime, script("setsid sleep 7890 & exec sleep 1000"))
    keeper = keeper_of(workshop)
    os.kill(keeper, signal.SIGSTOP)
    async with asyncio.timeout(SECONDS):
        await runtime.remove("t.one")
    await until(lambda: not alive(keeper) and not alive(state.unit) and not _sleepers("7890"))
    assert await runtime.list() == {}


async def test_keepers_that_are_told_to_end_stop_their_workload_first(workshop):
    """As a service manager does that ends all processes of a machine."""
    runtime = await workshop.open()
    await started(runtime, script("trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.05; done"))
    await until(lambda: _said(runtime, b"up"))
    os.kill(keeper_of(workshop), signal.SIGTERM)
    async with asyncio.timeout(SECONDS):
        state = await runtime.wait("t.one")
    assert state.exit_code == 9
    assert "told its keeper to end it" in state.reason
    assert b"bye" in await runtime.logs("t.one")


@each
async def test_workloads_end_with_the_server_where_that_is_wished(workshop, isolation):
    runtime = await workshop.open(isolation, on_stop="stop")
    states = [await started(runtime, script("exec sleep 1000", f"t.{name}")) for name in ("one", "two")]
    await runtime.close()
    assert not any(alive(state.unit) for state in states)
    after = await workshop.open(isolation)
    assert {state.exit_code for state in (await after.list()).values()} == {143}


async def test_two_servers_that_should_not_be_do_no_harm(workshop):
    """Only one keeper can have a workload."""
    one, two = await workshop.open(), None
    await one.create(script("exec sleep 1000"))
    two = await workshop.open()
    states = await asyncio.gather(one.start("t.one"), two.start("t.one"), return_exceptions=True)
    assert sum(not isinstance(state, Exception) and state.running for state in states) >= 1, states
    assert len({state.unit for state in states if not isinstance(state, Exception)}) == 1
    for runtime in (one, two):
        with contextlib.suppress(Exception):
            await runtime.stop("t.one", 0)
    last = await workshop.open()
    assert not (await last.inspect("t.one")).running


async def test_a_folder_as_deep_as_can_be(workshop, tmp_path):
    workshop.folder = tmp_path.joinpath(*["deep" * 20] * 5)
    runtime = await workshop.open()
    assert (await started(runtime, script("exec sleep 1000"))).running
    assert (await (await workshop.open()).inspect("t.one")).running


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "t.bad"}'])
async def test_a_folder_that_is_broken_is_left_alone_and_the_others_are_found(workshop, content):
    runtime = await workshop.open()
    for name in ("t.bad", "t.good"):
        await started(runtime, script("exit 3", name))
        await runtime.wait(name)
    workshop.state("t.bad", "spec.json").write_text(content)
    workshop.state("t.good").write_text(content)
    (workshop.folder / "stray file").write_text("x")
    after = await workshop.open()
    found = await after.list()
    assert list(found) == ["t.good"]
    assert found["t.good"].status is WorkloadStatus.EXITED
    assert (await after.start("t.good")).status is not WorkloadStatus.CREATED


async def test_a_keeper_is_small_and_does_nothing_while_nothing_happens(workshop):
    runtime = await workshop.open()
    await started(runtime, script("exec sleep 1000"))
    stat = Path(f"/proc/{keeper_of(workshop)}")

    def computed() -> list[str]:
        return (stat / "stat").read_text().split()[13:15]

    async with asyncio.timeout(SECONDS):  # What its start has left to do may take a while.
        before: list[str] = []
        while before != (before := computed()):
            await asyncio.sleep(1)
    resident = int((stat / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident < 20 * 1024 * 1024
    assert "asyncio" not in (stat / "maps").read_text()


async def test_a_keeper_shows_no_secret(workshop):
    runtime = await workshop.open()
    await started(runtime, script("exec sleep 1000", secrets={"PASSWORD": "hidden-1"}))
    folder = Path(f"/proc/{keeper_of(workshop)}")
    for name in ("cmdline", "environ"):
        assert b"hidden-1" not in (folder / name).read_bytes()
    for file in workshop.state("t.one").parent.iterdir():
        if file.name != "tmp":
            assert file.stat().st_mode & 0o077 == 0, file
        if file.is_file() and b"hidden-1" in file.read_bytes():
            assert file.name == "spec.json"


async def _said(runtime, text):
    return text in await runtime.logs("t.one")


def test_a_keeper_needs_nothing_of_the_server():
    """It is run without site-packages: what it imports must be there all the same."""
    code = "import sys; sys.argv = ['keeper']; import runpy; runpy.run_path(sys.orig_argv[-1])"
    done = subprocess.run([*workload.KEEPER[:3], "-c", code, workload.KEEPER[-1]], input=b"{}", capture_output=True)
    assert b"KeyError: 'folder'" in done.stderr or done.returncode == 0, done.stderr


async def test_a_keeper_of_another_release_is_told_as_that(workshop, monkeypatch):
    """Its files were exchanged while the server runs: it does not understand what it is told."""
    run = workload._run_keeper

    def another(task: bytes, errors: int) -> bytes:
        older = json.loads(task)
        del older["plain"]
        return run(json.dumps(older).encode(), errors)

    runtime = await workshop.open("bubblewrap")
    monkeypatch.setattr(workload, "_run_keeper", another)
    await runtime.create(script("sleep 1000"))
    with pytest.raises(Unavailable, match=r"keeper failed.*Restart the server"):
        await runtime.start("t.one")
    monkeypatch.undo()
    await runtime.start("t.one")
