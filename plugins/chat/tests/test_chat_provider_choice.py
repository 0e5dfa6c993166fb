"""Which provider and model answer, whose turn it is, and who is asked instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from chatproviders import Heard, Plugins, ask, hear, providers
from moorage.api import BadRequest, NotFound, TooManyRequests, Unavailable
from moorage_chat.providers import cooldown
from moorage_chat.providers.base import (
    Ask,
    Bounds,
    ErrorCode,
    Finish,
    ModelInfo,
    Piece,
    Provider,
    ProviderError,
    Text,
    Usage,
)
from moorage_chat.providers.faults import text
from moorage_chat.providers.registry import Choice, Providers
from realparts.llm import Fail, Hang, Llm, Raw
from realparts.ports import free_port
from waits import WAIT


@pytest.fixture(scope="module")
def llm():
    provider = Llm()
    yield provider
    provider.stop()


@pytest.fixture(autouse=True)
def _fresh(llm: Llm) -> None:
    llm.clear()
    llm.models = [{"id": "text-embed-x"}, {"id": "small"}, {"id": "big:latest", "name": "Big"}, {"object": "odd"}]
    llm.models += [{"id": "long" * 100}, {"id": "a\0b"}]


def settings(llm: Llm, **more: Any) -> dict[str, Any]:
    return {"lm": {"base_url": llm.url, "first_token_timeout": WAIT, "idle_timeout": WAIT, **more}}


def nobody() -> dict[str, Any]:
    return {"base_url": f"http://127.0.0.1:{free_port()}/v1"}


class Told(Provider):
    """A third party's: says what it is told to."""

    def __init__(self, id: str = "told", *pieces: Piece | Exception, bounds: Bounds | None = None) -> None:
        self.id, self.name, self.pieces = id, id.title(), pieces
        self.bounds = bounds or Bounds()
        self.asked: list[Ask] = []
        self.closed = False

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo("m1", "Model 1")]

    async def generate(self, ask: Ask) -> AsyncGenerator[Piece, None]:
        self.asked.append(ask)
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def close(self) -> None:
        self.closed = True


class Held(Told):
    """Answers when it is let."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asking, self.go = asyncio.Event(), asyncio.Event()

    async def generate(self, ask: Ask) -> AsyncGenerator[Piece, None]:
        self.asking.set()
        await self.go.wait()
        async for piece in super().generate(ask):
            yield piece


GOOD = (Text("Instead"), Finish("stop"))
LM_SMALL, LM_BIG = Choice("lm", "small"), Choice("lm", "big:latest")
TOLD = Choice("told", "m1")


@pytest.mark.parametrize(
    ("provider", "model", "last", "more", "expected"),
    [
        # What is wished goes before everything.
        ("lm", "small", TOLD, {}, LM_SMALL),
        ("told", None, LM_SMALL, {}, TOLD),
        (None, "m1", LM_SMALL, {}, TOLD),
        # Then what answered last, as far as it is still there.
        (None, None, LM_BIG, {}, LM_BIG),
        ("lm", None, LM_BIG, {}, LM_BIG),
        (None, None, Choice("gone", "x"), {}, LM_SMALL),
        (None, None, Choice("lm", "gone"), {}, LM_SMALL),
        # Then the configured one, then the first that talks.
        (None, None, None, {"default_provider": "lm", "default_model": "big:latest"}, LM_BIG),
        ("lm", None, None, {"default_provider": "lm", "default_model": "big:latest"}, LM_BIG),
        (None, None, LM_SMALL, {"default_provider": "lm", "default_model": "big:latest"}, LM_SMALL),
        (None, None, None, {"default_provider": "lm"}, LM_SMALL),
        (None, None, None, {}, LM_SMALL),
        # Names that no list has: Ollama's without a tag, OpenRouter's ways to a model.
        ("lm", "big", None, {}, Choice("lm", "big")),
        (None, "small:free", None, {}, Choice("lm", "small:free")),
    ],
)
async def test_the_choice(llm: Llm, provider, model, last, more, expected) -> None:
    plugins = Plugins({"extra": lambda: [Told()]})
    async with providers(settings(llm), plugins, **more) as service:
        assert await service.choose(provider, model, last=last) == expected


@pytest.mark.parametrize(
    ("provider", "model", "code"),
    [
        ("gone", None, "PROVIDER_NOT_FOUND"),
        ("", "small", "PROVIDER_NOT_FOUND"),
        ("lm", "large", "MODEL_NOT_FOUND"),
        ("lm", "m1", "MODEL_NOT_FOUND"),
        (None, "large", "MODEL_NOT_FOUND"),
    ],
)
async def test_what_is_wished_and_is_not_there(llm: Llm, provider, model, code) -> None:
    async with providers(settings(llm), Plugins({"extra": lambda: [Told()]})) as service:
        with pytest.raises(BadRequest) as raised:
            await service.choose(provider, model, last=LM_SMALL)
        assert raised.value.error_code == code


async def test_only_models_that_the_operator_names(llm: Llm) -> None:
    named = settings(llm, models=[{"id": "big:latest", "label": "The big one"}])
    async with providers(named) as service:
        assert await service.choose(None, None) == LM_BIG
        for model in ("small", "big"):
            with pytest.raises(BadRequest):
                await service.choose("lm", model)
        [info] = await service.listed()
        assert info.models == (ModelInfo("big:latest", "The big one"),)
        assert llm.headers == [], "what is named need not be asked for"
        assert (await service.health("lm")).ok
        assert len(llm.headers) == 1


async def test_a_model_that_was_loaded_just_now(llm: Llm, monkeypatch) -> None:
    monkeypatch.setattr("moorage_chat.providers.choice.FRESH_SECONDS", 0)
    async with providers(settings(llm)) as service:
        with pytest.raises(BadRequest):
            await service.choose("lm", "new")
        llm.models = [{"id": "new"}]
        assert await service.choose("lm", "new") == Choice("lm", "new")
        assert await service.choose(None, "new") == Choice("lm", "new")


async def test_a_model_that_is_gone_is_not_listed_on(llm: Llm) -> None:
    llm.script("are you there", Fail(404, "model not found"))
    async with providers(settings(llm)) as service:
        assert await service.choose("lm", "small") == LM_SMALL
        llm.models = [{"id": "big:latest"}]
        assert (await hear(service, "are you there", LM_SMALL)).code is ErrorCode.MODEL_NOT_FOUND
        with pytest.raises(BadRequest):
            await service.choose("lm", "small")
        assert await service.choose(None, None, last=LM_SMALL) == LM_BIG


async def test_a_provider_whose_models_are_not_known_decides_itself(llm: Llm) -> None:
    async with providers({"down": nobody(), **settings(llm)}, default_provider="down") as service:
        assert await service.choose("down", "anything") == Choice("down", "anything")
        assert await service.choose(None, "small") == LM_SMALL
        assert await service.choose(None, "unheard-of") == Choice("down", "unheard-of")
        # The first that answers.
        assert await service.choose(None, None) == LM_SMALL
        with pytest.raises(Unavailable) as raised:
            await service.choose("down", None)
        assert "'down'" in raised.value.message


async def test_no_provider_at_all() -> None:
    async with providers({"down": nobody()}) as service:
        with pytest.raises(Unavailable) as raised:
            await service.choose(None, None)
        assert raised.value.message == "No provider lists a model now (down: PROVIDER_UNREACHABLE)"


async def test_none_is_set_up(monkeypatch) -> None:
    monkeypatch.setattr("moorage_chat.providers.local.installed", lambda: False)
    async with providers({}) as service:
        with pytest.raises(Unavailable) as raised:
            await service.choose(None, None)
        assert "[plugins.chat.providers.NAME]" in raised.value.message
        with pytest.raises(BadRequest):
            await service.choose("lm", None)
        assert await service.listed() == []


async def test_lists_are_asked_for_once_and_kept(llm: Llm, monkeypatch) -> None:
    async with providers(settings(llm)) as service:
        infos = await asyncio.gather(*(service.listed() for _ in range(20)))
        assert {info.models for [info] in infos} == {
            (ModelInfo("text-embed-x", "text-embed-x"), ModelInfo("small", "small"), ModelInfo("big:latest", "Big"))
        }
        assert len(llm.headers) == 1
        # Away: what was known is still listed, and said to be old.
        llm.models = Fail(500)
        monkeypatch.setattr("moorage_chat.providers.catalog.KEEP_SECONDS", 0)
        [info] = await service.listed()
        assert (len(info.models), info.ok, info.error) == (3, False, ErrorCode.ERROR)
        assert await service.choose("lm", None) == LM_SMALL
        assert not (await service.health("lm")).ok


@pytest.mark.parametrize(
    ("models", "error"),
    [
        (Hang(mute=True), ErrorCode.TIMEOUT),
        (Fail(401), ErrorCode.AUTH),
        (Raw(b"<html>", "text/html"), ErrorCode.ERROR),
        (Raw(b'{"data": {}}', "application/json"), ErrorCode.ERROR),
        (Raw(b"[1]", "application/json"), ErrorCode.ERROR),
        (Raw(b"x" * 9_000_000, "application/json"), ErrorCode.ERROR),
    ],
)
async def test_lists_that_cannot_be_had(llm: Llm, models: Any, error: ErrorCode, monkeypatch) -> None:
    limit = WAIT if not isinstance(models, Hang) else 0.3
    monkeypatch.setattr("moorage_chat.providers.catalog.LIST_SECONDS", limit)
    llm.models = models
    async with providers(settings(llm)) as service:
        [info] = await service.listed()
        assert (info.models, info.ok, info.error) == ((), False, error)
        assert (await service.health("lm")).detail == text(error)
        with pytest.raises(NotFound):
            await service.health("gone")


async def queued(service: Providers, count: int) -> None:
    while service.load()["lm"] != (1, count):
        await asyncio.sleep(0)


async def test_answers_take_turns(llm: Llm) -> None:
    llm.script("hold on", Hang("first"))
    async with providers(settings(llm, max_parallel=1, max_queue=2)) as service:
        first = asyncio.create_task(hear(service, "hold on", LM_SMALL))
        await asyncio.to_thread(llm.wait_hanging)
        waiting = []
        for number in (1, 2):
            waiting.append(asyncio.create_task(hear(service, f"number {number}", LM_SMALL)))
            await queued(service, number)
        # The queue is full: refused, before an answer has begun and after.
        with pytest.raises(TooManyRequests):
            service.admit(LM_SMALL)
        assert (await hear(service, "number 3", LM_SMALL)).code is ErrorCode.RATE_LIMITED
        # One leaves the queue, and another takes its place.
        waiting.pop(0).cancel()
        await queued(service, 1)
        service.admit(LM_SMALL)
        waiting.append(asyncio.create_task(hear(service, "number 4", LM_SMALL)))
        await queued(service, 2)
        assert len(llm.requests) == 1
        llm.release()
        heard = await asyncio.wait_for(asyncio.gather(first, *waiting), WAIT)
        assert [one.text for one in heard] == ["first", "You said: number 2", "You said: number 4"]
        assert [one.queued for one in heard] == [[], [1], [1]]
        assert service.load() == {"lm": (0, 0)}
    assert [sent["messages"][0]["content"] for sent in llm.requests] == ["hold on", "number 2", "number 4"]


async def test_a_turn_given_to_one_that_leaves_is_the_next_ones(llm: Llm) -> None:
    llm.script("hold on", Hang("first"))
    async with providers(settings(llm, max_parallel=1)) as service:
        first = asyncio.create_task(hear(service, "hold on", LM_SMALL))
        await asyncio.to_thread(llm.wait_hanging)
        leaves = asyncio.create_task(hear(service, "leaves", LM_SMALL))
        await queued(service, 1)
        stays = asyncio.create_task(hear(service, "stays", LM_SMALL))
        await queued(service, 2)
        first.cancel()
        while service.load()["lm"] != (1, 1):
            await asyncio.sleep(0)
        leaves.cancel()
        assert (await asyncio.wait_for(stays, WAIT)).text == "You said: stays"
        await asyncio.gather(first, leaves, return_exceptions=True)
        assert service.load() == {"lm": (0, 0)}


@pytest.mark.parametrize(
    "fault", [ErrorCode.UNREACHABLE, ErrorCode.AUTH, ErrorCode.RATE_LIMITED, ErrorCode.CONTEXT_LENGTH]
)
async def test_another_is_asked_before_a_word_was_said(fault: ErrorCode) -> None:
    told = Told("told", Usage(5, 0), ProviderError(fault, "no"), bounds=Bounds(fallback=("gone", "told", "other")))
    other = Told("other", *GOOD)
    async with providers({}, Plugins({"extra": lambda: [told, other]})) as service:
        heard = await hear(service, ask("hello", temperature=0.1), TOLD)
        assert (heard.text, heard.usage, heard.reason) == ("Instead", None, "stop")
        [switched] = heard.switched
        assert (switched.choice, switched.code) == (Choice("other", "m1"), fault)
        assert (other.asked[0].model, other.asked[0].temperature) == ("m1", 0.1)
        # Not where it was said not to, as in the middle of an answer with tools.
        assert (await hear(service, "hello", TOLD, fallback=False)).code is fault
    assert told.closed
    assert other.closed


@pytest.mark.parametrize("fault", [ErrorCode.UNREACHABLE, ErrorCode.TIMEOUT])
async def test_one_that_could_not_be_reached_is_not_waited_for_again(fault: ErrorCode, monkeypatch) -> None:
    told = Told("told", ProviderError(fault, "no"), bounds=Bounds(fallback=("other",)))
    other = Told("other", *GOOD)
    async with providers({}, Plugins({"extra": lambda: [told, other]})) as service:
        for _ in range(2):
            heard = await hear(service, "hello", TOLD)
            assert (heard.text, [one.code for one in heard.switched]) == ("Instead", [fault])
        assert (len(told.asked), len(other.asked)) == (1, 2)
        # Where no other may answer, it is asked all the same.
        assert (await hear(service, "hello", TOLD, fallback=False)).code is fault
        told.pieces = (Text("Back"), Finish("stop"))
        monkeypatch.setattr(cooldown, "SECONDS", 0.0)
        assert (await hear(service, "hello", TOLD)).text == "Back"
        monkeypatch.undo()
        assert (await hear(service, "hello", TOLD)).text == "Back"


async def test_another_that_cannot_use_tools() -> None:
    told = Told("told", ProviderError(ErrorCode.ERROR), bounds=Bounds(fallback=("other",)))
    other = Told("other", *GOOD)
    tools = [{"type": "function", "function": {"name": "roll"}}]
    used = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [{"id": "a"}]}]
    async with providers({}, Plugins({"extra": lambda: [told, other]})) as service:
        assert (await hear(service, ask("hello", tools=tools, tool_choice="auto"), TOLD)).text == "Instead"
        assert (other.asked[0].tools, other.asked[0].tool_choice) == ((), None)
        # What has been said by tools cannot be said without.
        heard = await hear(service, Ask("", used, tools=tools), TOLD)
        assert heard.code is ErrorCode.ERROR
        assert len(other.asked) == 1


@pytest.mark.parametrize(
    ("pieces", "code", "said"),
    [
        ((Text("I "), ProviderError(ErrorCode.UNREACHABLE)), ErrorCode.UNREACHABLE, "I "),
        ((ProviderError(ErrorCode.CONTENT_FILTER),), ErrorCode.CONTENT_FILTER, ""),
    ],
)
async def test_no_other_is_asked(pieces: Any, code: ErrorCode, said: str) -> None:
    told = Told("told", *pieces, bounds=Bounds(fallback=("other",)))
    async with providers({}, Plugins({"extra": lambda: [told, Told("other", *GOOD)]})) as service:
        heard = await hear(service, "hello", TOLD)
        assert (heard.text, heard.code, heard.switched) == (said, code, [])


async def test_all_fail(llm: Llm) -> None:
    first = {**nobody(), "fallback": ["lm", "third"]}
    llm.script("all fail", Fail(500))
    async with providers({"first": first, **settings(llm), "third": nobody()}) as service:
        heard = await hear(service, "all fail", Choice("first", "small"))
        # The third lists no model, so there is nothing to ask of it.
        assert [one.choice for one in heard.switched] == [LM_SMALL]
        assert heard.code is ErrorCode.ERROR
    assert len(llm.requests) == 1


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ((Text("half"),), ErrorCode.INCOMPLETE),
        ((), ErrorCode.INCOMPLETE),
        ((Text("half"), RuntimeError("a bug")), ErrorCode.ERROR),
        ((ValueError("a bug"),), ErrorCode.ERROR),
        ((TimeoutError(),), ErrorCode.TIMEOUT),
        ((OSError("gone"),), ErrorCode.ERROR),
    ],
)
async def test_third_parties_that_fail(pieces: Any, code: ErrorCode) -> None:
    async with providers({}, Plugins({"extra": lambda: [Told("told", *pieces)]})) as service:
        assert (await hear(service, "hello", TOLD)).code is code


async def test_plugins_come_and_go(llm: Llm) -> None:
    def broken() -> list[Provider]:
        raise RuntimeError("no")

    mine, taken = Told("told", *GOOD), Told("lm", *GOOD)
    plugins = Plugins({"broken": broken})
    async with providers(settings(llm), plugins) as service:
        assert [info.id for info in await service.listed()] == ["lm"]
        plugins.makers["extra"] = lambda: [mine, taken, Told("No Id"), "text"]
        assert [(info.id, info.name) for info in await service.listed()] == [("lm", "lm"), ("told", "Told")]
        assert (await hear(service, "hello", TOLD)).text == "Instead"
        assert (await hear(service, "hello", LM_SMALL)).text == "You said: hello"
        # A reload makes it anew, while the old one still answers.
        held = Held("told", *GOOD)
        plugins.makers["extra"] = lambda: [held]
        plugins.changed({"name": "extra", "state": "started"})
        answer = asyncio.create_task(hear(service, "hello", TOLD))
        await asyncio.wait_for(held.asking.wait(), WAIT)
        assert mine.closed
        mine = Told("told", Text("Anew"), Finish("stop"))
        plugins.changed({"name": "extra", "state": "started"})
        plugins.makers["extra"] = lambda: [mine]
        assert (await hear(service, "hello", TOLD)).text == "Anew"
        assert not held.closed
        held.go.set()
        assert (await asyncio.wait_for(answer, WAIT)).text == "Instead"
        while not held.closed:
            await asyncio.sleep(0)
        del plugins.makers["extra"]
        assert [info.id for info in await service.listed()] == ["lm"]
        assert (await hear(service, "hello", TOLD)).code is ErrorCode.UNREACHABLE
        with pytest.raises(BadRequest):
            await service.choose("told", None)
        while not mine.closed:
            await asyncio.sleep(0)
    assert not taken.asked


@pytest.mark.parametrize("where", ["env", "file"])
async def test_keys_are_read_when_needed_and_never_told(llm: Llm, where, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-somebody-else")
    file = tmp_path / "key"

    def put(key: str) -> None:
        monkeypatch.setenv("LM_KEY", key)
        file.write_text(key + "\n")

    source = {"env": "LM_KEY"} if where == "env" else {"file": str(file)}
    async with providers(settings(llm, api_key=source)) as service:
        put("sk-first")
        assert (await hear(service, "hello", LM_SMALL)).error is None
        put("sk-second")
        assert (await hear(service, "hello", LM_SMALL)).error is None
        assert llm.keys == ["sk-first", "sk-second"]
        llm.script("wrong key", Fail(401, "Incorrect API key provided: sk-second"))
        refused = await hear(service, "wrong key", LM_SMALL)
        assert refused.code is ErrorCode.AUTH
        for wrong in ("", "naïve", "two\nlines"):
            put(wrong)
            assert (await hear(service, "hello", LM_SMALL)).code is ErrorCode.AUTH
        file.unlink()
        monkeypatch.delenv("LM_KEY")
        assert (await hear(service, "hello", LM_SMALL)).code is ErrorCode.AUTH
        assert len(llm.requests) == 3
    said = capsys.readouterr()
    assert "does not accept" not in said.out + said.err
    for secret in ("sk-first", "sk-second", "somebody-else"):
        assert secret not in said.out + said.err + repr(refused.error)
    assert not any("somebody-else" in str(headers) for headers in llm.headers)


async def test_no_key_is_sent_where_none_is_set_up(llm: Llm, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer somebody-else\nX-Team: somebody-else")
    async with providers(settings(llm, headers={"X-Title": "Moorage"})) as service:
        heard: Heard = await hear(service, "hello", LM_SMALL)
        assert heard.error is None
    [sent] = llm.headers
    assert "authorization" not in sent
    assert sent["x-title"] == "Moorage"
    assert "openai-organization" not in sent
    assert "somebody-else" not in str(sent)
