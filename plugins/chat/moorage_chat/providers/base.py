"""What a provider of models is: a thing that lists models and answers a list of messages in pieces.

Everything else is the plugin's: time-outs, the queue, fallback, what is stored, what is counted. A third party's
provider implements `Provider` and gives it by the hook `moorage_chat_providers`.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class ErrorCode(enum.StrEnum):
    """Why an answer failed, as clients are told."""

    UNREACHABLE = "PROVIDER_UNREACHABLE"
    TIMEOUT = "PROVIDER_TIMEOUT"
    RATE_LIMITED = "PROVIDER_RATE_LIMITED"
    AUTH = "PROVIDER_AUTH"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    CONTEXT_LENGTH = "CONTEXT_LENGTH"
    CONTENT_FILTER = "CONTENT_FILTER"
    ERROR = "PROVIDER_ERROR"
    INCOMPLETE = "PROVIDER_INCOMPLETE"
    TOOL_LIMIT = "TOOL_LIMIT"
    """The model went on calling tools after it was told that it may not."""


class ProviderError(Exception):
    """A provider did not answer as it should. detail: for the log alone; retry_after: seconds that it asked for.

    What a client is told is the code's own text (`providers.faults`), never what the provider said.
    """

    def __init__(self, code: ErrorCode, detail: str = "", *, retry_after: float | None = None) -> None:
        self.code, self.detail, self.retry_after = code, detail, retry_after
        super().__init__(f"{code}: {detail}")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider's models can do, as `GET /providers` says."""

    streaming: bool = True
    vision: bool = False
    tools: bool = False
    json_mode: bool = False
    max_context_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long the plugin waits for a provider, and how much it asks of it at once; see `config.ProviderConfig`.

    first_token_timeout: seconds from the request to the first text, reasoning or tool call; idle_timeout: seconds
        between two pieces after it. max_parallel: answers at once; max_queue: how many more may wait for their turn.
    fallback: ids of providers that are asked instead when this one fails before it has said anything.
    """

    first_token_timeout: float = 120.0
    idle_timeout: float = 60.0
    max_parallel: int = 4
    max_queue: int = 100
    fallback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model. id: as the provider calls it; label: for people."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of a model.

    messages: as OpenAI's chat completions have them: {"role", "content"} and, for tools, "tool_calls" and
        "tool_call_id". tools: [{"type": "function", "function": {"name", "description", "parameters"}}].
    more: further parameters by OpenAI's names (stop, seed, response_format …); a provider takes those that it knows.
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: Any = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Text:
    """Some more of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Some more of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolFragment:
    """Some more of a tool call. index: which of the answer's; id, name: with its first fragment."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


MOST_TOKENS = 10**9
"""Of one answer: a greater number is no count, and sums of such do not fit the database."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the provider counts them; a later one replaces an earlier."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def believable(self) -> bool:
        """Whether it can be a count."""
        return max(self.prompt_tokens, self.completion_tokens) <= MOST_TOKENS

    @property
    def total_tokens(self) -> int:
        """Both."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Finish:
    """The provider's own mark of the end, and the last piece. reason: stop, length, tool_calls."""

    reason: str


Piece = Text | Reasoning | ToolFragment | Usage | Finish


class Provider(ABC):
    """A provider. id: what clients send as `provider_id`, `[a-z0-9_-]{1,64}`; name: for people.

    One object serves all users at once, on the server's event loop: nothing in it may block.
    """

    id: str
    name: str
    capabilities: Capabilities = Capabilities()
    bounds: Bounds = Bounds()

    async def warm(self) -> None:  # noqa: B027
        """Get ready for the first request, where that takes long; harmless to repeat. ProviderError when it cannot be.

        Called when chat starts, and again before a request; its time counts in none of a request's time-outs.
        """

    @abstractmethod
    async def models(self) -> Sequence[ModelInfo]:
        """Its models now. ProviderError. The plugin keeps the answer for a while and limits the time."""

    async def check(self) -> None:
        """Whether it answers now. ProviderError. By default it is asked for its models."""
        await self.models()

    @abstractmethod
    def generate(self, ask: Ask) -> AsyncGenerator[Piece, None]:
        """An async generator: the answer in pieces, as they come. ProviderError, before the first piece or later.

        An answer counts as whole only if a `Finish` came, which is its last piece; without one it is told as
        PROVIDER_INCOMPLETE. When the generator is closed or its task is cancelled, the provider must be let go within a
        second.
        """

    async def close(self) -> None:  # noqa: B027
        """Let go of everything. Called once."""
