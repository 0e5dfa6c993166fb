"""A proxy on loopback that puts a header into every request: for clients that cannot be told one.

As a program: `proxy.py PORT TARGET`, the header's line in the environment as PROXY_HEADER.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from urllib.parse import urlsplit


async def serve(port: int, target: str, header: str) -> None:
    """Until it is ended. Bytes go through as they come, but for the request's head: path, Host and the new header.

    target: URL of the place that this one's `/mcp` is. Host and Origin are the target's where they were this proxy's;
    any other is kept, as all else is: what is wrong with a request stays wrong.
    """
    place = urlsplit(target)
    host, own = f"{place.hostname}:{place.port}", {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"}

    def changed(head: str) -> tuple[str, int]:
        first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        method, _, version = first.split(" ")
        out, length = [f"{method} {place.path} {version}"], 0
        for line in lines:
            key, _, value = line.partition(":")
            if key.lower() == "host" and value.strip() in own:
                line = f"Host: {host}"
            if key.lower() == "origin" and value.strip().removeprefix("http://") in own:
                line = f"Origin: http://{host}"
            if key.lower() == "content-length":
                length = int(value)
            if key.lower() == "transfer-encoding":
                raise ValueError("a body of unknown length is not for this proxy")
            out.append(line)
        return "\r\n".join([*out, header]) + "\r\n\r\n", length

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(place.hostname, place.port)

        async def requests() -> None:
            while True:
                head, length = changed((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
                back.write(head.encode("latin-1") + await reader.readexactly(length))
                await back.drain()

        async def answers() -> None:
            while data := await there.read(1 << 16):
                writer.write(data)
                await writer.drain()

        work = {asyncio.create_task(requests()), asyncio.create_task(answers())}
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in work - done:
                task.cancel()
            for task in done:
                task.result()
        back.close()
        writer.close()

    async with await asyncio.start_server(connection, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2], os.environ["PROXY_HEADER"]))
