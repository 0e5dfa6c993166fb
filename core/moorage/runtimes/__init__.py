"""Workloads: programs that the server starts, reaches, stops, and finds again after its own restart."""

from moorage.runtimes.base import (
    Endpoint,
    Exec,
    Limits,
    Mount,
    Runtime,
    Stats,
    TerminalSize,
    WorkloadSpec,
    WorkloadState,
    WorkloadStatus,
)
from moorage.runtimes.figures import ContainerShape, container_figures
from moorage.runtimes.registry import OwnRuntimes, Runtimes, RuntimeView

__all__ = [
    "ContainerShape",
    "Endpoint",
    "Exec",
    "Limits",
    "Mount",
    "OwnRuntimes",
    "Runtime",
    "RuntimeView",
    "Runtimes",
    "Stats",
    "TerminalSize",
    "WorkloadSpec",
    "WorkloadState",
    "WorkloadStatus",
    "container_figures",
]
