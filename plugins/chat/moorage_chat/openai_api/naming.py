"""How models are called at `/v1`: `provider/model`, since several providers may have a model of one name."""

from __future__ import annotations

from moorage.api import BadRequest

from moorage_chat.providers.registry import Choice, Providers

DEFAULT = "default"
"""Whatever the server answers with when nobody says what."""


def name_of(choice: Choice) -> str:
    """What a model is called."""
    return f"{choice.provider}/{choice.model}"


async def chosen(providers: Providers, name: str) -> Choice:
    """What a name stands for: `provider/model`, a provider's id for its own default, a model's bare name, "default".

    A model's own name may have slashes in it ("meta-llama/llama-3"): what is no provider's is looked for everywhere.
    BadRequest MODEL_NOT_FOUND; Unavailable when there is no provider.
    """
    if name == DEFAULT:
        return await providers.choose(None, None)
    provider, _, model = name.partition("/")
    try:
        return await providers.choose(provider, model or None)
    except BadRequest as error:
        try:
            return await providers.choose(None, name)
        except BadRequest:
            if error.error_code == "PROVIDER_NOT_FOUND":
                raise
            raise error from None
