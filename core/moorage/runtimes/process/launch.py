"""From a spec to what a keeper is told: checked, with its ports in place, and an environment made from nothing."""

from __future__ import annotations

import math
import os
import pwd
import random
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moorage.errors import ValidationFailed
from moorage.runtimes.base import WorkloadSpec
from moorage.runtimes.process.ports import HOST

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MARK = "MOORAGE_WORKLOAD"
"""Names the workload in the environment of all its processes: for finding them when their keeper was killed."""
_PLACE = re.compile(r"\{(?:port:([A-Za-z0-9_-]+)|host)\}")
_VARIABLE = re.compile(r"[^=\0]+")
MAX_ENVIRONMENT = 1024 * 1024
MAX_TEXT = 128 * 1024
"""Bytes of one argument or variable: Linux takes no longer ones."""


def check(spec: WorkloadSpec) -> None:
    """ValidationFailed for a spec that can never run here."""
    problems: list[str] = []
    if not spec.command or not spec.command[0]:
        problems.append("the command is empty, and a process has no image that would know one")
    for mount in spec.mounts:
        if mount.target is not None and Path(mount.target) != mount.source:
            problems.append(f"{mount.source} cannot be shown at {mount.target}: this runtime has no other paths")
        if not mount.source.is_absolute():
            problems.append(f"{mount.source} is no absolute path")
    for what, folder in (("home", spec.home), ("workdir", Path(spec.workdir))):
        if folder is not None and not folder.is_absolute():
            problems.append(f"the {what} {folder} is no absolute path")
    if len(set(spec.ports)) != len(spec.ports):
        problems.append("a port is named twice")
    problems += _wrong_texts(spec)
    if problems:
        raise ValidationFailed("The workload cannot run: " + "; ".join(problems))


def _wrong_texts(spec: WorkloadSpec) -> list[str]:
    problems: list[str] = []
    variables = {**spec.env, **spec.secrets}
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name) or "\0" in value:
            problems.append(f"{name!r} is no variable that a program can be given")
    texts = [*spec.command, *(f"{name}={value}" for name, value in variables.items())]
    sizes = [len(os.fsencode(text)) for text in texts]
    if "\0" in "".join(spec.command) or "\0" in spec.workdir:
        problems.append("the command has a NUL in it")
    if sum(sizes) > MAX_ENVIRONMENT or max(sizes, default=0) >= MAX_TEXT:
        problems.append("the command and environment are larger than Linux takes")
    places = _PLACE.finditer("\n".join((*spec.command, *spec.env.values())))
    unknown = {found[0] for found in places if found[1] is not None and found[1] not in spec.ports}
    return [*problems, *(f"{text} names no port of the workload" for text in sorted(unknown))]


def check_folders(spec: WorkloadSpec) -> None:
    """What must be there now. ValidationFailed. Blocks for as long as the disk does."""
    for mount in spec.mounts:
        if not mount.source.exists():
            raise ValidationFailed(f"{mount.source}, which the workload is to see, is not there")
        if mount.plain and mount.source.resolve() != mount.source:
            raise ValidationFailed(f"There is a link in {mount.source}, which the workload is to see as it is")
    if spec.home is not None and not spec.home.is_dir():
        raise ValidationFailed(f"The workload's home {spec.home} is no folder")
    if not Path(spec.workdir).is_dir():
        raise ValidationFailed(f"The workload's folder {spec.workdir} is not there, or is no folder")


def find_program(name: str, *, path: str, workdir: str) -> Path:
    """Where a program is. ValidationFailed when it is not there or may not be run."""
    found = shutil.which(str(Path(workdir, name)) if "/" in name else name, path=path)
    if found is None:
        raise ValidationFailed(f"The program {name!r} is not there, or may not be run")
    return Path(found)


def filled(spec: WorkloadSpec, ports: Mapping[str, int]) -> tuple[list[str], dict[str, str]]:
    """Command and variables (secrets too) with ports and address in their places."""

    def place(found: re.Match[str]) -> str:
        return HOST if found[1] is None else str(ports[found[1]])

    command = [_PLACE.sub(place, text) for text in spec.command]
    return command, {**{name: _PLACE.sub(place, text) for name, text in spec.env.items()}, **spec.secrets}


def environment(spec: WorkloadSpec, variables: Mapping[str, str], *, temporary: str, mark: str) -> dict[str, str]:
    """All that the program's environment has: nothing of the server's own."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    home = str(spec.home) if spec.home is not None else temporary
    return {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "USER": user,
        "LOGNAME": user,
        "SHELL": "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh",
        "TMPDIR": temporary,
        "HOME": home,
        "XDG_CONFIG_HOME": f"{home}/.config",
        "XDG_DATA_HOME": f"{home}/.local/share",
        "XDG_STATE_HOME": f"{home}/.local/state",
        "XDG_CACHE_HOME": f"{home}/.cache",
        **variables,
        MARK: mark,
    }


def rlimits(spec: WorkloadSpec, *, own_users: bool) -> dict[str, Any]:
    """What the kernel holds. own_users: whether the workload's processes are counted apart from the user's others."""
    limits = spec.limits
    return {
        "open_files": limits.open_files,
        "processes": limits.processes if own_users else None,
        "cores": _cores(limits.cpus) if limits.cpus is not None else None,
    }


def _cores(count: float) -> list[int]:
    """So many cores, rounded up, of those that the server has: other ones for each start, that all are used."""
    all_cores = sorted(os.sched_getaffinity(0))
    return random.sample(all_cores, min(len(all_cores), max(1, math.ceil(count))))
