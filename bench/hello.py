"""Servers to compare with: `python -m bench.hello KIND ENGINE PORT` (see `_application`), or `gate serve …`."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys

from bench.parts import ASGI, quart_hello, raw_hello, raw_hello_with_headers


def _application(name: str) -> ASGI:
    if name in ("quart-auth", "starlette"):
        from bench import peer_accounts

        return peer_accounts.quart_auth() if name == "quart-auth" else peer_accounts.starlette()
    return {"raw": raw_hello, "headers": raw_hello_with_headers, "quart": quart_hello()}[name]


async def _serve(name: str, engine: str, port: int) -> None:
    from moorage.config import Settings
    from moorage.server import engines
    from moorage.server.listeners import bind

    app = _application(name)
    settings = Settings().server.model_copy(update={"engine": engine})
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    gc.collect()
    gc.freeze()
    await engines.serve(app, bind([f"127.0.0.1:{port}"]), settings, stop)


def _behind_the_gate() -> None:
    """`moorage serve`, where every view is replaced by the raw hello: the gate and nothing else."""
    import moorage.app
    from moorage.cli.main import main

    moorage.app.Views = lambda: raw_hello  # type: ignore[assignment,misc]
    sys.argv[0] = "moorage"
    del sys.argv[1]
    main()


def _loop() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


if __name__ == "__main__":
    if sys.argv[1] == "gate":
        _behind_the_gate()
    else:
        with _loop() as runner:
            runner.run(_serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
