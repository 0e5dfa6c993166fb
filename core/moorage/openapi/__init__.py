"""OpenAPI 3.1 from the route table: one document for each account surface, one for the core, one for each plugin."""

from moorage.openapi.documents import build
from moorage.openapi.published import Document, Published

__all__ = ["Document", "Published", "build"]
