"""What a settings model says of its fields: which keys it takes, which are secret, where models nest."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

Loc = tuple[str | int, ...]
"""Where a value stands: ("server", "listen", 0)."""


def bare_types(annotation: Any) -> Iterator[Any]:
    """The types that a value may have: through `Annotated`, unions and `Literal`, without None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from bare_types(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from bare_types(one)
    elif origin is Literal:
        yield from {type(one) for one in get_args(annotation)}
    elif annotation is not types.NoneType and annotation is not None:
        yield annotation


def is_secret(field: FieldInfo) -> bool:
    """True when the value must not be shown."""
    return any(one in (SecretStr, SecretBytes) for one in bare_types(field.annotation))


def holds_secret(annotation: Any) -> bool:
    """True when a value, or one in a list or a table of such, must not be shown."""
    return any(
        one in (SecretStr, SecretBytes) or any(holds_secret(inner) for inner in get_args(one))
        for one in bare_types(annotation)
    )


def is_text(field: FieldInfo) -> bool:
    """True when the value is text and nothing else."""
    kinds = list(bare_types(field.annotation))
    return bool(kinds) and all(
        isinstance(one, type) and issubclass(one, str | SecretStr | SecretBytes | PurePath) for one in kinds
    )


def is_list(field: FieldInfo) -> bool:
    """True when the value may be a list."""
    return any((get_origin(one) or one) in (list, tuple, set, frozenset) for one in bare_types(field.annotation))


def submodel(annotation: Any) -> type[BaseModel] | None:
    """The model of a table, or None."""
    for one in bare_types(annotation):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def item_model(annotation: Any) -> type[BaseModel] | None:
    """The model of each item of a list or of a table of tables, or None."""
    for one in bare_types(annotation):
        arguments = get_args(one)
        if arguments and get_origin(one) in (list, tuple, dict):
            return submodel(arguments[-1] if get_origin(one) is dict else arguments[0])
    return None


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The model's fields under the names that the file uses (aliases where there are any)."""
    named: dict[str, FieldInfo] = {}
    for name, info in model.model_fields.items():
        alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
        named[alias or name] = info
    return named


def known_keys(model: type[BaseModel]) -> list[str]:
    """All keys that the model's table takes, `x_file` for each secret `x` among them."""
    named = fields(model)
    return [
        *named,
        *(f"{name}_file" for name, info in named.items() if is_secret(info) and f"{name}_file" not in named),
    ]


def field_at(model: type[BaseModel], loc: Loc) -> FieldInfo | None:
    """The field at `loc`, or the innermost one above it; None when there is none."""
    return field_and_rest(model, loc)[0]


def field_and_rest(model: type[BaseModel], loc: Loc) -> tuple[FieldInfo | None, Loc]:
    """As `field_at`, with the part of `loc` that begins at the field."""
    found: FieldInfo | None = None
    rest: Loc = ()
    current: type[BaseModel] | None = model
    inside = False
    for place, step in enumerate(loc):
        if current is None:
            break
        if inside:
            inside = False
            continue
        found = fields(current).get(str(step))
        if found is None:
            return None, ()
        rest = loc[place:]
        current = submodel(found.annotation)
        if current is None and (current := item_model(found.annotation)) is not None:
            inside = True
    return found, rest


def model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model of the table at `loc`; None when there is no model for it."""
    current: type[BaseModel] | None = model
    steps = list(loc)
    while steps and current is not None:
        info = fields(current).get(str(steps.pop(0)))
        if info is None:
            return None
        current = submodel(info.annotation)
        if current is None and steps:
            steps.pop(0)
            current = item_model(info.annotation)
    return current
