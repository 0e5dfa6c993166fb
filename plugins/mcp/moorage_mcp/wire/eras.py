"""The two eras of MCP: sessions that begin with `initialize`, and requests that each stand alone.

Source: the specification's revisions 2024-11-05 to 2025-11-25 (legacy) and 2026-07-28 (modern).
"""

from __future__ import annotations

import enum

LEGACY_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""The newest first."""
MODERN_VERSIONS = ("2026-07-28",)
LATEST_LEGACY, LATEST_MODERN = LEGACY_VERSIONS[0], MODERN_VERSIONS[0]
ASSUMED_VERSION = "2025-03-26"
"""What a legacy client speaks that sends no `MCP-Protocol-Version`."""

PREFIX = "io.modelcontextprotocol/"
PROTOCOL_VERSION = PREFIX + "protocolVersion"
CLIENT_CAPABILITIES = PREFIX + "clientCapabilities"
CLIENT_INFO = PREFIX + "clientInfo"
SERVER_INFO = PREFIX + "serverInfo"
LOG_LEVEL = PREFIX + "logLevel"
SUBSCRIPTION_ID = PREFIX + "subscriptionId"
PROGRESS_TOKEN = "progressToken"  # noqa: S105 a field's name


class Era(enum.Enum):
    """Which of the two somebody speaks."""

    LEGACY = "legacy"
    MODERN = "modern"
