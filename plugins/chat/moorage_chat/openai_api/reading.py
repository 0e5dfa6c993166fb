"""What clients of OpenAI's API ask for. Source: OpenAI's API reference, Create chat completion.

Parameters that would change the answer and cannot be granted are refused by name; what only asks for a service around
it (`store`, `metadata`, `user` …), and what is not known here, is let pass and not handed on.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from moorage.api import ValidationFailed
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from moorage_chat.providers.base import Ask

MOST_MESSAGES = 50_000
MOST_TOOLS = 1024
Number = Annotated[float, Field(allow_inf_nan=False)]
Tokens = Annotated[StrictInt, Field(ge=1, le=10_000_000)]
Text = Annotated[StrictStr, Field(max_length=4096)]
MORE = (
    "stop",
    "seed",
    "response_format",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "parallel_tool_calls",
    "reasoning_effort",
    "verbosity",
    "top_k",
    "min_p",
    "repeat_penalty",
)
"""What is handed on to the provider as it is."""
_REFUSED = {
    "functions": "use `tools`",
    "function_call": "use `tool_choice`",
    "audio": "answers are text",
    "prediction": "not offered by this server",
    "web_search_options": "not offered by this server",
}


class MessageBody(BaseModel):
    """One message. Members that are not named here are handed on."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: StrictStr | Annotated[list[dict[str, Any]], Field(max_length=10_000)] | None = None
    tool_calls: Annotated[list[dict[str, Any]], Field(max_length=MOST_TOOLS)] | None = None
    tool_call_id: Text | None = None

    @model_validator(mode="after")
    def check_content(self) -> MessageBody:
        """Each role says what it must."""
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("content is needed")
        if self.role == "tool" and not self.tool_call_id:
            raise ValueError("tool_call_id is needed with role tool")
        return self

    def told(self) -> dict[str, Any]:
        """The message as providers are given it. Those that do not know "developer" know it by its older name."""
        told = self.model_dump(exclude_unset=True)
        return told | {"role": "system", "content": self.content} if self.role == "developer" else told


class StreamOptions(BaseModel):
    """How to stream."""

    include_usage: StrictBool = False


class FunctionBody(BaseModel):
    """A function that the model may ask to be called."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[StrictStr, Field(min_length=1, max_length=256)]
    description: StrictStr | None = None
    parameters: dict[str, Any] | None = None


class ToolBody(BaseModel):
    """A tool: a function of the client's own, which it calls itself."""

    type: Literal["function"]
    function: FunctionBody


class CompletionBody(BaseModel):
    """POST /v1/chat/completions."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[StrictStr, Field(min_length=1, max_length=512, pattern="^[^\0]*$")] = Field(
        description="As `GET /v1/models` lists it (`provider/model`), a model's bare name, a provider's id for its "
        '"default" model, or "default".'
    )
    messages: Annotated[list[MessageBody], Field(min_length=1, max_length=MOST_MESSAGES)]
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Number, Field(ge=0, le=1)] | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    tools: Annotated[list[ToolBody], Field(max_length=MOST_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    n: StrictInt | None = None
    logprobs: StrictBool | None = None
    modalities: list[StrictStr] | None = None
    stop: Text | Annotated[list[Text], Field(max_length=64)] | None = None
    seed: StrictInt | None = None
    response_format: dict[str, Any] | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    logit_bias: dict[str, Number] | None = None
    parallel_tool_calls: StrictBool | None = None
    reasoning_effort: Text | None = None
    verbosity: Text | None = None
    top_k: StrictInt | None = None
    min_p: Number | None = None
    repeat_penalty: Number | None = None

    @field_validator("n")
    @classmethod
    def check_n(cls, n: int | None) -> int | None:
        """One answer at a time."""
        if n not in (None, 1):
            raise ValueError("there is one answer at a time")
        return n

    @field_validator("logprobs")
    @classmethod
    def check_logprobs(cls, wanted: bool | None) -> bool | None:
        """No probabilities."""
        if wanted:
            raise ValueError("not offered by this server")
        return wanted

    @field_validator("modalities")
    @classmethod
    def check_modalities(cls, wanted: list[str] | None) -> list[str] | None:
        """Text alone."""
        if wanted not in (None, [], ["text"]):
            raise ValueError('answers are text: ["text"]')
        return wanted

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the tokens that were used."""
        return self.stream_options is not None and self.stream_options.include_usage

    def refuse_what_is_not_offered(self) -> None:
        """ValidationFailed for what no field stands for, and would change the answer."""
        for name, why in _REFUSED.items():
            if (self.model_extra or {}).get(name) is not None:
                raise ValidationFailed(
                    f"{name} is not supported: {why}", problems=[{"field": name, "message": f"not supported: {why}"}]
                )

    def ask(self, model: str) -> Ask:
        """What the provider is asked. model: as it calls it."""
        more = {name: value for name in MORE if (value := getattr(self, name)) is not None}
        return Ask(
            model=model,
            messages=[message.told() for message in self.messages],
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            tools=[tool.model_dump(exclude_unset=True) for tool in self.tools or ()],
            tool_choice=self.tool_choice,
            more=more,
        )
