"""Worker processes: what computes long or crashes in native code runs beside the server, asked by messages."""

from moorage.workers.worker import (
    Worker,
    WorkerBusy,
    WorkerError,
    WorkerGone,
    WorkerRefused,
    WorkerReply,
    WorkerSession,
    WorkerSpec,
)

__all__ = [
    "Worker",
    "WorkerBusy",
    "WorkerError",
    "WorkerGone",
    "WorkerRefused",
    "WorkerReply",
    "WorkerSession",
    "WorkerSpec",
]
