"""Which of the values that were given for a settings model must not be shown, also where the model refuses them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from moorage.config.schema import Loc, field_and_rest, holds_secret
from moorage.config.text import field_sounds_secret, masked, sounds_secret


def is_hidden(model: type[BaseModel], loc: Loc) -> bool:
    """Whether what stands at `loc` is: by its kind, or by the names from the field on."""
    info, rest = field_and_rest(model, loc)
    secret = False
    for place, name in enumerate(rest):
        if isinstance(name, str):
            secret = sounds_secret(name, secret) if place else field_sounds_secret(name)
    return secret or (info is not None and holds_secret(info.annotation))


def hide(model: type[BaseModel], value: Any, loc: Loc) -> Any:
    """What was written at `loc`, with what must not be seen hidden. A key that the model does not know may be a
    secret's that was mistyped."""
    if isinstance(value, dict):
        return {key: hide(model, one, (*loc, key)) for key, one in value.items()}
    if isinstance(value, list):
        return [hide(model, one, (*loc, place)) for place, one in enumerate(value)]
    info, _ = field_and_rest(model, loc)
    return masked(value, info is None or is_hidden(model, loc))
