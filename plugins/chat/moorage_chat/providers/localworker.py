"""The program of the local model: JSON lines in, JSON lines out. It runs alone and imports nothing of Moorage.

Run as `python -P localworker.py`, so that what crashes or blocks in native code is a process and not the server. The
first line that it reads: {"model_file", "threads", "context"}. It then says {"ready": true, "context": tokens}, or
{"failed": text} and ends. Each line after that is a job, {"id", "messages", …}, or {"cancel": id}. A job is answered by
lines of its id: {"id", "text"}, and last {"id", "end": "stop" | "length" | "canceled" | "", "prompt_tokens",
"completion_tokens"} or {"id", "error": "context_length" | "error", "detail"}. When its input ends, so does it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
from typing import Any, TextIO

NICE = 5
"""The server goes first where both want the processor."""
LONGEST_CONTEXT = 8192
"""Tokens unless told otherwise: of models with more the memory would be the larger part."""
BATCH = 256
"""Tokens of a prompt that are read at once; between two batches nothing can be stopped."""


def main() -> None:
    """Load the model, then answer until the input ends."""
    out = own_output()
    with contextlib.suppress(OSError):
        os.nice(NICE)
    settings = json.loads(sys.stdin.readline() or "{}")
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    cancelled: set[int] = set()
    threading.Thread(target=read, args=(jobs, cancelled), daemon=True).start()
    try:
        model = load(settings)
    except Exception as error:
        say(out, failed=f"{type(error).__name__}: {error}")
        return
    say(out, ready=True, context=model.n_ctx())
    while True:
        job = jobs.get()
        answer(model, job, cancelled, out)
        cancelled.discard(job["id"])


def own_output() -> TextIO:
    """Where the lines go. The usual output is led to the errors: native code prints to it."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(kept, "w", encoding="utf-8")


def read(jobs: queue.Queue[dict[str, Any]], cancelled: set[int]) -> None:
    """Take in lines while the model works; end with the server."""
    with contextlib.suppress(ValueError, OSError):
        for line in sys.stdin:
            found = json.loads(line)
            if "cancel" in found:
                cancelled.add(found["cancel"])
            else:
                jobs.put(found)
    os._exit(0)


def load(settings: dict[str, Any]) -> Any:
    """The model, in memory."""
    import llama_cpp

    wanted = int(settings.get("context") or 0)
    threads = int(settings["threads"])
    return llama_cpp.Llama(
        model_path=settings["model_file"],
        n_ctx=wanted or LONGEST_CONTEXT,
        n_batch=BATCH,
        n_threads=threads,
        n_threads_batch=threads,
        verbose=False,
    )


def answer(model: Any, job: dict[str, Any], cancelled: set[int], out: TextIO) -> None:
    """Do one job."""
    number = job.pop("id")
    job_id = {"id": number}
    prompt_tokens, reason = 0, ""
    try:
        if number not in cancelled:
            for place, chunk in enumerate(model.create_chat_completion(stream=True, **job)):
                if not place:  # The first token is chosen and not yet read: what was read is the prompt.
                    prompt_tokens = model.n_tokens
                if number in cancelled:
                    reason = "canceled"
                    break
                choice = chunk["choices"][0]
                if text := choice["delta"].get("content"):
                    say(out, **job_id, text=text)
                reason = choice.get("finish_reason") or reason
    except Exception as error:
        kind = "context_length" if "exceed context window" in str(error) else "error"
        say(out, **job_id, error=kind, detail=f"{type(error).__name__}: {error}")
        return
    finally:
        job["id"] = number
    answered = max(0, model.n_tokens - prompt_tokens + (reason == "length")) if prompt_tokens else 0
    say(out, **job_id, end=reason, prompt_tokens=prompt_tokens, completion_tokens=answered)


def say(out: TextIO, **line: Any) -> None:
    """One line, at once."""
    out.write(json.dumps(line) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
