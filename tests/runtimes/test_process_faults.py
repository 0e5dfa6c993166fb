"""What may go wrong with a workload that is a process, and what becomes of it."""

import asyncio
import os
import secrets
import socket
import subprocess
from pathlib import Path

import pytest
from moorage.errors import Conflict, Unavailable, ValidationFailed
from moorage.runtimes import Limits, Mount, TerminalSize, WorkloadSpec, WorkloadStatus
from realparts.ports import free_port

from .conftest import SECONDS, alive, ran, script, started, until

ISOLATIONS = ["none", "bubblewrap"]
each = pytest.mark.parametrize("isolation", ISOLATIONS)


@each
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"command": ("no-such-program",)}, "'no-such-program' is not there"),
        ({"command": ("./missing",)}, "'./missing' is not there"),
        ({"command": ()}, "command is empty"),
        ({"workdir": "/no/such"}, "/no/such is not there"),
        ({"workdir": "relative"}, "no absolute path"),
        ({"home": Path("/etc/passwd")}, "/etc/passwd is no folder"),
        ({"mounts": (Mount(Path("/no/such")),)}, "/no/such, which the workload is to see, is not there"),
        ({"mounts": (Mount(Path("/etc"), "/other"),)}, "cannot be shown at /other"),
        ({"ports": ("a", "a")}, "named twice"),
        ({"env": {"BIG": "x" * 200_000}}, "larger than Linux takes"),
        ({"env": {f"A{n}": "x" * 60_000 for n in range(40)}}, "larger than Linux takes"),
        ({"command": ("echo", "{port:nowhere}")}, "{port:nowhere} names no port"),
        ({"name": "a" * 201}, "no name for a workload"),
        ({"name": "../up"}, "no name for a workload"),
        ({"name": ".trial"}, "no name for a workload"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[-20:],
)
async def test_a_spec_that_cannot_run_is_refused_and_says_why(workshop, isolation, wrong, said):
    runtime = await workshop.open(isolation)
    spec = WorkloadSpec(**{"name": "t.one", "command": ("true",), **wrong})
    with pytest.raises(ValidationFailed) as refused:
        await started(runtime, spec)
    assert said in refused.value.message
    assert not any(state.running for state in (await runtime.list()).values())


@each
async def test_a_program_that_is_none_is_told_at_the_start(workshop, tmp_path, isolation):
    file = tmp_path / "odd"
    file.write_bytes(b"\x7fELF but not really")
    file.chmod(0o755)
    runtime = await workshop.open(isolation)
    with pytest.raises(ValidationFailed, match="could not be started: Exec format error"):
        await started(runtime, WorkloadSpec(name="t.one", command=(str(file),), mounts=(Mount(tmp_path),)))
    state = await runtime.inspect("t.one")
    assert state.status is WorkloadStatus.CREATED
    file.write_text("#!/bin/sh\necho mended\n")
    await runtime.start("t.one")
    await runtime.wait("t.one")
    assert await runtime.logs("t.one") == b"mended\n"


async def test_a_program_that_the_sandbox_does_not_show_is_told(workshop, tmp_path):
    file = tmp_path / "tool"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    runtime = await workshop.open("bubblewrap")
    with pytest.raises(ValidationFailed, match="which the sandbox does not show: mount it"):
        await started(runtime, WorkloadSpec(name="t.one", command=(str(file),)))


@each
async def test_daemons_end_with_their_workload(workshop, tmp_path, isolation):
    seconds = _seconds()
    daemon = f"trap '' HUP TERM; echo $$ >>{tmp_path}/pids; exec sleep {seconds}"
    wait = f'while [ "$(wc -l <{tmp_path}/pids 2>/dev/null)" != 2 ]; do sleep 0.05; done'
    fork = f'setsid sh -c "{daemon}" &'
    text = f"setsid sh -c '{fork} {fork}'; {wait}; echo ready; exec sleep 1000"
    runtime = await workshop.open(isolation)
    await started(runtime, script(text, mounts=(Mount(tmp_path),)))
    await until(lambda: _said(runtime, b"ready"))
    stats = await runtime.stats("t.one")
    assert stats.processes == 3
    await runtime.stop("t.one", 0.1)
    assert _sleepers(seconds) == []


@each
async def test_daemons_end_when_the_program_ends_by_itself(workshop, isolation):
    runtime = await workshop.open(isolation)
    seconds = _seconds()
    state, _ = await ran(runtime, script(f"setsid sleep {seconds} & sleep 0.2; exit 6"))
    assert state.exit_code == 6
    assert _sleepers(seconds) == []


async def test_a_disk_that_is_full_is_said_and_a_state_is_written_all_the_same(workshop, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make a small disk")
    workshop.folder = tmp_path / "small"
    workshop.folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", workshop.folder], check=True)
    try:
        runtime = await workshop.open()
        await runtime.create(script("yes | head -c 1000000; exit 3"))
        (workshop.folder / "filler").write_bytes(b"x" * 4096 * (os.statvfs(workshop.folder).f_bavail))
        with pytest.raises(Unavailable, match="No space left"):
            await runtime.create(script("true", "t.two"))
        assert list(await runtime.list()) == ["t.one"]
        await runtime.start("t.one")
        assert (await runtime.wait("t.one")).exit_code == 3
        after = await workshop.open()
        assert (await after.inspect("t.one")).exit_code == 3
        (workshop.folder / "filler").unlink()
        await after.start("t.one")
        assert (await after.wait("t.one")).exit_code == 3
        assert await after.logs("t.one", lines=1) == b"y\n"
        for one in (runtime, after):
            await one.close()
        workshop.runtimes.clear()
    finally:
        subprocess.run(["umount", "-l", workshop.folder], check=True)


@each
async def test_programs_inside_end_with_the_workload_and_no_more_are_taken(workshop, isolation):
    runtime = await workshop.open(isolation)
    await started(runtime, script("read x </dev/zero; exec sleep 1000"))
    programs = [
        await runtime.exec("t.one", ("sh", "-c", "trap '' TERM HUP; sleep 1000"), terminal=size)
        for size in (None, TerminalSize())
    ]
    ending = asyncio.create_task(runtime.stop("t.one", 0.1))
    results = await asyncio.gather(*(runtime.exec("t.one", ("true",)) for _ in range(5)), return_exceptions=True)
    async with asyncio.timeout(SECONDS):
        await ending
        for program in programs:
            while await program.read():
                pass
            assert await program.wait() != 0
            with pytest.raises(ConnectionError):
                await program.write(b"x")
            await program.close()
    for one in results:
        assert isinstance(one, Conflict) or await one.wait() >= 0
        if not isinstance(one, Exception):
            await one.close()
    with pytest.raises(Conflict):
        await runtime.exec("t.one", ("true",))


@each
async def test_what_a_closed_terminal_left_in_its_session_is_ended(workshop, isolation):
    runtime = await workshop.open(isolation)
    await started(runtime, script("exec sleep 1000"))
    inside = await runtime.exec("t.one", ("sh",), terminal=TerminalSize())
    await inside.write(b"(trap '' HUP; exec sleep 3456) &\n")
    await until(lambda: _sleepers("3456"))
    await inside.close()
    await until(lambda: _sleepers("3456") == [])


@each
async def test_a_reader_that_goes_away_ends_nothing_but_its_own(workshop, isolation):
    runtime = await workshop.open(isolation)
    await started(runtime, script("exec sleep 1000"))
    flood = await runtime.exec("t.one", ("yes",))
    quiet = await runtime.exec("t.one", ("cat",))
    await flood.read()
    await flood.close()
    await quiet.write(b"still here")
    assert await quiet.read() == b"still here"
    await quiet.close()


@each
async def test_an_exec_whose_caller_goes_away_is_ended(workshop, isolation):
    runtime = await workshop.open(isolation)
    await started(runtime, script("exec sleep 1000"))
    for _ in range(10):
        asking = asyncio.create_task(runtime.exec("t.one", ("sleep", "4567")))
        await asyncio.sleep(0.002)
        asking.cancel()
        done = (await asyncio.gather(asking, return_exceptions=True))[0]
        if not isinstance(done, BaseException):
            await done.close()
    await until(lambda: _sleepers("4567") == [])


@each
async def test_more_processes_than_allowed(workshop, isolation):
    runtime = await workshop.open(isolation)
    text = "for i in $(seq 40); do sleep 1000 & done; echo made; wait"
    state, said = await ran(runtime, script(text, limits=Limits(processes=20)))
    if state.reason:
        assert "more processes than the 20" in state.reason
        assert state.exit_code == 137
    else:  # The kernel counts for a sandbox of who is not root: no more could be made.
        assert "fork" in said


@each
async def test_a_fork_bomb_is_ended(workshop, isolation):
    runtime = await workshop.open(isolation)
    # Bounded, for the sake of the machine that the tests run on.
    text = "for i in $(seq 300); do sleep 1000 & setsid sleep 1000 & done; wait"
    state, _ = await ran(runtime, script(text, limits=Limits(processes=100)))
    assert state.exit_code != 0
    assert not _marked(workshop, "t.one")


@each
async def test_a_caller_who_goes_away_does_not_leave_half_a_start(workshop, isolation):
    runtime = await workshop.open(isolation)
    await runtime.create(script("exec sleep 1000"))
    for _ in range(3):
        starting = asyncio.create_task(runtime.start("t.one"))
        await asyncio.sleep(0.005)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        assert (await runtime.start("t.one")).running
        assert (await runtime.stop("t.one", 0)).exit_code in (137, 143)


def three_in_a_row() -> int:
    """The first of three spare ports, where the kernel gives none to connections of its own choice."""
    while True:
        first = free_port()
        if (free_port(), free_port()) == (first + 1, first + 2):
            return first


async def test_ports_that_others_have_are_not_given(workshop):
    with socket.socket() as other:
        taken = three_in_a_row()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", taken))
        other.listen()
        runtime = await workshop.open(ports=f"{taken}-{taken + 2}")
        await runtime.create(script("exec sleep 1000", ports=("a",)))
        port = (await runtime.start("t.one")).endpoints["a"].port
        assert port in (taken + 1, taken + 2)
        after = await workshop.open(ports=f"{taken}-{taken + 2}")
        second = await started(after, script("exec sleep 1000", "t.two", ports=("a",)))
        assert {second.endpoints["a"].port, port} == {taken + 1, taken + 2}
        await after.create(script("exec sleep 1000", "t.three", ports=("a",)))
        with pytest.raises(Unavailable, match="All ports"):
            await after.start("t.three")
        await after.stop("t.two")
        assert (await after.start("t.three")).running


async def test_a_port_that_is_taken_meanwhile_is_another_at_the_next_start(workshop):
    runtime = await workshop.open()
    await runtime.create(script("exec sleep 1000", ports=("a",)))
    port = (await runtime.start("t.one")).endpoints["a"].port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        await runtime.stop("t.one")
        assert (await runtime.start("t.one")).endpoints["a"].port != port


async def test_fifty_at_once(workshop):
    runtime = await workshop.open()
    names = [f"t.w{number}" for number in range(50)]
    async with asyncio.timeout(2 * SECONDS):
        states = await asyncio.gather(*(started(runtime, script("exec sleep 1000", n, ports=("a",))) for n in names))
        assert all(state.running for state in states)
        assert len({state.endpoints["a"].port for state in states}) == 50
        await asyncio.gather(*(runtime.stop(name) for name in names))
        await asyncio.gather(*(runtime.remove(name) for name in names))
    assert await runtime.list() == {}
    assert not any(alive(state.unit) for state in states)


async def _said(runtime, text):
    return text in await runtime.logs("t.one")


def _seconds():
    """Some that nobody else sleeps."""
    return f"{secrets.randbelow(10**9) + 1000}"


def _sleepers(seconds):
    """The processes that sleep so long."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if (folder / "cmdline").read_bytes() == f"sleep\0{seconds}\0".encode() and alive(folder.name):
                found.append(folder.name)
        except OSError:
            continue
    return found


def _marked(workshop, name):
    """The processes of a workload that still live."""
    import json

    from moorage.runtimes.process import orphans

    return orphans._marked(json.loads(workshop.state(name).read_text())["mark"])


async def test_more_programs_at_once_than_a_keeper_takes_are_refused_and_the_workload_ends_as_ever(workshop):
    runtime = await workshop.open("none")
    await started(runtime, WorkloadSpec(name="t.one", command=("sleep", "1000")))
    begun = await asyncio.gather(*(runtime.exec("t.one", ("cat",)) for _ in range(300)), return_exceptions=True)
    refused = [one for one in begun if isinstance(one, BaseException)]
    programs = [one for one in begun if not isinstance(one, BaseException)]
    assert len(programs) == 256
    assert {type(one) for one in refused} == {Unavailable}
    assert await runtime.stats("t.one") is not None
    await programs[0].close()
    again = await runtime.exec("t.one", ("echo", "again"))
    assert await again.read() == b"again\n"
    async with asyncio.timeout(SECONDS):
        await runtime.remove("t.one")
    assert (await runtime.inspect("t.one")).status is WorkloadStatus.MISSING
    for program in programs:
        await program.close()
