"""What a workload sees of the machine when bubblewrap keeps it apart, as bubblewrap's arguments."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from moorage.errors import ValidationFailed
from moorage.runtimes.base import Mount, WorkloadSpec

PROGRAM = "bwrap"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store")
"""Read-only, as far as they are there: programs and what they need."""
ETC = (
    "alternatives", "bash.bashrc", "bash_completion.d", "ca-certificates", "ca-certificates.conf", "crypto-policies",
    "debian_version", "environment.d", "fonts", "group", "host.conf", "hosts", "inputrc", "java-11-openjdk",
    "java-17-openjdk", "java-21-openjdk", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "locale.conf",
    "localtime", "magic", "magic.mime", "mime.types", "nsswitch.conf", "os-release", "passwd", "pki", "profile",
    "profile.d", "protocols", "resolv.conf", "rpc", "services", "shells", "ssl", "terminfo", "timezone", "vim", "xdg",
    "zsh",
)  # fmt: skip
"""Of /etc only what programs need: the rest has keys and passwords, of which the server's user may read some."""
PRIVATE = ("/etc/ssl/private", "/etc/pki/private", "/etc/pki/tls/private")
"""Of that, keys again."""
PROC_READ_ONLY = (
    "acpi",
    "bus",
    "driver",
    "dynamic_debug",
    "fs",
    "irq",
    "mtrr",
    "pressure",
    "scsi",
    "sys",
    "sysrq-trigger",
    "tty",
)
PROC_HIDDEN = (
    "kcore", "keys", "key-users", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "sched_debug",
    "slabinfo", "timer_list", "vmallocinfo",
)  # fmt: skip
"""Of /proc: the kernel takes a root user's program for root there, in whatever namespace, without any capability. Where
the server runs as root, `/proc/sys/kernel/core_pattern` would be the way out of the sandbox."""
SHARED_MEMORY = 64 * 1024 * 1024
PLUGINS = "plugins"


@dataclass(frozen=True, slots=True)
class _Bind:
    """A place in the sandbox: what is seen there. `source` None: nothing, over what would be there."""

    target: Path
    source: Path | None
    read_only: bool = True


def find() -> str | None:
    """Where bubblewrap is; None when it is not installed."""
    return shutil.which(PROGRAM) or shutil.which(PROGRAM, path="/usr/local/bin:/usr/bin:/bin")


def check(spec: WorkloadSpec, hidden: Sequence[Path]) -> None:
    """ValidationFailed for a mount of what belongs to the server alone.

    Of its data folder, workloads may be shown what lies in a plugin's own folder there.
    """
    for mount in _mounts(spec):
        real = mount.source.resolve()
        if any(_of_server(real, path.resolve()) for path in hidden):
            raise ValidationFailed(f"{mount.source} belongs to the server, and no workload may see it")


def _of_server(path: Path, secret: Path) -> bool:
    if not path.is_relative_to(secret):
        return False
    parts = path.relative_to(secret).parts
    return len(parts) < 2 or parts[0] != PLUGINS


def arguments(program: str, spec: WorkloadSpec, *, temporary: Path, hidden: Sequence[Path]) -> list[str]:
    """Bubblewrap and its arguments, without a command. Blocks for as long as the disk does."""
    options = [
        program, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        "--die-with-parent", "--proc", "/proc", "--dev", "/dev", "--size", str(SHARED_MEMORY), "--tmpfs", "/dev/shm",  # noqa: S108
        "--remount-ro", "/dev", "--dir", "/run", "--dir", "/var", "--symlink", "../tmp", "/var/tmp",  # noqa: S108
    ]  # fmt: skip
    for name in PROC_READ_ONLY:
        options += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    for name in PROC_HIDDEN:
        if Path("/proc", name).exists():
            options += ["--ro-bind", os.devnull, f"/proc/{name}"]
    binds = [_Bind(Path("/tmp"), temporary, read_only=False)]  # noqa: S108 - it is the workload's own.
    for folder in map(Path, SYSTEM):
        if folder.is_symlink():
            options += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            binds.append(_Bind(folder, folder))
    for name in ETC:
        file = Path("/etc", name)
        if file.exists():
            binds.append(_Bind(file, file.resolve()))
    binds += [_Bind(Path(folder), None) for folder in PRIVATE if Path(folder).is_dir()]
    binds += [_Bind(mount.source, mount.source, mount.read_only) for mount in _mounts(spec)]
    binds += _covers(binds, [path.resolve() for path in hidden])
    # What lies deeper comes later, or it would be covered.
    for bind in sorted(binds, key=lambda bind: len(bind.target.parts)):
        options += _option(bind)
    return [*options, "--remount-ro", "/", "--chdir", "/"]


def _mounts(spec: WorkloadSpec) -> list[Mount]:
    return [*spec.mounts, *([Mount(spec.home)] if spec.home is not None else [])]


def _covers(binds: Iterable[_Bind], hidden: Sequence[Path]) -> list[_Bind]:
    """Nothing, in each place where something hidden would be seen."""
    found = []
    for bind in binds:
        real = bind.source.resolve() if bind.source else bind.target
        found += [_Bind(bind.target / path.relative_to(real), None) for path in hidden if real in path.parents]
    return found


def _option(bind: _Bind) -> list[str]:
    target = str(bind.target)
    if bind.source is not None:
        return ["--ro-bind" if bind.read_only else "--bind", str(bind.source), target]
    return ["--ro-bind", os.devnull, target] if bind.target.is_file() else ["--tmpfs", target]


def sees(path: Path, spec: WorkloadSpec) -> bool:
    """Whether a file of the machine is seen in the sandbox, its real place too if it is a link."""
    shown = [Path(folder) for folder in SYSTEM] + [mount.source for mount in _mounts(spec)]
    return all(any(place.is_relative_to(folder) for folder in shown) for place in (path, path.resolve()))
