"""Who may do what: the plugin's permissions."""

from __future__ import annotations

from moorage.api import Permission

VIEW = Permission("memories:memory:view", "Read and search one's memories", default="viewer", owned=True)
WRITE = Permission("memories:memory:write", "Add, change and delete one's memories", default="viewer", owned=True)
EMBED = Permission("memories:model:use", "Turn texts into vectors, and rank them", default="viewer")
PERMISSIONS = (VIEW, WRITE, EMBED)
