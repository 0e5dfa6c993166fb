"""What runs in a workspace's workload: its spec, the commands of MCP servers, and what to do when one is missing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from moorage.api import Limits, Mount, ValidationFailed, WorkloadSpec

from moorage_mcp.config import McpConfig
from moorage_mcp.records import Kind, UpstreamInfo, WorkspaceInfo

PROCESS, DOCKER = "process", "docker"
HOLD = ("sleep", "2147483647")
"""The workload's own program: the smallest there is in any image. Busybox knows no `infinity`; this is 68 years."""
PROVIDED = ("-I", "-m", "moorage_mcp.provided")
"""After Python. `-I`: nothing that lies in the workspace is imported in place of a module."""
LOST = 255
"""The exit code of a program of which nobody can tell how it ended, its workload having gone with it."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt")
"""What every workload sees of this machine."""


def spec(
    config: McpConfig, kind: str, name: str, home: Path, *, image: str | None, labels: Mapping[str, str]
) -> WorkloadSpec:
    """The workload of a workspace. home: its folder, in which its files are."""
    mounts = tuple(Mount(path, read_only=True) for path in shown(config)) if kind == PROCESS else ()
    return WorkloadSpec(
        name=name,
        command=HOLD,
        workdir=str(home),
        home=home,
        image=image,
        mounts=mounts,
        limits=Limits(memory_bytes=config.memory_bytes, processes=config.processes),
        labels=labels,
        stop_seconds=1.0,
    )


def image(config: McpConfig, kind: str) -> str | None:
    """The image of a runtime that needs one. ValidationFailed says what to set."""
    if kind == DOCKER and not config.image:
        raise ValidationFailed(
            "There is no image for workspaces: set [plugins.mcp] image (examples/mcp-image has a recipe for one)"
        )
    return config.image


def shown(config: McpConfig) -> list[Path]:
    """Folders of this machine that a workload in a sandbox sees besides the system's: this Python, and what is set."""
    package = Path(__file__).parent
    wanted = [Path(sys.prefix), Path(sys.base_prefix), package, *map(Path, config.programs)]
    found: list[Path] = []
    for path in wanted:
        # As it is called and as it really is: links of an environment lead by the one to the other.
        for one in dict.fromkeys((path, path.resolve())):
            if one.is_dir() and not any(one.is_relative_to(other) for other in (*map(Path, SYSTEM), *found)):
                found.append(one)
    return found


def command(workspace: WorkspaceInfo, upstream: UpstreamInfo) -> tuple[str, ...]:
    """Program and arguments of an MCP server. ValidationFailed for one that is none."""
    if upstream.kind is Kind.PROVIDED:
        if workspace.runtime != PROCESS:
            return ("python3", *PROVIDED)
        if find_spec("mcp") is None or find_spec("mcp_server_git") is None:
            raise ValidationFailed("The tools of workspaces are not installed: pip install 'moorage[mcp]'")
        # Of this machine it is the interpreter that runs the server itself: what it needs is installed for it.
        return (sys.executable, *PROVIDED)
    if upstream.kind is not Kind.STDIO or not upstream.command:
        raise ValidationFailed(f"The MCP server {upstream.name!r} is no program")
    return upstream.command


def environment(config: McpConfig, workspace: WorkspaceInfo, upstream: UpstreamInfo) -> dict[str, str]:
    """What is added to the workload's environment. Neither runtime shows it on a command line or when inspected."""
    own: dict[str, str] = {}
    if workspace.runtime == PROCESS:
        more = [str(Path(sys.executable).parent)]
        more += [folder for path in config.programs for folder in (path, str(Path(path, "bin")))]
        own["PATH"] = ":".join([PATH, *more])
    return {**own, **upstream.env, **upstream.secrets}


def missing(workspace: WorkspaceInfo, command: tuple[str, ...], why: str = "") -> str:
    """What to tell of a program that could not be started."""
    where = "in the image ([plugins.mcp] image)"
    if workspace.runtime == PROCESS:
        where = "on the server, below /usr or /opt, or in a folder that is named in [plugins.mcp] programs"
    return f"{command[0][:200]!r} cannot be run{f': {why}' if why else ''}. It must be installed {where}"


def ending(code: int, stderr: bytes, missing: str, secrets: tuple[str, ...]) -> str:
    """How a program ended, for people. secrets: what is left out of what it said."""
    if code in (126, 127):
        # A container's engine says so in the place of the program; a shell of what it should have run.
        how = missing
    elif code == LOST:
        how = "it was ended, maybe with all that runs in the workspace (exit code 255)"
    elif code > 128:
        how = f"it was ended by signal {code - 128}"
    else:
        how = f"it ended with exit code {code}"
    text = stderr.decode("utf-8", "replace")
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "…") if secret else text
    lines = ["".join(c for c in line if c.isprintable()) for line in text.splitlines()]
    said = " / ".join(line.strip() for line in lines[-4:] if line.strip())
    return f"{how}: {said[-600:]}" if said else how
