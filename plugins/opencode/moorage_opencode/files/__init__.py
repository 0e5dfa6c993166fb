"""The files of a session: read, written, watched, and never one outside its workspace."""

from moorage_opencode.files.routes import routes
from moorage_opencode.files.service import Files

__all__ = ["Files", "routes"]
