"""Embeddings, ranking and models. Source: mmry's HTTP service, and OpenAI's API reference, Embeddings and Models.

`/v1/models` at the root is chat's; below `/mmry` it is the model of sentences.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any, Literal

from moorage.api import OPENAI, Route, Routes, current_actor, json_response
from pydantic import BaseModel, Field, StrictStr
from quart import Response
from typing_extensions import TypedDict

from moorage_memories.rights import EMBED
from moorage_memories.vectors import MAX_BYTES, MAX_TEXTS, NAME, Sentences
from moorage_memories.views.reading import MAX_BODY, SLACK, read_body

BASES = ("/v1", "/mmry/v1")
SECONDS = 120.0


class EmbeddingsBody(BaseModel):
    """Texts. model: any name; encoding_format: "base64" for little-endian float32, which OpenAI's SDKs ask for."""

    input: StrictStr | Annotated[list[StrictStr], Field(max_length=MAX_TEXTS)]
    model: StrictStr | None = None
    encoding_format: Literal["float", "base64"] = "float"


class RerankBody(BaseModel):
    """Texts to be ranked. top_n: how many are given back; all without."""

    query: StrictStr
    documents: Annotated[list[StrictStr], Field(max_length=MAX_TEXTS)]
    top_n: Annotated[int, Field(ge=1)] | None = None
    model: StrictStr | None = None
    return_documents: bool = True


class EmbeddingShape(TypedDict):
    """A text's vector: numbers, or base64 of them."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class UsageShape(TypedDict):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsShape(TypedDict):
    """Vectors, in the order of the texts."""

    object: Literal["list"]
    data: list[EmbeddingShape]
    model: str
    usage: UsageShape


class RankShape(TypedDict):
    """A text, and how near it is to what was asked: -1 to 1. document: null where texts were not wanted back."""

    index: int
    document: str | None
    relevance_score: float


class RanksShape(TypedDict):
    """Texts, the nearest first."""

    results: list[RankShape]
    model: str


class ModelShape(TypedDict):
    """A model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsShape(TypedDict):
    """Models."""

    object: Literal["list"]
    data: list[ModelShape]


def routes(sentences: Sentences) -> list[Route]:
    """All of them."""
    table = Routes()
    common: dict[str, Any] = {"access": EMBED.name, "dialect": OPENAI}
    post: dict[str, Any] = {**common, "max_body": SLACK * MAX_BYTES + MAX_BODY, "timeout": SECONDS}

    async def embeddings() -> Response:
        """Turn texts into vectors."""
        body = await read_body(EmbeddingsBody)
        texts = [body.input] if isinstance(body.input, str) else body.input
        found = await sentences.vectors(current_actor(), texts)
        if body.encoding_format == "base64":
            vectors: list[Any] = [base64.b64encode(one).decode() for one in found.raw()]
        else:
            vectors = await asyncio.to_thread(found.all)
        answer: EmbeddingsShape = {
            "object": "list",
            "data": [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)],
            "model": found.model,
            "usage": {"prompt_tokens": found.tokens, "total_tokens": found.tokens},
        }
        return json_response(answer)

    async def rerank() -> Response:
        """Rank texts by how near they are to what is asked."""
        body = await read_body(RerankBody)
        found = await sentences.ranked(current_actor(), body.query, body.documents, body.top_n)
        answer: RanksShape = {
            "results": [
                {
                    "index": one.index,
                    "document": body.documents[one.index] if body.return_documents else None,
                    "relevance_score": one.score,
                }
                for one in found
            ],
            "model": NAME,
        }
        return json_response(answer)

    for base in BASES:
        table.post(base + "/embeddings", **post, body=EmbeddingsBody, answer=EmbeddingsShape)(embeddings)
        table.post(base + "/rerank", **post, body=RerankBody, answer=RanksShape)(rerank)

    @table.get("/mmry/v1/models", **common, answer=ModelsShape)
    async def models() -> Response:
        """List the model of sentences, if it is installed."""
        answer: ModelsShape = {"object": "list", "data": [_model(name) for name in sentences.models(current_actor())]}
        return json_response(answer)

    @table.get("/mmry/v1/models/{model}", **common, answer=ModelShape)
    async def one_model(model: str) -> Response:
        """Show a model."""
        return json_response(_model(sentences.model(current_actor(), model)))

    return list(table)


def _model(name: str) -> ModelShape:
    return {"id": name, "object": "model", "created": 0, "owned_by": "sentence-transformers"}
