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
    r"passw|passphrase|^pwd$|secret|token|credential|private|api[_-]?key|[_-]keys?$|^key$|dsn|authorization|cookie",
    re.I,
)
_SECRET_FIELD = re.compile(r"(^|_)(passw(or)?d|passphrase|secret|token|api_?key|private_key|dsn)s?$", re.I)
"""Of a setting that has a model: narrower, since `token_url` and the like are meant to be seen."""
_FLAG = re.compile(r"-{1,2}[A-Za-z0-9_.-]+")
_SCHEME = re.compile(r"\b(bearer|basic)\s+\S{4,}", re.I)
PLACE_NAME = re.compile(r"^env$|^file$|[-_]file$")
"""Keys that say where a secret is: `token = { env = "NAME" }`, `token_file`."""
# Up to the last @: a password that was not escaped may hold any of the characters that end it.
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^\s/:]*):\S*@", re.I)
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


def sounds_secret(name: str, around: bool = False) -> bool:
    """Whether texts of this key are hidden. around: those of the table around it are."""
    return not PLACE_NAME.search(name) and (around or SECRET_NAME.search(name) is not None)


def field_sounds_secret(name: str) -> bool:
    """Whether texts of a model's field are hidden that is not called secret: its author may have forgotten to."""
    return _SECRET_FIELD.search(name) is not None


def masked(value: Any, secret: bool) -> Any:
    """The value, with what must not be seen hidden. secret: all texts in it; else those whose keys sound so.

    An empty text stays: that nothing is set is no secret.
    """
    match value:
        case SecretStr() | SecretBytes():
            return MASK
        case BaseModel():
            kinds = type(value).model_fields
            return {name: masked(getattr(value, name), field_sounds_secret(name)) for name in kinds}
        case Mapping():
            return {key: _masked_under(str(key), one, secret) for key, one in value.items()}
        case list() | tuple():
            return [_masked_item(one, value[place - 1] if place else None, secret) for place, one in enumerate(value)]
        case set() | frozenset():
            return [masked(one, secret) for one in value]
        case str():
            return MASK if secret and value else _SCHEME.sub(rf"\g<1> {MASK}", mask_url(value))
        case bytes():
            return MASK
        case None | bool() | int() | float() | PurePath() | datetime.datetime() | datetime.date() | datetime.time():
            return value
    return MASK if secret else mask_url(str(value))


def _masked_item(one: Any, before: Any, secret: bool) -> Any:
    """One of a list, which may be a program's arguments: `--token=x`, and what comes after `--token`."""
    if not isinstance(one, str) or secret:
        return masked(one, secret)
    flag, equals, _ = one.partition("=")
    if equals and _FLAG.fullmatch(flag) and SECRET_NAME.search(flag):
        return f"{flag}={MASK}"
    told = isinstance(before, str) and _FLAG.fullmatch(before) and SECRET_NAME.search(before)
    return MASK if told and not one.startswith("-") else masked(one, False)


def _masked_under(name: str, value: Any, around: bool) -> Any:
    """Of a table whose keys nobody declared. A number may be a secret there, and is in no setting of ours."""
    if isinstance(value, int | float) and not isinstance(value, bool) and re.search("passw|secret", name, re.I):
        return MASK
    return masked(value, sounds_secret(name, around))


def mask_named(name: str, value: Any) -> Any:
    """A value of which only the key's name is known: hidden when the name sounds secret."""
    return _masked_under(name, value, False)


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
