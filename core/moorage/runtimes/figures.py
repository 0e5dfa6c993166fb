"""A workload's figures as `docker stats` spells them. Source: `api/octo.md`'s program, `GET /api/admin/metrics`."""

from __future__ import annotations

from typing_extensions import TypedDict

from moorage.runtimes.base import Stats

BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")


class DockerStats(TypedDict):
    """Strings as people read them: "1.25%", "12.5MiB / 1.944GiB", "1.2kB / 0B", "5"."""

    ContainerId: str
    Name: str
    CpuPercent: str
    MemUsage: str
    MemPercent: str
    NetIo: str
    BlockIo: str
    Pids: str


class ContainerShape(TypedDict):
    """One entry of `containers`; stats: None when it does not run."""

    session_id: str
    container_id: str | None
    container_name: str
    stats: DockerStats | None


def container_figures(
    session_id: str,
    container_id: str | None,
    container_name: str,
    stats: Stats | None,
    machine_memory: int | None = None,
) -> ContainerShape:
    """What the stream says of a session's workload, whatever runtime it has.

    container_id: `WorkloadState.unit`. machine_memory: bytes, stands for the limit of a workload that has none.
    """
    shown = None if stats is None else docker_stats(container_id or "", container_name, stats, machine_memory)
    return {
        "session_id": session_id,
        "container_id": container_id,
        "container_name": container_name,
        "stats": shown,
    }


def docker_stats(unit: str, name: str, stats: Stats, machine_memory: int | None = None) -> DockerStats:
    """`Stats` in the words of `docker stats`; what a runtime does not know is 0."""
    limit = stats.memory_limit or machine_memory or 0
    return {
        "ContainerId": unit[:12],
        "Name": name,
        "CpuPercent": f"{stats.cpu_percent:.2f}%",
        "MemUsage": f"{binary(stats.memory_bytes)} / {binary(limit)}",
        "MemPercent": f"{100 * stats.memory_bytes / limit if limit else 0:.2f}%",
        "NetIo": f"{decimal(stats.net_in_bytes)} / {decimal(stats.net_out_bytes)}",
        "BlockIo": f"{decimal(stats.block_in_bytes)} / {decimal(stats.block_out_bytes)}",
        "Pids": str(stats.processes),
    }


def binary(number: int) -> str:
    """Bytes in KiB and so on, four digits: "12.5MiB"."""
    return _sized(number, 1024, BINARY, 4)


def decimal(number: int | None) -> str:
    """Bytes in kB and so on, three digits: "1.23kB"; None is 0B."""
    return _sized(number or 0, 1000, DECIMAL, 3)


def _sized(number: int, base: int, units: tuple[str, ...], digits: int) -> str:
    size, unit = float(number), 0
    while size >= base and unit < len(units) - 1:
        size, unit = size / base, unit + 1
    return f"{_digits(size, digits)}{units[unit]}"


def _digits(size: float, digits: int) -> str:
    # Above its digits Python would turn to exponents: 1023 KiB with three of them is 1.02e+03.
    return f"{size:.0f}" if size >= 10 ** (digits - 1) else f"{size:.{digits}g}"
