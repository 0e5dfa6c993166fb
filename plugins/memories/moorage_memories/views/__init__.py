"""The plugin's routes, thin over its service: the contract's, mmry's own, and files."""

from __future__ import annotations

from moorage.api import Route

from moorage_memories.config import MemoriesConfig
from moorage_memories.service import Memories
from moorage_memories.vectors import Sentences
from moorage_memories.views import files, mmry, octo, vectors


def routes(memories: Memories, sentences: Sentences, config: MemoriesConfig) -> list[Route]:
    """All of them."""
    return [
        *octo.routes(memories, config),
        *files.routes(memories, config),
        *mmry.routes(memories, config),
        *vectors.routes(sentences),
    ]
