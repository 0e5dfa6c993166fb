"""The conformance suite of runtimes: what whatever runs workloads must do, as tests to inherit.

    from moorage.testing.runtimes import RuntimeConformance

    class TestMine(RuntimeConformance):
        image = "debian:12"

        def make(self, folder):
            return MyRuntime(folder)

Workloads are small scripts for `sh`; only `sh`, `sleep`, `cat`, `head`, `yes`, `env`, `stty` and a program that listens
(see `listener`) must be where they run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from moorage.errors import Conflict, NotFound, ValidationFailed
from moorage.runtimes.base import Limits, Mount, Runtime, TerminalSize, WorkloadSpec, WorkloadState, WorkloadStatus
from moorage.testing.runtime_parts import SECONDS, RuntimeParts, answers, output, owner, size


class RuntimeConformance(RuntimeParts):
    """The suite; see `RuntimeParts` for what to say of a runtime. Inherit from it under a name that pytest collects."""

    # -- life ---------------------------------------------------------------------------------------------------

    async def test_from_creation_to_removal(self, runtime: Runtime) -> None:
        """Each step has its state; starting or stopping twice changes nothing."""
        state = await runtime.create(self.spec(labels={"for": "tests"}))
        assert (state.status, state.running) == (WorkloadStatus.CREATED, False)
        with pytest.raises(Conflict):
            await runtime.create(self.spec())
        started = await runtime.start("tests.one")
        assert started.running, started
        assert started.started_at is not None
        assert started.exit_code is None
        again = await runtime.start("tests.one")
        assert (again.unit, again.started_at) == (started.unit, started.started_at)
        assert await runtime.inspect("tests.one") == (await runtime.list())["tests.one"]
        assert dict((await runtime.inspect("tests.one")).labels)["for"] == "tests"
        stopped = await runtime.stop("tests.one")
        assert (stopped.status, stopped.exit_code) == (WorkloadStatus.EXITED, 143)
        assert stopped.ended_at is not None
        assert (await runtime.stop("tests.one")).exit_code == 143
        assert (await runtime.start("tests.one")).running, "it can be started again"
        await runtime.remove("tests.one")
        assert (await runtime.inspect("tests.one")).status is WorkloadStatus.MISSING
        assert await runtime.list() == {}

    async def test_names_that_nobody_has(self, runtime: Runtime) -> None:
        """NotFound, but for what is harmless."""
        assert (await runtime.inspect("tests.none")).status is WorkloadStatus.MISSING
        await runtime.remove("tests.none")
        calls: list[Callable[[str], Awaitable[Any]]] = [
            runtime.start,
            runtime.stop,
            runtime.wait,
            runtime.logs,
            runtime.stats,
            lambda name: runtime.exec(name, ("true",)),
        ]
        for call in calls:
            with pytest.raises(NotFound):
                await call("tests.none")

    async def test_it_ends_by_itself(self, runtime: Runtime) -> None:
        """The exit code is the program's; what it said is kept, stdout and stderr."""
        state, said = await self.run(runtime, "echo out; echo err >&2; exit 7")
        assert (state.status, state.exit_code) == (WorkloadStatus.EXITED, 7)
        assert sorted(said.split()) == [b"err", b"out"]

    async def test_it_is_killed_by_a_signal(self, runtime: Runtime) -> None:
        """128 and the signal's number. The shell that waits is not process 1, which no signal of its own kills."""
        state, _ = await self.run(runtime, "sh -c 'kill -9 $$'; exit $?")
        assert state.exit_code == 137

    async def test_it_can_clean_up(self, runtime: Runtime) -> None:
        """SIGTERM comes first, and the program has time."""
        await runtime.create(self.spec("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.1; done"))
        await runtime.start("tests.one")
        await self.said(runtime, b"ready")
        assert (await runtime.stop("tests.one", 30)).exit_code == 5
        assert b"bye" in await runtime.logs("tests.one")

    async def test_it_does_not_want_to_end(self, runtime: Runtime) -> None:
        """Who ignores SIGTERM is killed."""
        await runtime.create(self.spec("trap '' TERM; echo ready; while :; do sleep 0.1; done"))
        await runtime.start("tests.one")
        await self.said(runtime, b"ready")
        assert (await runtime.stop("tests.one", 0.3)).exit_code == 137

    async def test_all_of_it_ends(self, runtime: Runtime, tmp_path: Path) -> None:
        """What it left in the background ends with it."""
        await runtime.create(
            self.spec(
                f"cd {tmp_path}; (trap '' HUP TERM; while :; do echo x >>beat; sleep 0.05; done) & echo ready; wait",
                mounts=(Mount(tmp_path),),
            )
        )
        await runtime.start("tests.one")
        await self.until(lambda: size(tmp_path / "beat"))
        await runtime.stop("tests.one", 0.2)
        before = size(tmp_path / "beat")
        await asyncio.sleep(0.3)
        assert size(tmp_path / "beat") == before, "a process of it lives on"

    async def test_wishes_that_come_together(self, runtime: Runtime) -> None:
        """Overlapping calls for one name are put in an order, and none is lost."""
        made = await asyncio.gather(*(runtime.create(self.spec()) for _ in range(3)), return_exceptions=True)
        assert sum(isinstance(one, WorkloadState) for one in made) == 1, made
        assert sum(isinstance(one, Conflict) for one in made) == 2, made
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(
                runtime.start("tests.one"),
                runtime.start("tests.one"),
                runtime.stop("tests.one", 0),
                runtime.start("tests.one"),
            )
        assert (await runtime.inspect("tests.one")).running
        assert list(await runtime.list()) == ["tests.one"]

    # -- the server's next life ---------------------------------------------------------------------------------

    async def test_the_server_restarts(self, runtime: Runtime, other: Callable[[], Runtime]) -> None:
        """What runs is found again, can be reached, is seen to end and can be started again."""
        await runtime.create(self.spec(name="tests.stays", ports=("web",), labels={"a": "b"}))
        await runtime.create(self.spec("exit 3", name="tests.ended"))
        await runtime.create(self.spec(name="tests.new"))
        before = await runtime.start("tests.stays")
        await runtime.start("tests.ended")
        await runtime.wait("tests.ended")
        await runtime.close()
        after = other()
        await after.open()
        try:
            found = await after.list()
            assert sorted(found) == ["tests.ended", "tests.new", "tests.stays"]
            assert found["tests.new"].status is WorkloadStatus.CREATED
            assert found["tests.ended"].exit_code == 3
            assert found["tests.stays"] == before
            assert await output(await after.exec("tests.stays", ("echo", "here"))) == (b"here\n", 0)
            assert (await after.stop("tests.stays", 0.2)).status is WorkloadStatus.EXITED
            assert (await after.start("tests.ended")).started_at is not None
            assert (await after.wait("tests.ended")).exit_code == 3
        finally:
            for name in await after.list():
                await after.remove(name)
            await after.close()
            await runtime.open()

    # -- what it is given ---------------------------------------------------------------------------------------

    async def test_its_environment(self, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the spec says and what every workload has, and nothing of the server's own."""
        monkeypatch.setenv("SERVERS_OWN_SECRET", "leaked")
        state, said = await self.run(
            runtime, "env; pwd", env={"GREETING": "a b\nc"}, secrets={"PASSWORD": "hidden"}, home=tmp_path
        )
        text = said.decode()
        assert "leaked" not in text
        assert "GREETING=a b\nc\n" in text
        assert "PASSWORD=hidden\n" in text
        assert f"HOME={tmp_path}\n" in text
        for name in ("CONFIG", "DATA", "STATE", "CACHE"):
            assert f"XDG_{name}_HOME={tmp_path}/" in text
        for name in ("PATH", "LANG", "TERM"):
            assert f"{name}=" in text
        assert "hidden" not in repr((state, await runtime.list()))

    async def test_what_it_sees(self, runtime: Runtime, tmp_path: Path) -> None:
        """Mounts at the same path, to be written only where that is allowed; it starts where it is told to."""
        for name in ("work", "given"):
            (tmp_path / name).mkdir()
        (tmp_path / "given" / "file").write_text("content\n")
        _, said = await self.run(
            runtime,
            f"pwd; cat {tmp_path}/given/file; echo x >made; echo x 2>/dev/null >{tmp_path}/given/file || echo refused",
            workdir=str(tmp_path / "work"),
            mounts=(Mount(tmp_path / "work"), Mount(tmp_path / "given", read_only=True)),
        )
        assert said.startswith(f"{tmp_path}/work\ncontent\n".encode()), said
        if (await runtime.inspect("tests.one")).isolation != "none":
            assert b"refused" in said
            assert (tmp_path / "given" / "file").read_text() == "content\n"
        assert (tmp_path / "work" / "made").read_text() == "x\n"
        assert owner(tmp_path / "work" / "made") == owner(tmp_path)

    async def test_its_ports(self, runtime: Runtime) -> None:
        """Each is told its own, and is reached there."""
        names = ("tests.one", "tests.two")
        for name in names:
            spec = WorkloadSpec(name=name, command=self.listener, image=self.image, ports=("web", "more"))
            await runtime.create(spec)
        states = [await runtime.start(name) for name in names]
        taken = {(e.host, e.port) for state in states for e in state.endpoints.values()}
        assert len(taken) == 4, taken
        for state in states:
            end = state.endpoints["web"]
            await self.until(partial(answers, end.host, end.port))

    async def test_its_log(self, runtime: Runtime) -> None:
        """The newest lines, and never more than what is to be kept."""
        script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i + 1)); done; printf end"
        state, said = await self.run(runtime, script, limits=Limits(log_bytes=64 * 1024))
        assert state.exit_code == 0
        assert len(said.split(b"\n")) == 200
        assert said.endswith(b"line 2999\nend")
        assert await runtime.logs("tests.one", lines=2) == b"line 2999\nend"
        assert len(await runtime.logs("tests.one", lines=10**6)) <= 64 * 1024

    async def test_it_says_more_than_is_kept(self, runtime: Runtime) -> None:
        """A flood neither stops it nor fills the disk."""
        script = "yes 0123456789abcdef | head -c 30000000; echo; echo end"
        state, said = await self.run(runtime, script, limits=Limits(log_bytes=256 * 1024))
        assert state.exit_code == 0
        assert said.endswith(b"\nend\n")
        assert len(await runtime.logs("tests.one", lines=10**9)) <= 256 * 1024

    async def test_its_memory(self, runtime: Runtime) -> None:
        """Who takes more than is allowed is ended."""
        if not self.holds_memory:
            pytest.skip("this runtime cannot hold it here")
        script = "x=0123456789abcdef; while :; do x=$x$x; done"
        state, _ = await self.run(runtime, script, limits=Limits(memory_bytes=64 * 1024 * 1024))
        assert state.exit_code not in (0, None), state
        assert "memory" in state.reason.lower(), state

    async def test_specs_that_cannot_be(self, runtime: Runtime, tmp_path: Path) -> None:
        """ValidationFailed at creation or at the start, and nothing runs."""
        wrong: dict[str, dict[str, Any]] = {
            "mount": {"mounts": (Mount(tmp_path / "missing"),)},
            "home": {"home": tmp_path / "missing"},
            "port": {"env": {"URL": "{port:web}"}},
            "variable": {"env": {"A=B": "x"}},
            "nul": {"env": {"A": "x\0y"}},
        }
        for name, what in wrong.items():
            spec = self.spec(name=f"tests.{name}", **what)
            with pytest.raises(ValidationFailed):
                await self._create_and_start(runtime, spec)
            assert not (await runtime.inspect(f"tests.{name}")).running

    async def test_what_it_uses(self, runtime: Runtime) -> None:
        """Figures while it runs, None when it does not."""
        await runtime.create(self.spec("while :; do :; done", limits=Limits(memory_bytes=1 << 30)))
        assert await runtime.stats("tests.one") is None
        await runtime.start("tests.one")
        stats = await runtime.stats("tests.one")
        assert stats is not None
        assert stats.processes >= 1
        assert stats.memory_limit in (1 << 30, None)

        async def busy() -> bool:
            now = await runtime.stats("tests.one")
            return now is not None and now.cpu_percent > 0 and now.memory_bytes > 0

        await self.until(busy)

    # -- exec ---------------------------------------------------------------------------------------------------

    async def test_a_program_inside(self, runtime: Runtime, tmp_path: Path) -> None:
        """Input, output, exit code, environment and folder; without a terminal."""
        await runtime.create(self.spec(env={"A": "1"}, mounts=(Mount(tmp_path),)))
        with pytest.raises(Conflict):
            await runtime.exec("tests.one", ("true",))
        await runtime.start("tests.one")
        script = "echo $A$B; pwd; cat; exit 4"
        inside = await runtime.exec("tests.one", ("sh", "-c", script), env={"B": "2"}, workdir=str(tmp_path))
        await inside.write(b"input")
        await inside.close_input()
        assert await output(inside) == (f"12\n{tmp_path}\ninput".encode(), 4)
        with pytest.raises(ConnectionError):
            await inside.write(b"more")

    async def test_a_terminal_inside(self, runtime: Runtime) -> None:
        """It has a size, which can be changed; what is typed is echoed."""
        await runtime.create(self.spec())
        await runtime.start("tests.one")
        inside = await runtime.exec("tests.one", ("sh",), terminal=TerminalSize(101, 31), env={"PS1": "$ "})
        await inside.write(b"stty size\n")
        await self.reads(inside, b"31 101")
        await inside.resize(TerminalSize(90, 20))
        await inside.write(b"stty size; exit 3\n")
        await self.reads(inside, b"20 90")
        while await inside.read():
            pass
        assert await inside.wait() == 3
        await inside.close()

    async def test_it_is_closed(self, runtime: Runtime) -> None:
        """A terminal that is closed ends what runs in it; so does the end of the workload."""
        await runtime.create(self.spec())
        await runtime.start("tests.one")
        first = await runtime.exec("tests.one", ("sleep", "1000"), terminal=TerminalSize())
        plain = await runtime.exec("tests.one", ("sleep", "1000"))
        last = await runtime.exec("tests.one", ("sh",), terminal=TerminalSize())
        async with asyncio.timeout(SECONDS):
            for inside in (first, plain):
                await inside.close()
                await inside.close()
                assert await inside.wait() != 0
                assert await inside.read() == b""
            await runtime.stop("tests.one", 0.2)
            while await last.read():
                pass
            assert await last.wait() != 0
            await last.close()

    async def test_nobody_reads(self, runtime: Runtime) -> None:
        """A program whose output is not read is made to wait, and loses nothing."""
        await runtime.create(self.spec())
        await runtime.start("tests.one")
        inside = await runtime.exec("tests.one", ("sh", "-c", "yes 0123456789abcde | head -c 3000000"))
        await asyncio.sleep(0.2)
        said, code = await output(inside)
        assert (len(said), code) == (3_000_000, 0)

    async def test_a_program_that_is_not_there(self, runtime: Runtime) -> None:
        """Either it is refused at once, or it ends as a shell would say."""
        await runtime.create(self.spec())
        await runtime.start("tests.one")
        try:
            inside = await runtime.exec("tests.one", ("no-such-program",))
        except ValidationFailed:
            return
        assert (await output(inside))[1] in (126, 127)

    # -- the rest -----------------------------------------------------------------------------------------------

    async def test_health(self, runtime: Runtime) -> None:
        """It says how it is."""
        assert (await runtime.health()).status in ("ok", "degraded")

    async def test_an_image_that_is_not_there(self, runtime: Runtime) -> None:
        """None, and not an error."""
        assert await runtime.digest("moorage.invalid/no-such-image:1") is None
