"""A workload's spec as a container of a Docker engine, and what the engine says of a container as a state."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from moorage.errors import ValidationFailed
from moorage.runtimes.base import Endpoint, Stats, WorkloadSpec, WorkloadState, WorkloadStatus

SERVER, NAME, PORTS, LABELS, DIGEST = (f"moorage.{word}" for word in ("server", "name", "ports", "labels", "digest"))
"""Labels of the runtime's own: which server's it is, the workload's name, names of its ports, which of the other
labels are the spec's (an image has labels too), and the digest of the image as it was then."""
FIRST_PORT = 41820
"""The number of a workload's first port inside its container; the others follow."""
PLACE = re.compile(r"\{port:([^{}]*)\}|\{host\}")
TEMPORARY = {"/tmp": 0, "/var/tmp": 0, "/run": 64 * 1024 * 1024}  # noqa: S108 - of the container
"""Writable folders in memory: they count as the workload's memory. Bytes, 0: half of the machine's."""
NEVER = "0001-01-01T00:00:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where containers are made: what the settings and the engine say.

    published: ports are published on 127.0.0.1 of the engine's machine; else they are reached at the container's own
    address. cpus: how many the engine has (it refuses more).
    """

    server: str
    network: str
    user: str
    published: bool
    read_only: bool
    cpus: int | None


def container_name(server: str, name: str) -> str:
    """How a workload's container is called."""
    return f"moorage-{server}-{name}"


def body(spec: WorkloadSpec, place: Place, digest: str) -> dict[str, Any]:
    """What `POST /containers/create` takes. ValidationFailed when the spec cannot be."""
    if spec.ports and place.network == "none":
        raise ValidationFailed('Ports cannot be reached on the network "none": see runtimes.docker.network')
    numbers = {name: FIRST_PORT + index for index, name in enumerate(spec.ports)}
    tcp = [f"{number}/tcp" for number in numbers.values()]
    made: dict[str, Any] = {
        "Image": spec.image,
        "WorkingDir": spec.workdir,
        "Env": [f"{key}={value}" for key, value in _environment(spec, numbers).items()],
        "Labels": _labels(spec, place.server, digest),
        "User": place.user,
        "Hostname": spec.name.rpartition(".")[2][:63].strip("-"),
        "ExposedPorts": {port: {} for port in tcp},
        "StopSignal": "SIGTERM",
        "StopTimeout": math.ceil(spec.stop_seconds),
        "HostConfig": _host(spec, place, tcp),
    }
    if spec.command:
        # As the entry point: an image's own would be put before it.
        made["Entrypoint"] = [_filled(word, numbers) for word in spec.command]
    return made


def _environment(spec: WorkloadSpec, numbers: Mapping[str, int]) -> dict[str, str]:
    """PATH is the image's own."""
    home = str(spec.home) if spec.home is not None else "/tmp"  # noqa: S108 - of the container
    found = {
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "HOME": home,
        "XDG_CONFIG_HOME": f"{home}/.config",
        "XDG_CACHE_HOME": f"{home}/.cache",
        "XDG_DATA_HOME": f"{home}/.local/share",
        "XDG_STATE_HOME": f"{home}/.local/state",
    }
    found.update({key: _filled(value, numbers) for key, value in spec.env.items()})
    found.update(spec.secrets)
    for key, value in found.items():
        if not key or "=" in key or "\0" in key + value:
            raise ValidationFailed(f"{key!r} cannot be a variable of the environment")
    return found


def _filled(text: str, numbers: Mapping[str, int]) -> str:
    def number(found: re.Match[str]) -> str:
        if found[0] == "{host}":
            return "0.0.0.0"  # noqa: S104 - within the container
        if found[1] not in numbers:
            raise ValidationFailed(f"There is no port {found[1]!r} in the spec")
        return str(numbers[found[1]])

    return PLACE.sub(number, text)


def _labels(spec: WorkloadSpec, server: str, digest: str) -> dict[str, str]:
    own = {
        SERVER: server,
        NAME: spec.name,
        PORTS: ",".join(spec.ports),
        LABELS: json.dumps(sorted(spec.labels)),
        DIGEST: digest,
    }
    if taken := own.keys() & spec.labels.keys():
        raise ValidationFailed(f"The label {min(taken)!r} is the runtime's own")
    return {**spec.labels, **own}


def _host(spec: WorkloadSpec, place: Place, tcp: list[str]) -> dict[str, Any]:
    limits = spec.limits
    # Two files of half the size each: with one, all that was kept would go when it is full.
    half = max(limits.log_bytes // 2, 16 * 1024)
    found: dict[str, Any] = {
        "Init": True,
        "NetworkMode": place.network,
        "RestartPolicy": {"Name": "no"},
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": place.read_only,
        "Tmpfs": {path: _memory_folder(size) for path, size in TEMPORARY.items()} if place.read_only else {},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": str(half), "max-file": "2"}},
        "Mounts": _mounts(spec),
    }
    if place.published:
        found["PortBindings"] = {port: [{"HostIp": "127.0.0.1", "HostPort": ""}] for port in tcp}
    if limits.memory_bytes is not None:
        # The same number for both: no swap besides.
        found["Memory"] = found["MemorySwap"] = limits.memory_bytes
    if limits.cpus is not None:
        found["NanoCpus"] = int(min(limits.cpus, place.cpus or limits.cpus) * 1_000_000_000)
    if limits.processes is not None:
        found["PidsLimit"] = limits.processes
    if limits.open_files is not None:
        found["Ulimits"] = [{"Name": "nofile", "Soft": limits.open_files, "Hard": limits.open_files}]
    return found


def _memory_folder(size: int) -> str:
    # Programs unpack libraries of theirs there and load them: `exec`.
    return "rw,exec,nosuid,nodev,mode=1777" + (f",size={size}" if size else "")


def _mounts(spec: WorkloadSpec) -> list[dict[str, Any]]:
    found = []
    if spec.home is not None:
        found.append({"Type": "bind", "Source": str(spec.home), "Target": str(spec.home), "ReadOnly": False})
    for mount in spec.mounts:
        target = mount.target or str(mount.source)
        if not mount.source.is_absolute() or not target.startswith("/"):
            raise ValidationFailed(f"A mount needs whole paths: {mount.source}")
        found.append({"Type": "bind", "Source": str(mount.source), "Target": target, "ReadOnly": mount.read_only})
    return found


def check_mounts(spec: WorkloadSpec) -> None:
    """ValidationFailed for what is not there: an engine may otherwise make a folder of it, as root."""
    for path in (*((spec.home,) if spec.home is not None else ()), *(mount.source for mount in spec.mounts)):
        if not path.exists():
            raise ValidationFailed(f"There is no {path}")
    for mount in spec.mounts:
        if mount.plain and mount.source.resolve() != mount.source:
            raise ValidationFailed(f"There is a link in {mount.source}")


def hand_over(home: Path, user: str) -> None:
    """Make a home and all in it a user's ("UID" or "UID:GID"), where it is not yet. Only root can.

    What is in it belongs to a container that is yet to be made: nobody changes it meanwhile.
    """
    number, _, group = user.partition(":")
    if os.geteuid() != 0 or not number.isdigit() or home.stat().st_uid == int(number):
        return
    owner = (int(number), int(group) if group.isdigit() else -1)
    for _, folders, files, fd in os.fwalk(home, follow_symlinks=False):
        for name in (*folders, *files):
            os.chown(name, *owner, dir_fd=fd, follow_symlinks=False)
    os.chown(home, *owner)


def image_digest(image: Mapping[str, Any], name: str) -> str:
    """Of an image as the engine shows it: what a registry calls it, else the engine's own id.

    An image of several repositories has several: that of the name's own repository is taken.
    """
    repository = name.partition("@")[0]
    if ":" in repository.rpartition("/")[2]:
        repository = repository.rpartition(":")[0]
    known = [str(entry).partition("@") for entry in image.get("RepoDigests") or []]
    for found, _, digest in known:
        if found == repository or found.endswith("/" + repository):
            return digest
    return known[0][2] if known else str(image["Id"])


def state_of(attributes: Mapping[str, Any], *, published: bool) -> WorkloadState:
    """A container as `GET /containers/ID/json` shows it."""
    told, config = attributes["State"], attributes["Config"]
    labels = config.get("Labels") or {}
    status = _status(told)
    return WorkloadState(
        status=status,
        exit_code=int(told.get("ExitCode", 0)) if status is WorkloadStatus.EXITED else None,
        reason=_reason(told, status),
        started_at=moment(told.get("StartedAt")),
        ended_at=None if status is WorkloadStatus.RUNNING else moment(told.get("FinishedAt")),
        unit=str(attributes["Id"]),
        image=str(config.get("Image") or "") or None,
        digest=labels.get(DIGEST) or None,
        endpoints=_endpoints(attributes, labels, published) if status is WorkloadStatus.RUNNING else {},
        labels=_own_labels(labels),
        isolation="container",
    )


def _status(told: Mapping[str, Any]) -> WorkloadStatus:
    word = str(told.get("Status", "")).lower()
    if word in ("running", "paused", "restarting"):
        return WorkloadStatus.RUNNING
    if word in ("created", "configured", "initialized"):
        return WorkloadStatus.CREATED
    return WorkloadStatus.EXITED


def _reason(told: Mapping[str, Any], status: WorkloadStatus) -> str:
    if status is WorkloadStatus.RUNNING:
        health = (told.get("Health") or {}).get("Status")
        return "The image's own check says that it is not well" if health == "unhealthy" else ""
    if told.get("OOMKilled") and told.get("ExitCode") != 0:
        return "out of memory"
    if told.get("Error"):
        return "The Docker engine could not run it"
    if status is WorkloadStatus.EXITED and told.get("ExitCode") in (126, 127):
        return "Its program is not in the image or cannot be run there: see its log"
    return ""


def _endpoints(attributes: Mapping[str, Any], labels: Mapping[str, str], published: bool) -> dict[str, Endpoint]:
    names = [name for name in (labels.get(PORTS) or "").split(",") if name]
    network = attributes.get("NetworkSettings") or {}
    found: dict[str, Endpoint] = {}
    for index, name in enumerate(names):
        inside = FIRST_PORT + index
        if published:
            given = (network.get("Ports") or {}).get(f"{inside}/tcp") or []
            if given:
                found[name] = Endpoint(str(given[0].get("HostIp") or "127.0.0.1"), int(given[0]["HostPort"]))
        else:
            addresses = [entry.get("IPAddress") for entry in (network.get("Networks") or {}).values()]
            if address := next((entry for entry in addresses if entry), None):
                found[name] = Endpoint(str(address), inside)
    return found


def _own_labels(labels: Mapping[str, str]) -> dict[str, str]:
    try:
        names = json.loads(labels.get(LABELS) or "[]")
    except ValueError:
        names = []
    return {name: labels[name] for name in names if isinstance(name, str) and name in labels}


def moment(text: Any) -> datetime | None:
    """A time of the engine's, which has nanoseconds; None for its year 1, which means never."""
    if not isinstance(text, str) or not text or text.startswith(NEVER):
        return None
    head, dot, rest = text.partition(".")
    digits = re.match(r"\d*", rest)
    assert digits is not None
    zone = rest[digits.end() :] if dot else ""
    try:
        return datetime.fromisoformat(f"{head}.{digits[0][:6]:0<6}{zone}" if dot else head)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Sample:
    """How much processor a container had used, in nanoseconds, and when. unit: of which start."""

    unit: str
    used: int
    at: datetime


def stats_of(told: Mapping[str, Any], unit: str, before: Sample | None) -> tuple[Stats, Sample] | None:
    """What `GET /containers/ID/stats` says, and the sample for the next time; None when it does not run."""
    at, cpu = moment(told.get("read")), told.get("cpu_stats") or {}
    memory = told.get("memory_stats") or {}
    if at is None or "usage" not in memory:
        return None
    now = Sample(unit, int((cpu.get("cpu_usage") or {}).get("total_usage", 0)), at)
    percent = 0.0
    if before is not None and before.unit == unit and (seconds := (at - before.at).total_seconds()) > 0:
        percent = max(0.0, (now.used - before.used) / seconds / 10_000_000)
    inner = memory.get("stats") or {}
    # What the kernel would drop at once is not used: as `docker stats` counts it, for cgroups of both versions.
    cache = int(inner.get("total_inactive_file", inner.get("inactive_file", 0)))
    limit = int(memory.get("limit") or 0)
    networks = told.get("networks")
    blocks = (told.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    return Stats(
        cpu_percent=percent,
        memory_bytes=max(0, int(memory["usage"]) - cache),
        memory_limit=limit or None,
        processes=int((told.get("pids_stats") or {}).get("current") or 0),
        net_in_bytes=None if networks is None else sum(int(one["rx_bytes"]) for one in networks.values()),
        net_out_bytes=None if networks is None else sum(int(one["tx_bytes"]) for one in networks.values()),
        block_in_bytes=_blocks(blocks, "read"),
        block_out_bytes=_blocks(blocks, "write"),
    ), now


def _blocks(entries: list[Any], what: str) -> int:
    return sum(int(entry["value"]) for entry in entries if str(entry.get("op", "")).lower() == what)
