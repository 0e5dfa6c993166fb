"""Who may do what: the plugin's permissions."""

from __future__ import annotations

from moorage.api import Permission

VIEW = Permission("opencode:session:view", "See one's sessions and their logs", default="viewer", owned=True)
CREATE = Permission("opencode:session:create", "Create sessions for projects", default="operator")
CONTROL = Permission(
    "opencode:session:control", "Stop, resume and upgrade one's sessions", default="operator", owned=True
)
DELETE = Permission("opencode:session:delete", "Delete one's sessions", default="operator", owned=True)
CODE = Permission(
    "opencode:session:code", "Use OpenCode in one's sessions: its API, page and events", default="operator", owned=True
)
FILES = Permission("opencode:file:read", "Read files of one's sessions", default="operator", owned=True)
WRITE = Permission("opencode:file:write", "Change files of one's sessions", default="operator", owned=True)
TERMINAL = Permission("opencode:terminal:use", "Open terminals in one's sessions", default="operator", owned=True)
PERMISSIONS = (VIEW, CREATE, CONTROL, DELETE, CODE, FILES, WRITE, TERMINAL)
