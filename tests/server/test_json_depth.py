"""Reading JSON within bounds, without a server."""

from __future__ import annotations

import pytest
from moorage.api import BadRequest, parse_json


def test_json_with_millions_of_brackets_is_read_and_deep_json_is_not():
    """At the bound, in every mixture of brackets, and with brackets in texts."""
    for deep in ("[" * 64 + "]" * 64, '{"a":' * 64 + "1" + "}" * 64, '[{"a":' * 32 + '"[[{{"' + "}]" * 32):
        parse_json(deep)
        parse_json(f"[1, {deep[1:-1] if deep[0] == '[' else 2}]")
        with pytest.raises(BadRequest, match="nested deeper"):
            parse_json(f"[{deep}]")
        with pytest.raises(BadRequest, match="nested deeper"):
            parse_json(f"[[], {deep}, {{}}]".encode())
    for broken in ("]" * 100 + "[" * 100, "[}" * 100, "[" * 60 + "}" * 60):
        with pytest.raises(BadRequest, match="Malformed"):
            parse_json(broken)
    assert len(parse_json("[" + "{}," * 1_000_000 + "[]]")) == 1_000_001
