"""Which backend the operator chose: ours, or one that another plugin brings."""

from __future__ import annotations

from moorage.api import Hub

from moorage_memories.backends.base import MemoryBackend
from moorage_memories.backends.late import LateBackend
from moorage_memories.backends.mmry import MmryBackend
from moorage_memories.config import MemoriesConfig
from moorage_memories.embeddings.encoder import Encoder
from moorage_memories.store.embedded import EmbeddedBackend


def chosen(hub: Hub, config: MemoriesConfig, encoder: Encoder) -> MemoryBackend:
    """The one that `[plugins.memories] backend` names, not started yet.

    Whether another plugin has one of that name is known when it is first asked: it is Unavailable as long as none does.
    """
    if config.backend == EmbeddedBackend.name:
        return EmbeddedBackend(hub, config, encoder)
    if config.backend == MmryBackend.name:
        return MmryBackend(hub, config.mmry)
    return LateBackend(hub, config.backend, (EmbeddedBackend.name, MmryBackend.name))
