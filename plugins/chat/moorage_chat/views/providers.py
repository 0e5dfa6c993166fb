"""Which models there are: `GET /providers` of `api/chat.md`, with the routes of its page that the document leaves out.

Nothing here tells where a provider is, or its key.
"""

from __future__ import annotations

from typing import NotRequired

from moorage.api import Route, Routes, json_response, read_query
from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage_chat.providers.base import ModelInfo
from moorage_chat.providers.registry import ProviderInfo
from moorage_chat.rights import GENERATE
from moorage_chat.views.services import Services


class ProvidersQuery(BaseModel):
    """Whether the models are listed too."""

    include_models: bool = Field(True, description="Whether each provider's models are listed.")


class ModelShape(TypedDict):
    """A model. Pages read its name as `label` or as `name`."""

    id: str
    label: str
    name: str


class CapabilitiesShape(TypedDict):
    """What a provider's models can do."""

    streaming: bool
    vision: bool
    tools: bool
    json_mode: bool
    max_context_tokens: int | None


class ProviderShape(TypedDict):
    """A provider. Pages read its id as `provider_id` or as `id`. ok: whether it answered when it was last asked."""

    provider_id: str
    id: str
    name: str
    ok: bool
    capabilities: CapabilitiesShape
    models: NotRequired[list[ModelShape]]


class ModelsAnswer(TypedDict):
    """GET /providers/{provider_id}/models."""

    models: list[ModelShape]


class HealthAnswer(TypedDict):
    """GET /providers/{provider_id}/health. detail: for people."""

    ok: bool
    detail: str


def routes(services: Services) -> list[Route]:
    """`/providers` and what is below; the list with a slash at its end too, as pages ask for it."""
    table = Routes()
    providers = services.providers

    async def listed() -> Response:
        """List the providers of models, with their models: at most half a minute old."""
        query = read_query(ProvidersQuery)
        answer = [provider_shape(one, models=query.include_models) for one in await providers.listed()]
        return json_response(answer)

    for path in ("/providers", "/providers/"):
        table.get(path, access=GENERATE.name, query=ProvidersQuery, answer=list[ProviderShape])(listed)

    @table.get("/providers/{provider_id}/models", access=GENERATE.name, answer=ModelsAnswer)
    async def models(provider_id: str) -> Response:
        """List a provider's models: at most half a minute old."""
        answer: ModelsAnswer = {"models": [model_shape(one) for one in (await providers.find(provider_id)).models]}
        return json_response(answer)

    @table.get("/providers/{provider_id}/health", access=GENERATE.name, answer=HealthAnswer)
    async def health(provider_id: str) -> Response:
        """Say whether a provider answers now."""
        found = await providers.health(provider_id)
        answer: HealthAnswer = {"ok": found.ok, "detail": found.detail}
        return json_response(answer)

    return list(table)


def provider_shape(info: ProviderInfo, *, models: bool) -> ProviderShape:
    """A provider as clients see it."""
    can = info.capabilities
    shape: ProviderShape = {
        "provider_id": info.id,
        "id": info.id,
        "name": info.name,
        "ok": info.ok,
        "capabilities": {
            "streaming": can.streaming,
            "vision": can.vision,
            "tools": can.tools,
            "json_mode": can.json_mode,
            "max_context_tokens": can.max_context_tokens,
        },
    }
    if models:
        shape["models"] = [model_shape(one) for one in info.models]
    return shape


def model_shape(model: ModelInfo) -> ModelShape:
    """A model as clients see it."""
    return {"id": model.id, "label": model.label, "name": model.label}
