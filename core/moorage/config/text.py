"""Values and keys as text: in TOML's spelling, shortened, with secrets hidden."""

from __future__ import annotations

import datetime
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from moorage.config.schema import Loc

MASK = "********"
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
SECRET_NAME = re.compile(
    r"passw|secret|token|credential|private|api[_-]?key|[_-]key$|^key$|dsn|authorization|cookie", re.I
)
_SECRET_FIELD = re.compile(r"(^|_)(passw(or)?d|passphrase|secret|token|api_?key|private_key|dsn)$", re.I)
"""Of a setting that has a model: narrower, since `token_url` and the like are meant to be seen."""
_FLAG = re.compile(r"-{1,2}[A-Za-z0-9_.-]+")
_SCHEME = re.compile(r"\b(bearer|basic)\s+\S{4,}", re.I)
# Up to the last @: a password that was not escaped may hold any of the characters that end it.
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^\s/:@]*):\S*@", re.I)
_SECRET_QUERY = re.compile(r"(?P<name>[?&](?:[a-z_]*(?:passw|secret|token|key)[a-z_]*)=)[^&#\s]+", re.I)


def key_text(loc: Iterable[str | int]) -> str:
    """`("server", "listen", 0)` -> `server.listen[0]`; names that TOML would quote are quoted."""
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if BARE_KEY.fullmatch(step) else json.dumps(step, ensure_ascii=False)
            text += f".{name}" if text else name
    return text


def toml_text(value: Any) -> str:
    """A value in TOML's spelling, on one line. Secrets come out masked; None is `unset`."""
    match value:
        case None:
            return "unset"
        case SecretStr() | SecretBytes():
            return f'"{MASK}"'
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{value!r}"
        case str() | PurePath():
            return json.dumps(str(value), ensure_ascii=False)
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case BaseModel():
            return toml_text({name: getattr(value, name) for name in type(value).model_fields})
        case Mapping():
            items = (f"{key_text((str(key),))} = {toml_text(one)}" for key, one in value.items() if one is not None)
            return "{ " + ", ".join(items) + " }" if value else "{}"
        case Iterable():
            return "[" + ", ".join(toml_text(one) for one in value) + "]"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def mask_url(text: str) -> str:
    """The text with the passwords of URLs in it hidden."""
    return _SECRET_QUERY.sub(rf"\g<name>{MASK}", _USERINFO.sub(rf"\g<scheme>\g<user>:{MASK}@", text))


def mask_field(name: str, value: Any) -> Any:
    """A setting of a model that does not call it secret: its author may have forgotten to."""
    return mask_named(name if _SECRET_FIELD.search(name) else "", value)


def mask_named(name: str, value: Any) -> Any:
    """A value of which only the key's name is known: hidden when the name sounds secret."""
    if isinstance(value, BaseModel):
        return {key: mask_field(key, getattr(value, key)) for key in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: mask_named(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_masked_item(name, value[index - 1] if index else None, one) for index, one in enumerate(value)]
    if isinstance(value, int | float) and re.search("passw|secret", name, re.I):
        return MASK
    if isinstance(value, str):
        secret = SECRET_NAME.search(name) and not name.endswith("_file")
        return MASK if secret else _SCHEME.sub(rf"\g<1> {MASK}", mask_url(value))
    return value


def _masked_item(name: str, before: Any, one: Any) -> Any:
    """One of a list, which may be a program's arguments: `--token=x`, and what comes after `--token`."""
    if not isinstance(one, str):
        return mask_named(name, one)
    flag, equals, _ = one.partition("=")
    if equals and _FLAG.fullmatch(flag) and SECRET_NAME.search(flag):
        return f"{flag}={MASK}"
    told = isinstance(before, str) and _FLAG.fullmatch(before) and SECRET_NAME.search(before)
    return MASK if told and not one.startswith("-") else mask_named(name, one)


def shown(value: Any, *, limit: int = 60) -> str | None:
    """A wrong value as it may stand in an error; None for what is not a plain value."""
    if isinstance(value, str):
        masked = mask_url(value)
        return toml_text(masked if len(masked) <= limit else masked[: limit - 1] + "…")
    if isinstance(value, bool | int | float):
        return toml_text(value)[:limit]
    return None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant, or None."""
    names = list(known)
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    if snake in names:
        return snake
    close = difflib.get_close_matches(snake, names, n=1, cutoff=0.6)
    return close[0] if close else None


def last_name(loc: Loc) -> str:
    """The last step that is a name."""
    return next((step for step in reversed(loc) if isinstance(step, str)), "")
