"""Fields that a contract names otherwise than the core does: a refusal is told in the words of the request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moorage.errors import ValidationFailed


@contextmanager
def told_as(**names: str) -> Iterator[None]:
    """Within, what is wrong with the core's field is told of the contract's: told_as(name="display_name")."""
    try:
        yield
    except ValidationFailed as error:
        if not any(problem["field"] in names for problem in error.problems):
            raise
        problems = [{**one, "field": names.get(one["field"], one["field"])} for one in error.problems]
        text = "; ".join(f"{one['field']} {one['message']}" for one in problems)
        raise ValidationFailed(text, problems=problems) from None
