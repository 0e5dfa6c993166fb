"""Links by which anybody can read a conversation. Our own."""

from __future__ import annotations

from typing import NotRequired

from moorage.api import PUBLIC, Route, Routes, current_actor, current_request, json_response
from quart import Response
from typing_extensions import TypedDict

from moorage_chat.records import Message, Space
from moorage_chat.rights import SHARE
from moorage_chat.views import reading
from moorage_chat.views.reading import MAX_BODY
from moorage_chat.views.services import Services
from moorage_chat.views.shapes import Said, stamp

ONE = "/conversations/{conversation_id}/share"
PAGE = "/console/shared/"
SECRET = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
"""Headers of an answer to an address that holds a secret."""


class ShareAnswer(TypedDict):
    """A link. token, url: told this once."""

    token: str
    url: str
    shared_at: str | None


class SharedMessage(TypedDict):
    """A message of a shared conversation."""

    role: str
    content: str
    created_at: str
    status: str
    model: NotRequired[str]


class SharedAnswer(TypedDict):
    """A shared conversation, and nothing of whose it is."""

    title: str
    created_at: str
    shared_at: str | None
    messages: list[SharedMessage]


def routes(services: Services) -> list[Route]:
    """`/conversations/{conversation_id}/share`, `/chat/shared/{token}`."""
    table = Routes()
    config, shares = services.config, services.shares

    @table.post(ONE, access=SHARE.name, max_body=MAX_BODY, answer=ShareAnswer)
    async def share(conversation_id: str) -> Response:
        """Make a link by which anybody can read the branch that is shown, as it is now. An earlier link ends."""
        actor, ref = current_actor(), reading.conversation_id(conversation_id)
        found, token = await shares.share(actor, ref, space=Space.CHAT)
        shared_at = stamp(config, found.shared_at) if found.shared_at is not None else None
        answer: ShareAnswer = {"token": token, "url": page_of(token), "shared_at": shared_at}
        return json_response(answer, headers={"Cache-Control": "no-store"})

    @table.put(ONE, access=SHARE.name, max_body=MAX_BODY, answer=Said)
    async def renew(conversation_id: str) -> Response:
        """Let the link show what there is now; the link stays as it is."""
        await shares.renew(current_actor(), reading.conversation_id(conversation_id), space=Space.CHAT)
        return json_response({"message": "Share updated"})

    @table.delete(ONE, access=SHARE.name, max_body=MAX_BODY, answer=Said)
    async def unshare(conversation_id: str) -> Response:
        """End the link. Where there is none, nothing changes."""
        await shares.unshare(current_actor(), reading.conversation_id(conversation_id), space=Space.CHAT)
        return json_response({"message": "Share ended"})

    @table.get("/chat/shared/{token}", access=PUBLIC, answer=SharedAnswer)
    async def shared(token: str) -> Response:
        """Show a shared conversation to anybody: what was said, without reasoning, tools' answers and names."""
        found, messages = await shares.open(token)
        answer: SharedAnswer = {
            "title": found.title,
            "created_at": stamp(config, found.created_at),
            "shared_at": stamp(config, found.shared_at) if found.shared_at is not None else None,
            "messages": [message(one) for one in messages],
        }
        return json_response(answer, headers=SECRET)

    def message(found: Message) -> SharedMessage:
        shown: SharedMessage = {
            "role": found.role.value,
            "content": found.content,
            "created_at": stamp(config, found.created_at),
            "status": found.status.value,
        }
        if found.model is not None:
            shown["model"] = found.model
        return shown

    return list(table)


def page_of(token: str) -> str:
    """The address of the page that shows a shared conversation."""
    request = current_request()
    # The page asks strangers' questions where chat is mounted, of which only the address tells it.
    under = f"?under={request.prefix}" if request.prefix else ""
    return f"{request.base_url}{PAGE}{token}{under}"
