"""The embedded runtime: workloads as processes of this machine, each below a keeper that outlives the server."""

from moorage.runtimes.process.runtime import ProcessRuntime

__all__ = ["ProcessRuntime"]
