"""A stand-in for the module of llama-cpp-python: what it says follows from the prompt. For the worker's process only.

In it, "slow" pauses between words, "stuck" is silent as native code that nothing reaches, "crash" is a segmentation
fault, "print" writes to the process's output as native code does, "long" is more than the context holds.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Llama:
    n_tokens = 0

    def __init__(self, *, model_path: str, n_ctx: int, **options: Any) -> None:
        text = Path(model_path).read_text()
        if text == "slow to load":
            time.sleep(2)
        if text != "a model" and text != "slow to load":
            raise ValueError("Failed to load model from file")
        self._n_ctx = n_ctx

    def n_ctx(self) -> int:
        return self._n_ctx

    def create_chat_completion(
        self, *, messages: list[dict[str, str]], max_tokens: int, stream: bool, **options: Any
    ) -> Iterator[Any]:
        assert stream
        prompt = messages[-1]["content"]
        words = prompt.split()
        if "long" in words:
            raise ValueError(f"Requested tokens (9000) exceed context window of {self._n_ctx}")
        if "crash" in words:
            print("native code is about to fail", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        if "print" in words:
            os.write(1, b"ggml prints this\n")
        if "environment" in words:
            words = sorted(os.environ)
        if "stuck" in words:
            time.sleep(60)
        self.n_tokens = sum(len(message["content"].split()) for message in messages)
        yield _chunk({"role": "assistant"})
        said = words[:max_tokens]
        for number, word in enumerate(said):
            if "slow" in words:
                time.sleep(0.05)
            self.n_tokens += 1
            yield _chunk({"content": f" {word}" if number else word})
        yield _chunk({}, "length" if len(said) < len(words) else "stop")


def _chunk(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
