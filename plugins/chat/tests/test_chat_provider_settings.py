"""Providers as operators set them up and as clients see them over HTTP."""

from __future__ import annotations

import pytest
from moorage_chat.config import ChatConfig
from pydantic import ValidationError
from realparts.llm import Fail, Llm
from realparts.ports import free_port
from waits import WAIT

KEY = "sk-of-the-test-0123456789"


@pytest.fixture(scope="module")
def llm():
    provider = Llm()
    yield provider
    provider.stop()


@pytest.fixture
def moorage_config(llm, tmp_path):
    (tmp_path / "key").write_text(KEY)
    config = {
        "default_provider": "lm",
        "providers": {
            "lm": {
                "name": "LM Studio",
                "base_url": llm.url,
                "api_key": {"file": str(tmp_path / "key")},
                "vision": True,
                "max_context_tokens": 8192,
            },
            "down": {"base_url": f"http://127.0.0.1:{free_port()}/v1", "tools": False, "models": [{"id": "x"}]},
        },
    }
    return {"plugins": {"chat": {"enabled": True, **config}}}


async def test_providers_over_http(moorage_app, llm, monkeypatch, caplog):
    monkeypatch.setattr("moorage_chat.providers.catalog.LIST_SECONDS", WAIT)
    user = await moorage_app.as_user("viewer")
    models = [{"id": "scripted", "label": "scripted", "name": "scripted"}]
    can = {"streaming": True, "vision": True, "tools": True, "json_mode": True, "max_context_tokens": 8192}
    lm = {"provider_id": "lm", "id": "lm", "name": "LM Studio", "ok": True, "capabilities": can}
    down = {
        "provider_id": "down",
        "id": "down",
        "name": "down",
        "ok": True,
        "capabilities": {**can, "vision": False, "tools": False, "max_context_tokens": None},
    }
    x = [{"id": "x", "label": "x", "name": "x"}]
    for path in ("/providers", "/providers/", "/providers?include_models=true"):
        answer = await user.get(path)
        assert (answer.status_code, answer.json()) == (200, [{**lm, "models": models}, {**down, "models": x}]), path
    assert (await user.get("/providers?include_models=false")).json() == [lm, down]
    wrong = await user.get("/providers?include_models=perhaps")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "VALIDATION_ERROR")
    assert (await user.get("/providers/lm/models")).json() == {"models": models}
    assert (await user.get("/providers/lm/health")).json() == {"ok": True, "detail": "It answers."}
    health = (await user.get("/providers/down/health")).json()
    assert health == {"ok": False, "detail": "The provider of the model cannot be reached."}
    assert (await user.get("/providers?include_models=false")).json() == [lm, {**down, "ok": False}]
    for path in ("/providers/gone/models", "/providers/gone/health", "/providers/LM/models"):
        answer = await user.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "PROVIDER_NOT_FOUND"), path
    # Asked with the key, once each for the list and the health; nobody is told the key, or where the provider is.
    assert [sent["authorization"] for sent in llm.headers] == [f"Bearer {KEY}"] * 2
    told = "".join([(await user.get(path)).text for path in ("/providers", "/providers/down/health")]) + caplog.text
    assert KEY not in told
    assert "127.0.0.1" not in (await user.get("/providers")).text
    assert (await moorage_app.anonymous.get("/providers")).status_code == 401


async def test_a_list_that_cannot_be_had_is_no_error_for_clients(moorage_app, llm, monkeypatch):
    monkeypatch.setattr("moorage_chat.providers.catalog.LIST_SECONDS", WAIT)
    models, llm.models = llm.models, Fail(500, "secret words of the provider")
    user = await moorage_app.as_user("viewer")
    try:
        answer = await user.get("/providers")
        assert next((one["id"], one["ok"], one["models"]) for one in answer.json()) == ("lm", False, [])
        health = await user.get("/providers/lm/health")
        assert health.json() == {"ok": False, "detail": "The provider of the model failed."}
        assert "secret words" not in answer.text + health.text
    finally:
        llm.models = models


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        ({}, "base_url is needed"),
        ({"base_url": "127.0.0.1:1234"}, "must begin with"),
        ({"base_url": "ftp://host/v1"}, "must begin with"),
        ({"base_url": "http:///v1"}, "name a host"),
        ({"base_url": "http://host:99999/v1"}, "is not a URL"),
        ({"base_url": "http://user:hunter2@host/v1"}, "a user or a password"),
        ({"base_url": "http://host/v1?key=hunter2"}, "query"),
        ({"base_url": "http://host:0/v1"}, "name a host"),
        ({"base_url": "http://host/v 1"}, "no URL may have"),
        ({"base_url": "http://169.254.169.254/v1"}, "link-local"),
        ({"base_url": "http://[fe80::1%25eth0]/v1"}, "link-local"),
        ({"base_url": "http://[::ffff:169.254.169.254]/v1"}, "link-local"),
        ({"base_url": "http://host", "headers": {"Authorization": "Bearer hunter2"}}, "use api_key"),
        ({"base_url": "http://host", "headers": {"X-Api-Key": "hunter2"}}, "use api_key"),
        ({"base_url": "http://host", "headers": {"X-Title": "a\nb"}}, "no header"),
        ({"base_url": "http://host", "headers": {"X Title": "a"}}, "no header"),
        ({"base_url": "http://host", "api_key": "hunter2"}, "say where it is"),
        ({"base_url": "http://host", "api_key": {}}, "give one of them"),
        ({"base_url": "http://host", "api_key": {"env": "A", "file": "b"}}, "give one of them"),
        ({"base_url": "http://host", "fallback": ["gone"]}, "'gone', which is not a provider"),
        ({"base_url": "http://host", "fallback": ["Not An Id"]}, "fallback"),
        ({"base_url": "http://host", "max_parallel": 0}, "max_parallel"),
    ],
)
def test_settings_that_cannot_be(provider, reason):
    with pytest.raises(ValidationError) as raised:
        ChatConfig.model_validate({"providers": {"lm": provider}})
    [problem] = raised.value.errors()
    assert reason in problem["msg"] + ".".join(map(str, problem["loc"]))
    assert "hunter2" not in problem["msg"]


def test_settings_that_can_be():
    config = ChatConfig.model_validate(
        {"providers": {"lm": {"base_url": " http://[::1]:1234/v1/ ", "headers": {"X-Title": "Moorage"}}}}
    )
    assert config.providers["lm"].base_url == "http://[::1]:1234/v1"
