"""Which backend the operator chose: ours, or one that another plugin brings."""

from __future__ import annotations

from moorage.api import Hub, Unavailable

from moorage_memories.backends.base import MemoryBackend
from moorage_memories.backends.mmry import MmryBackend
from moorage_memories.config import MemoriesConfig
from moorage_memories.embeddings.encoder import Encoder
from moorage_memories.store.embedded import EmbeddedBackend

HOOK = "moorage_memories_backends"


def chosen(hub: Hub, config: MemoriesConfig, encoder: Encoder) -> MemoryBackend:
    """The one that `[plugins.memories] backend` names, not started yet. Unavailable, with the mend."""
    if config.backend == EmbeddedBackend.name:
        return EmbeddedBackend(hub, config, encoder)
    if config.backend == MmryBackend.name:
        return MmryBackend(hub, config.mmry)
    names = [EmbeddedBackend.name, MmryBackend.name]
    for plugin, found in hub.hooks.call(HOOK):
        try:
            backends = [one for one in found if isinstance(one, MemoryBackend)]
        except Exception:
            hub.log.exception("a plugin's backends of memories cannot be had", plugin=plugin)
            continue
        for backend in backends:
            if backend.name == config.backend:
                return backend
            names.append(backend.name)
    raise Unavailable(f"[plugins.memories] backend = {config.backend!r}: there is none of that name, only {names}")
