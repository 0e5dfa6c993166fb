"""`/api/session/{id}/term`: the terminal, and what ttyd's own web client asks for beside it."""

from __future__ import annotations

from moorage.api import Route, Routes, Socket, current_actor, json_response
from quart import Response

from moorage_opencode.rights import TERMINAL
from moorage_opencode.terminal import Terminals

PATHS = ("/api/session/{id}/term", "/api/sessions/{id}/terminal", "/api/session/{id}/workspace/term")


def routes(terminals: Terminals) -> list[Route]:
    """All of its addresses."""
    table = Routes()

    async def terminal(socket: Socket) -> None:
        await terminals.open(socket, socket.params["id"])

    async def token(id: str) -> Response:
        """Tell the token that ttyd's clients put into their first message.

        It is empty: the server's own credentials are what counts.
        """
        terminals.sessions.live(current_actor(), id, TERMINAL)
        return json_response({"token": ""})

    async def script(id: str) -> Response:
        """Tell the token as the script that older clients of ttyd load."""
        terminals.sessions.live(current_actor(), id, TERMINAL)
        return Response('var tty_auth_token = "";\n', content_type="text/javascript; charset=utf-8")

    for path in PATHS:
        for address in (path, f"{path}/ws"):  # The second is where a page of ttyd's at `path/` connects to.
            table.socket(address, access=TERMINAL.name)(terminal)
        table.get(f"{path}/token", access=TERMINAL.name, answer=dict[str, str])(token)
        table.get(f"{path}/auth_token.js", access=TERMINAL.name, media_type="text/javascript")(script)
    return list(table)
