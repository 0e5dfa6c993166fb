"""The way in of MCP's official SDK, with a person who allows whatever they are asked."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
from lettingin import told
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata


class Storage:
    """What the SDK keeps, in memory."""

    tokens: Any = None
    client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client: Any) -> None:
        self.client = client


def sdk(browser: httpx.Client, url: str, storage: Storage, **more: Any) -> tuple[OAuthClientProvider, list[str]]:
    """The official SDK's provider, with a person who allows whatever they are asked."""
    sent: list[str] = []
    change = more.pop("change", lambda result: result)

    async def redirect(address: str) -> None:
        sent.append(address)

    async def callback() -> AuthorizationCodeResult:
        page = urlsplit(browser.get(sent[-1], follow_redirects=False).headers["location"])
        answer = browser.post("/api/core/authorize", json={"query": page.query, "approve": True}).json()
        said = told(answer["redirect_to"])
        return change(AuthorizationCodeResult(code=said["code"], state=said["state"], iss=said["iss"]))

    metadata = OAuthClientMetadata(
        client_name="SDK",
        redirect_uris=["http://127.0.0.1:3030/callback"],
        token_endpoint_auth_method="none",
        grant_types=["authorization_code", "refresh_token"],
    )
    return OAuthClientProvider(url, metadata, storage, redirect, callback, **more), sent
