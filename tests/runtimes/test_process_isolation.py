"""What a workload is given and what it can see: nothing of the server's, and in a sandbox little of the machine."""

import os
import socket
import stat
from pathlib import Path

import pytest
from moorage.config.settings import ProcessSettings
from moorage.errors import Unavailable, ValidationFailed
from moorage.runtimes import Limits, Mount, TerminalSize, WorkloadSpec
from moorage.runtimes.process import ProcessRuntime, sandbox

from .conftest import need_bubblewrap, ran, script, started, until
from .test_process_faults import each

PROBE = """
ls /proc/self/fd | wc -w; umask; ulimit -c; ulimit -n; readlink /proc/self/fd/0
ps -o pid=,ppid=,pgid=,sid= -p $$
"""


@each
async def test_it_inherits_nothing(workshop, isolation):
    leak = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        runtime = await workshop.open(isolation)
        _, said = await ran(runtime, script(PROBE, limits=Limits(open_files=123)))
    finally:
        os.close(leak)
    files, umask, core, most, stdin, numbers = said.splitlines()
    pid, _, group, session = numbers.split()
    assert int(files) == 4, "0, 1, 2 and what `ls` opened"
    assert (umask, core, most, stdin) == ("0022", "0", "123", "/dev/null")
    assert pid == group == session


@each
async def test_programs_inside_inherit_nothing(workshop, isolation):
    runtime = await workshop.open(isolation)
    await started(runtime, script("exec sleep 1000"))
    for terminal in (None, TerminalSize()):
        inside = await runtime.exec("t.one", ("sh", "-c", "ls /proc/self/fd | wc -w; tty"), terminal=terminal)
        said = b""
        while data := await inside.read():
            said += data
        lines = said.decode().split()
        assert lines[0] == "4"
        assert lines[1].startswith("/dev/pts/") if terminal else lines[1] == "not"
        await inside.close()


async def test_a_sandbox_has_no_rights_and_sees_little(workshop, tmp_path):
    (tmp_path / "seen").mkdir()
    (tmp_path / "unseen").write_text("x")
    runtime = await workshop.open("bubblewrap", hidden=[tmp_path / "data"])
    text = f"""
    grep -E '^(CapEff|CapBnd|CapPrm|NoNewPrivs)' /proc/self/status | tr -d '[:space:]'; echo
    ls / | tr '\\n' ' '; echo
    ps -e -o pid= | wc -l
    for file in /etc/shadow /root/.bashrc {tmp_path}/unseen {tmp_path}/data; do test -e $file && echo sees $file; done
    for path in / /usr /etc /dev /run; do touch $path/made 2>/dev/null && echo writes $path; done
    for path in /tmp /dev/shm /var/tmp {tmp_path}/seen; do touch $path/made || echo cannot write $path; done
    hostname changed 2>/dev/null && echo renamed; mount -t tmpfs none /tmp 2>/dev/null && echo mounted
    """
    state, said = await ran(runtime, script(text, mounts=(Mount(tmp_path / "seen"),)))
    assert state.isolation == "bubblewrap"
    rights, root, processes, *more = said.splitlines()
    nothing = "0" * 16
    assert rights == f"CapPrm:{nothing}CapEff:{nothing}CapBnd:{nothing}NoNewPrivs:1"
    assert {"home", "root", "boot", "srv", "sys"}.isdisjoint(root.split())
    assert int(processes) < 10
    assert more == []
    assert not Path("/tmp/made").exists()


async def test_a_sandbox_shows_nothing_of_the_servers_even_within_what_it_shows(workshop, tmp_path):
    """The data folder lies in a project's root, and the plugin's home for the session in the data folder."""
    data, config = tmp_path / "data", tmp_path / "moorage.toml"
    home = data / "plugins" / "opencode" / "homes" / "x"
    home.mkdir(parents=True)
    (data / "moorage.db").write_text("secret")
    config.write_text("secret")
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    runtime = await workshop.open("bubblewrap", hidden=[data, config])
    for number, root in enumerate((tmp_path, link)):
        text = f"cd {root}; ls data; cat moorage.toml data/moorage.db; echo x >{home}/made; echo x >{root}/made"
        spec = script(text, name=f"t.n{number}", home=home, mounts=(Mount(root),), workdir=str(root))
        _, said = await ran(runtime, spec)
        assert "secret" not in said
        assert "moorage.db: No such file" in said
        assert (home / "made").read_text() == "x\n"
        (home / "made").unlink()
    link.unlink()


@pytest.mark.parametrize("inside", ["", "moorage.db", "runtimes", "runtimes/process", "plugins", "plugins/opencode/.."])
async def test_what_is_the_servers_cannot_be_mounted(workshop, tmp_path, inside):
    data = tmp_path / "data"
    (data / "plugins" / "opencode").mkdir(parents=True)
    (data / "moorage.db").write_text("secret")
    runtime = await workshop.open("bubblewrap", hidden=[data])
    with pytest.raises(ValidationFailed, match="belongs to the server"):
        await started(runtime, script("true", mounts=(Mount(data / inside),)))


async def test_auto_goes_on_without_bubblewrap_and_says_so(workshop, monkeypatch):
    monkeypatch.setattr(sandbox, "find", lambda: None)
    runtime = await workshop.open("auto")
    health = await runtime.health()
    assert (health.status, health.detail) == ("ok", "Workloads are not isolated: bubblewrap is not installed")
    assert (await ran(runtime, script("exit 3")))[0].isolation == "none"
    strict = ProcessRuntime(ProcessSettings(isolation="bubblewrap"), workshop.folder)
    with pytest.raises(Unavailable, match="bubblewrap is not installed"):
        await strict.open()


@pytest.mark.parametrize(
    ("program", "said"),
    [("echo 'bwrap: No permissions to create new namespace' >&2; exit 1", "No permissions"), ("exit 3", "sandbox")],
)
async def test_a_bubblewrap_that_does_not_work_is_found_out_by_trying(workshop, monkeypatch, tmp_path, program, said):
    file = tmp_path / "bwrap"
    file.write_text(f"#!/bin/sh\n{program}\n")
    file.chmod(0o755)
    monkeypatch.setattr(sandbox, "find", lambda: str(file))
    runtime = await workshop.open("auto")
    assert said in (await runtime.health()).detail
    assert (await ran(runtime, script("exit 3")))[0].exit_code == 3
    with pytest.raises(Unavailable, match=said):
        await workshop.open("bubblewrap")
    assert not (workshop.folder / ".trial").exists()


async def test_a_sandbox_that_was_ended_from_outside_is_said(workshop):
    runtime = await workshop.open("bubblewrap")
    await started(runtime, script("exec sleep 1000"))
    inside = await runtime.exec("t.one", ("sh", "-c", "kill -9 2"))
    await inside.wait()
    state = await runtime.wait("t.one")
    assert state.reason == "Its sandbox was ended from outside"
    await inside.close()
    assert (await runtime.start("t.one")).running


@each
async def test_folders_for_temporary_files_are_its_own_and_empty_at_each_start(workshop, isolation):
    runtime = await workshop.open(isolation)
    text = "ls $TMPDIR; touch $TMPDIR/made; mkdir $TMPDIR/closed; touch $TMPDIR/closed/x; chmod 0 $TMPDIR/closed"
    await ran(runtime, script(text))
    await runtime.start("t.one")
    await runtime.wait("t.one")
    assert b"made" not in await runtime.logs("t.one")
    folder = workshop.state("t.one", "tmp")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    await runtime.remove("t.one")
    assert not folder.exists()


async def test_a_read_only_mount_within_one_that_is_not(workshop, tmp_path):
    (tmp_path / "work" / "kept").mkdir(parents=True)
    runtime = await workshop.open("bubblewrap")
    mounts = (Mount(tmp_path / "work" / "kept", read_only=True), Mount(tmp_path / "work"))
    _, said = await ran(runtime, script(f"cd {tmp_path}/work; touch made; touch kept/made", mounts=mounts))
    assert "kept/made" in said
    assert (tmp_path / "work" / "made").exists()
    assert not (tmp_path / "work" / "kept" / "made").exists()


async def test_a_file_can_be_mounted(workshop, tmp_path):
    (tmp_path / "file").write_text("content")
    runtime = await workshop.open("bubblewrap")
    spec = WorkloadSpec(name="t.one", command=("cat", str(tmp_path / "file")), mounts=(Mount(tmp_path / "file"),))
    assert (await ran(runtime, spec))[1] == "content"


@each
async def test_cores_are_held_by_affinity(workshop, isolation):
    runtime = await workshop.open(isolation)
    await started(runtime, script("nproc; exec sleep 1000", limits=Limits(cpus=0.5)))
    inside = await runtime.exec("t.one", ("nproc",))
    assert await inside.read() == b"1\n"
    await inside.close()
    assert await runtime.logs("t.one") == b"1\n"
    _, said = await ran(runtime, script("nproc", "t.two", limits=Limits(cpus=10_000)))
    assert int(said) == len(os.sched_getaffinity(0))


LISTEN = """
import socket, sys, time
ours = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listens", flush=True)
time.sleep(1000)
"""


@each
async def test_whose_a_port_is(workshop, isolation):
    """Ports of loopback are shared: who is faster than the workload must not be taken for it."""
    runtime = await workshop.open(isolation)
    command = ("/usr/bin/python3", "-c", LISTEN, "{port:web}")
    for name in ("t.one", "t.two"):
        await started(runtime, WorkloadSpec(name=name, command=command, ports=("web",)))
    await until(lambda: runtime.listens("t.one", "web"))
    await until(lambda: runtime.listens("t.two", "web"))
    assert not await runtime.listens("t.one", "other")
    late = await started(runtime, script("sleep 1000", name="t.late", ports=("web",)))
    assert not await runtime.listens("t.late", "web")
    for host, family in (("127.0.0.1", socket.AF_INET), ("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)):
        with socket.create_server((host, late.endpoints["web"].port), family=family, dualstack_ipv6=host == "::"):
            assert not await runtime.listens("t.late", "web")
    await runtime.stop("t.one", 0)
    assert not await runtime.listens("t.one", "web")


async def test_a_link_that_is_put_in_a_folders_place_is_not_followed(workshop, tmp_path, monkeypatch):
    """Who works in the folder above can exchange it at any moment: here in the last one, as bubblewrap starts."""
    need_bubblewrap()
    project, secret = tmp_path / "above" / "project", tmp_path / "secret"
    for folder in (project, secret, tmp_path / "bin"):
        folder.mkdir(parents=True)
    (secret / "key").write_text("x")
    wrapper = tmp_path / "bin" / "bwrap"
    wrapper.write_text(
        f"#!/bin/sh\n[ -e {tmp_path}/now ] && mv {project} {project}.old && ln -s {secret} {project}\n"
        f'exec {sandbox.find()} "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    runtime = await workshop.open("bubblewrap")
    spec = script(f"ls {project}; echo ran", mounts=(Mount(project, plain=True),))
    _, said = await ran(runtime, spec)
    assert said == "ran\n"
    (tmp_path / "now").touch()
    with pytest.raises(Unavailable, match="was exchanged while it was mounted"):
        await runtime.start("t.one")
    assert "key" not in (await runtime.logs("t.one")).decode()
    with pytest.raises(ValidationFailed, match="There is a link in"):
        await runtime.start("t.one")


async def test_a_sandbox_changes_nothing_of_the_kernel_also_where_the_server_is_root(workshop):
    """`core_pattern` names a program that the kernel runs as root: who may write it has left the sandbox."""
    runtime = await workshop.open("bubblewrap")
    text = """
    find /proc -regex '/proc/\\([0-9]+\\|self\\|thread-self\\|task\\)' -prune -o \\
        -type f -writable -exec test -f {} \\; -print 2>/dev/null
    for name in kernel/core_pattern kernel/modprobe vm/swappiness; do
        cat /proc/sys/$name >/tmp/now 2>/dev/null && { cat /tmp/now >/proc/sys/$name; } 2>/dev/null && echo wrote $name
    done
    head -c 1 /proc/kcore /proc/keys /proc/slabinfo 2>/dev/null | grep -v '^==>' | tr -d '\\n'
    ls /etc/ssl/private 2>/dev/null
    """
    _, said = await ran(runtime, script(text))
    assert said == ""
