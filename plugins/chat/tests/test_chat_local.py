"""The local model's process: its answers, its faults, its end. The module of llama-cpp-python is a stand-in here; the
real one with its model is in `test_chat_local_real`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import localmodel
import pytest
import structlog
from moorage.api import TaskSupervisor
from moorage_chat.config import ProviderConfig
from moorage_chat.providers.base import Ask, ErrorCode, Finish, ProviderError, Text, Usage
from moorage_chat.providers.local import LocalProvider
from waits import WAIT

STANDIN = str(Path(next(iter(localmodel.__path__))))


@pytest.fixture
async def provider(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", STANDIN)
    monkeypatch.setenv("OPENAI_API_KEY", "a key of another provider")
    (tmp_path / "small.gguf").write_text("a model")
    hub = SimpleNamespace(tasks=TaskSupervisor("test"), log=structlog.get_logger())
    made = LocalProvider(hub, "local", ProviderConfig(kind="local", model_file=tmp_path / "small.gguf"))
    yield made
    await made.close()
    await hub.tasks.stop()


def ask(text, **more):
    return Ask(model="small", messages=[{"role": "user", "content": text}], **more)


async def answer(provider, text, **more):
    return [piece async for piece in provider.generate(ask(text, **more))]


def said(pieces):
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


async def begun(provider, text):
    """An answer of which the first piece is here."""
    pieces = provider.generate(ask(text))
    first = await anext(pieces)
    assert isinstance(first, Text)
    return pieces


def pid(provider):
    return provider._process._process.pid


async def gone(number):
    async with asyncio.timeout(WAIT):
        while Path(f"/proc/{number}").exists():
            await asyncio.sleep(0.01)


async def test_an_answer_comes_in_pieces_with_its_usage_and_its_end(provider):
    assert [(model.id, model.label) for model in await provider.models()] == [("small", "small")]
    pieces = await answer(provider, "good day to you")
    assert pieces == [Text("good"), Text(" day"), Text(" to"), Text(" you"), Usage(4, 4), Finish("stop")]
    cut = await answer(provider, "good day to you", max_tokens=2)
    assert (said(cut), cut[-1]) == ("good day", Finish("length"))


async def test_one_process_serves_one_answer_after_the_other(provider):
    many = await asyncio.gather(*[answer(provider, f"slow number {n}") for n in range(3)])
    assert [said(one) for one in many] == [f"slow number {n}" for n in range(3)]
    first = pid(provider)
    await answer(provider, "more")
    assert pid(provider) == first


async def test_pictures_and_calls_of_tools_are_left_out(provider):
    parts = [{"type": "text", "text": "what is"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    messages = [
        {"role": "user", "content": "the time"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]},
        {"role": "tool", "tool_call_id": "1", "content": "noon"},
        {"role": "user", "content": parts},
    ]
    pieces = [piece async for piece in provider.generate(Ask(model="small", messages=messages))]
    assert said(pieces).strip() == "what is"
    assert Usage(5, 2) in pieces


async def test_what_native_code_prints_is_not_taken_for_an_answer(provider):
    assert said(await answer(provider, "print this")) == "print this"


async def test_keys_of_the_server_are_not_in_its_environment(provider):
    names = said(await answer(provider, "environment")).split()
    assert "PATH" in names
    assert "OPENAI_API_KEY" not in names


async def test_a_crash_is_an_error_and_the_next_answer_comes(provider):
    assert said(await answer(provider, "before")) == "before"
    crashed = pid(provider)
    with pytest.raises(ProviderError) as caught:
        await answer(provider, "crash")
    assert caught.value.code is ErrorCode.ERROR
    assert "SIGSEGV" in caught.value.detail
    assert "native code is about to fail" in caught.value.detail
    assert said(await answer(provider, "after")) == "after"
    assert pid(provider) != crashed


async def test_killed_in_mid_answer(provider):
    pieces = await begun(provider, "slow " * 200)
    os.kill(pid(provider), signal.SIGKILL)
    with pytest.raises(ProviderError) as caught:
        async for _ in pieces:
            pass
    assert caught.value.code is ErrorCode.ERROR
    assert said(await answer(provider, "again")) == "again"


async def test_a_prompt_that_is_too_long_says_so(provider):
    with pytest.raises(ProviderError) as caught:
        await answer(provider, "too long")
    assert caught.value.code is ErrorCode.CONTEXT_LENGTH


async def test_stopped_in_mid_answer_it_goes_on_with_the_next(provider):
    pieces = await begun(provider, "slow " * 200)
    running = pid(provider)
    began = time.monotonic()
    await pieces.aclose()
    assert time.monotonic() - began < 1
    assert said(await answer(provider, "next")) == "next"
    assert pid(provider) == running, "it needed not be ended"


async def test_native_code_that_does_not_listen_is_ended_within_a_second(provider):
    await answer(provider, "loaded")
    running = pid(provider)
    task = asyncio.create_task(answer(provider, "stuck"))
    await asyncio.sleep(0.1)  # It is stuck before or after this; either must end.
    began = time.monotonic()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 1
    await gone(running)
    assert said(await answer(provider, "next")) == "next"


async def test_cancelled_while_it_loads_the_model_it_is_not_loaded_again(provider, tmp_path):
    (tmp_path / "small.gguf").write_text("slow to load")
    task = asyncio.create_task(answer(provider, "never mind"))
    while provider._process is None:
        await asyncio.sleep(0)
    loading = pid(provider)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said(await answer(provider, "now")) == "now"
    assert pid(provider) == loading


async def test_who_waits_for_a_turn_can_leave(provider):
    pieces = await begun(provider, "slow " * 200)
    waiting = asyncio.create_task(answer(provider, "second"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await pieces.aclose()
    assert said(await answer(provider, "third")) == "third"


async def test_idle_it_gives_its_memory_back(provider, monkeypatch):
    monkeypatch.setattr(provider, "_config", provider._config.model_copy(update={"unload_after": 0.01}))
    assert said(await answer(provider, "once")) == "once"
    await gone(pid(provider))
    assert said(await answer(provider, "and again")) == "and again"


async def test_its_end_is_the_servers_end(provider):
    """The server is killed: nothing closes the process but the end of its input."""
    await answer(provider, "loaded")
    provider._process._process.stdin.close()
    await gone(pid(provider))


async def test_a_file_that_is_no_model(provider, tmp_path):
    (tmp_path / "small.gguf").write_text("something else")
    for _ in range(2):
        with pytest.raises(ProviderError) as caught:
            await answer(provider, "hello")
        assert caught.value.code is ErrorCode.UNREACHABLE
        assert "Failed to load model" in caught.value.detail
    (tmp_path / "small.gguf").write_text("a model")
    assert said(await answer(provider, "hello")) == "hello"


async def test_another_model_is_refused(provider):
    with pytest.raises(ProviderError) as caught:
        [piece async for piece in provider.generate(Ask(model="large", messages=[]))]
    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND


async def test_without_its_extra_it_says_what_is_missing(provider, monkeypatch):
    monkeypatch.setattr(provider, "_config", ProviderConfig(kind="local"))
    monkeypatch.setattr("moorage_chat.providers.local.PACKAGE", "no_such_package")
    with pytest.raises(ProviderError) as caught:
        await provider.models()
    assert (caught.value.code, "moorage[local-llm]" in caught.value.detail) == (ErrorCode.UNREACHABLE, True)
