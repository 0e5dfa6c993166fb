"""What clients attach to messages, as the parts that OpenCode takes."""

from __future__ import annotations

import mimetypes
import os.path
from pathlib import Path
from typing import Any
from urllib.parse import quote

from moorage.api import BadRequest

MAX_PARTS = 64
_SCHEMES = ("data:", "https://", "http://")


def of_message(text: Any, attachments: Any, workspace: Path) -> list[dict[str, Any]]:
    """The parts of `send_message`. BadRequest says what is wrong.

    attachments: [{"type", "url" | "data" (base64) | "path", "media_type", "filename"}].
    """
    if not isinstance(text, str):
        raise BadRequest("message must be a text")
    attachments = [] if attachments is None else attachments
    if not isinstance(attachments, list):
        raise BadRequest("attachments must be a list")
    parts = [{"type": "text", "text": text}] if text.strip() or not attachments else []
    return _checked(parts + [_attachment(item, workspace) for item in attachments])


def of_parts(items: Any, workspace: Path) -> list[dict[str, Any]]:
    """The parts of `send_parts`: [{"type": "text", "text"} | {"type": "image", "url"} | {"type": "file", "path"}]."""
    if not isinstance(items, list) or not items:
        raise BadRequest("parts must be a list that is not empty")
    return _checked([_part(item, workspace) for item in items])


def _checked(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(parts) > MAX_PARTS:
        raise BadRequest(f"A message has at most {MAX_PARTS} parts")
    if all(part["type"] == "text" and not part["text"].strip() for part in parts):
        raise BadRequest("The message is empty")
    return parts


def _part(item: Any, workspace: Path) -> dict[str, Any]:
    if isinstance(item, dict) and item.get("type") == "text":
        if not isinstance(item.get("text"), str):
            raise BadRequest("A part of type text needs a text")
        return {"type": "text", "text": item["text"]}
    return _attachment(item, workspace)


def _attachment(item: Any, workspace: Path) -> dict[str, Any]:
    if not isinstance(item, dict) or item.get("type") not in ("image", "file"):
        raise BadRequest("A part is of type text, image or file")
    name, media = _text(item, "filename"), _text(item, "media_type")
    if (path := _text(item, "path")) is not None:
        return _file(path, media, workspace)
    if (data := _text(item, "data")) is not None and not data.startswith("data:"):
        if media is None:
            raise BadRequest("data needs a media_type")
        url: str | None = f"data:{media};base64,{data}"
    else:
        url = data or _text(item, "url")
    if url is None or not url.startswith(_SCHEMES):
        raise BadRequest("An image or file needs a path in the workspace, data, or a URL (data, https or http)")
    part = {"type": "file", "mime": media or _media_type(url, item["type"]), "url": url}
    return part | {"filename": name} if name else part


def _file(path: str, media: str | None, workspace: Path) -> dict[str, Any]:
    """A file of the workspace. Its own links are followed by OpenCode, in the session's own surroundings."""
    if "\0" in path:
        raise BadRequest("A path without a zero byte is needed")
    whole = Path(os.path.normpath(workspace / path))
    if not whole.is_relative_to(workspace) or whole == workspace:
        raise BadRequest("The file must be in the session's workspace")
    kind = media or mimetypes.guess_type(whole.name)[0] or "text/plain"
    return {"type": "file", "mime": kind, "url": f"file://{quote(str(whole))}", "filename": whole.name}


def _text(item: dict[str, Any], name: str) -> str | None:
    value = item.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{name} must be a text")
    return value or None


def _media_type(url: str, kind: str) -> str:
    if url.startswith("data:"):
        said = url[5:].split(",", 1)[0].split(";", 1)[0]
        if "/" in said:
            return said
    guessed = mimetypes.guess_type(url.split("?", 1)[0])[0] if not url.startswith("data:") else None
    return guessed or ("image/png" if kind == "image" else "text/plain")
