"""An MCP server on stdio whose every word is markup, for what shows it: `hostile.py TEXT`."""

from __future__ import annotations

import json
import sys
from typing import Any

TEXT = sys.argv[1]
TOOL = {
    "name": "evil",
    "title": TEXT,
    "description": TEXT,
    "inputSchema": {
        "type": "object",
        "title": TEXT,
        "properties": {TEXT: {"type": "string", "title": TEXT, "description": TEXT, "default": TEXT, "enum": [TEXT]}},
    },
    "annotations": {"title": TEXT, "readOnlyHint": True},
    "icons": [{"src": "javascript:hit=1", "mimeType": "text/html"}],
}
RESULTS: dict[str, Any] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": TEXT, "title": TEXT, "version": TEXT, "websiteUrl": "javascript:hit=1"},
        "instructions": TEXT,
    },
    "tools/list": {"tools": [TOOL]},
    "tools/call": {
        "content": [
            {"type": "text", "text": TEXT},
            {"type": "image", "data": "PHN2Zy8+", "mimeType": f"image/svg+xml,{TEXT}"},
            {"type": "resource_link", "uri": "javascript:hit=1", "name": TEXT, "description": TEXT},
            {"type": "resource", "resource": {"uri": "javascript:hit=1", "mimeType": "text/html", "text": TEXT}},
        ],
        "structuredContent": {TEXT: TEXT},
    },
    "ping": {},
}

for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        result = RESULTS.get(asked["method"])
        told = {"error": {"code": -32601, "message": TEXT}} if result is None else {"result": result}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **told}), flush=True)
