"""A server with the plugin, for each test that asks for one."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def moorage_config() -> dict[str, Any]:
    """What `moorage_app` is started with."""
    return {"plugins": {"hello": {"enabled": True, "greeting": "Good day", "keep": 3}}}
