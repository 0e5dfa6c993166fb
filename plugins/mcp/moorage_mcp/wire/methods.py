"""Methods of MCP that more than one room knows by name, and what belongs to them. Source: its schemas, both eras."""

from __future__ import annotations

from collections.abc import Mapping

NAMED: Mapping[str, str] = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Requests that use one thing, and the parameter that names it. Those alone may be answered by a question."""
QUESTIONS: Mapping[str, str] = {
    "sampling/createMessage": "sampling",
    "elicitation/create": "elicitation",
    "roots/list": "roots",
}
"""What servers may ask clients, and the capability without which they may not."""
ASKED = tuple(QUESTIONS.values())
"""Capabilities of a client that can be asked something."""
LIST_CHANGED: Mapping[str, str] = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}
"""Notifications, and the wish in `subscriptions/listen` that they answer."""
UPDATED = "notifications/resources/updated"
